"""The student's losses: named terms and one visible weighted sum."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from point_detr3d_ros.codec import CODE, gather, group_of_class
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.student import Maps
from voxbox_core.errors import InputError
from voxbox_core.losses import heatmap_focal, weighted_sum

_SHORT = 0.1  # a heading shorter than this has no direction to speak of; also rounds the error off where it is small


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term.  box: of the sum over the code's numbers; 0.25 as released.  axis: of `axis_error`, 0 as
    released.  consistency: of the point-guided self-supervised loss (lambda), 0.1 as released.

    Raises InputError on a negative weight.
    """

    heatmap: float = 1.0
    box: float = 0.25
    axis: float = 0.15
    consistency: float = 0.1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise InputError(f"loss weight {name}", value, "a number, 0 or more", "Correct it.")


def detection_terms(maps: Maps, targets: Mapping[str, Tensor], contract: Contract) -> dict[str, Tensor]:
    """The unweighted terms of a batch, each a float32 scalar; targets are `codec.encode`'s, stacked."""
    group = torch.tensor(group_of_class(contract), device=targets["label"].device)[targets["label"]]
    code = gather(maps.box, group, targets["index"]).float()[..., :CODE]
    error = (code - targets["code"]).abs().sum(-1) * targets["valid"]
    across = axis_error(code[..., 6:8], targets["code"][..., 6:8]) * targets["valid"]
    count = targets["valid"].sum().clamp(min=1)
    return {
        "heatmap": heatmap_focal(maps.heatmap.float(), targets["heatmap"]),
        "box": error.sum() / count,
        "axis": across.sum() / count,
    }


def axis_error(heading: Tensor, target: Tensor) -> Tensor:
    """|sin| of the angle between headings (..., 2) sine and cosine, of any length, and targets of length 1: (...,).

    Not of the paper. Where front and rear look alike, the L1 loss of sine and cosine pulls a heading from one side to
    the other and leaves it anywhere between; the axis, which is plain to see, has a loss of its own. A heading of no
    length has the greatest, 1: else a network would rather say nothing.
    """
    cross = heading[..., 0] * target[..., 1] - heading[..., 1] * target[..., 0]
    return ((cross.square() + _SHORT**2) / (heading.square().sum(-1) + _SHORT**2)).sqrt()


def total(terms: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """The weighted sum that is minimised. Raises InputError, with every term's value, when it is not finite."""
    return weighted_sum(terms, asdict(weights))
