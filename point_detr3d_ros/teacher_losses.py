"""The teacher's losses: prompt i is object i, so nothing is matched (index assignment; Gao et al., 2024)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from point_detr3d_ros.losses import axis_error
from point_detr3d_ros.teacher import Decoded
from voxbox_core.errors import InputError
from voxbox_core.losses import weighted_sum

FOCUS, BALANCE = 2.0, 0.25  # gamma and alpha of the focal loss


@dataclass(frozen=True)
class TeacherLossWeights:
    """cls: of the focal loss.  box: of the L1 terms center, size and heading (published: 0.25, too little to learn
    headings in a short training).  axis: of `losses.axis_error` (published: none).
    Raises InputError on a negative or infinite weight."""

    cls: float = 2.0
    box: float = 1.0
    axis: float = 0.3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise InputError(f"loss setting {name}", value, "a finite number, 0 or more", "Correct it.")


@dataclass(frozen=True)
class TeacherTargets:
    """The objects of the prompts, in the network frame. label: (Q,) int64, -1 where there is none, whatever its box
    (any finite numbers).  center: (Q, 3), gravity centre, m.
    size: (Q, 3) length, width, height, m.  yaw: (Q,), rad."""

    label: Tensor
    center: Tensor
    size: Tensor
    yaw: Tensor


def loss_terms(decoded: Decoded, targets: TeacherTargets) -> dict[str, Tensor]:
    """The unweighted terms, each a float32 scalar per object; zeros that carry gradients where there is no prompt.

    cls: sigmoid focal loss of all classes.  center (m), size (log) and heading (sine, cosine): sums of absolute errors.
    axis: of the heading, front or rear.
    """
    there = (targets.label >= 0).to(decoded.score_logit)[:, None]
    count = there.sum().clamp(min=1)
    wanted = F.one_hot(targets.label.clamp(min=0), decoded.score_logit.shape[1]) * there
    log_mean = decoded.size.detach().log() - decoded.log_size.detach()
    heading = torch.stack([targets.yaw.sin(), targets.yaw.cos()], -1)
    sums = {
        "cls": focal(decoded.score_logit, wanted),
        "center": ((decoded.center - targets.center).abs() * there).sum(),
        "size": ((decoded.log_size + log_mean - targets.size.log()).abs() * there).sum(),
        "heading": ((decoded.heading - heading).abs() * there).sum(),
        "axis": (axis_error(decoded.heading, heading) * there[:, 0]).sum(),
    }
    return {name: value / count for name, value in sums.items()}


def total(terms: dict[str, Tensor], weights: TeacherLossWeights) -> Tensor:
    """The weighted sum that is minimised. Raises InputError, with every term's value, when it is not finite."""
    box = dict.fromkeys(("center", "size", "heading"), weights.box)
    return weighted_sum(terms, {"cls": weights.cls, "axis": weights.axis, **box})


def focal(logits: Tensor, target: Tensor) -> Tensor:
    """Sigmoid focal loss (Lin et al., 2017, eq. 5) of targets 0 and 1, summed."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid()
    missed = target * (1 - probability) + (1 - target) * probability
    balance = target * BALANCE + (1 - target) * (1 - BALANCE)
    return (balance * missed**FOCUS * entropy).sum()
