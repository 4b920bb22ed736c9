"""KM3D's losses: named terms, their schedule, and one visible weighted sum (Li, 2020; weights as released)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from km3d_ros.codec import gather, read_boxes
from km3d_ros.contract import Contract
from km3d_ros.geometry import KEYPOINTS, draw_kept_keypoints, fit_location
from voxbox_core.boxes import Boxes3D, iou_3d
from voxbox_core.errors import InputError
from voxbox_core.losses import heatmap_focal, weighted_sum

TRUSTED = 0.5  # part of its distance by which a solution may err to be worth a position gradient


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term, by its name, and the schedule of the two that need keypoints to be good already.

    ramp_end: part of the training after which conf and position have full weight (released: epoch 100 of 200).
    position_gate: ramp value below which the position loss is off, because its gradient is steep while keypoints and
    angles are wrong.  keypoint_dropout: whether the position loss solves with a random subset of the keypoints.
    Raises InputError on a negative weight or a part of the training outside 0..1.
    """

    hm: float = 1.0
    hps: float = 1.0
    dim: float = 2.0
    rot: float = 0.2
    conf: float = 1.0
    position: float = 1.0
    depth: float = 1.0
    wh: float = 0.1
    reg: float = 1.0
    hm_hp: float = 1.0
    hp_offset: float = 1.0
    ramp_end: float = 0.5
    position_gate: float = 0.3
    keypoint_dropout: bool = True

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            part = name in ("ramp_end", "position_gate")
            if not 0 <= value <= (1 if part else math.inf):
                expected = "a number from 0 to 1" if part else "a number, 0 or more"
                raise InputError(f"loss setting {name}", value, expected, "Correct it.")

    def scheduled(self, progress: float) -> dict[str, float]:
        """Weight of every term after `progress` (0..1) of the training; 0 means the term need not be computed."""
        ramp = ramp_up(progress, self.ramp_end)
        position = ramp if ramp >= self.position_gate else 0.0
        return {
            "hm": self.hm, "hps": self.hps, "dim": self.dim, "rot": self.rot,
            "conf": self.conf * ramp, "position": self.position * position, "depth": self.depth,
            "wh": self.wh, "reg": self.reg, "hm_hp": self.hm_hp, "hp_offset": self.hp_offset,
        }  # fmt: skip


def ramp_up(progress: float, end: float) -> float:
    """exp(-5 (1 - progress / end)^2), 1 from `end` on (Laine and Aila, 2017)."""
    return math.exp(-5 * (1 - progress / end) ** 2) if progress < end else 1.0


def loss_terms(
    outputs: dict[str, Tensor],
    targets: dict[str, Tensor],
    contract: Contract,
    weights: LossWeights,
    progress: float,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, each a float32 scalar.

    outputs: KM3DNet's maps (B, C, H, W), or what it computed at the targets' cells alone; any float type.
    targets: `codec.encode`'s arrays, stacked to (B, ...) tensors on the same device.
    progress: done part of the training, 0..1; terms whose weight is 0 then are left out.
    generator: of the keypoint dropout, on the CPU.
    """
    maps = {name: value.float() for name, value in outputs.items()}
    heads = {name: _at(maps[name], targets["index"]) for name in maps if name not in ("hm", "hm_hp", "hp_offset")}
    valid = targets["valid"].float()
    terms = {
        "hm": heatmap_focal(maps["hm"], targets["hm"], targets["hm_weight"]),
        "hps": keypoint_loss(heads["hps"], targets["hps"], targets["hps_mask"], targets["center"][..., 2]),
        "dim": masked_l1(heads["dim"], targets["dim"], valid),
        "rot": orientation_loss(heads["rot"], targets["rot"], targets["rot_mask"], valid),
    }
    if contract.depth_head:
        terms["depth"] = masked_l1(heads["depth"][..., :1], targets["depth"][..., None], valid)
    if contract.auxiliary_heads:
        terms |= {
            "wh": masked_l1(heads["wh"], targets["wh"], valid),
            "reg": masked_l1(heads["reg"], targets["reg"], valid),
            "hm_hp": heatmap_focal(maps["hm_hp"], targets["hm_hp"]),
            "hp_offset": keypoint_offset_loss(maps["hp_offset"], targets),
        }
    active = weights.scheduled(progress)
    if active["conf"] or active["position"]:
        terms |= _box_terms(heads, targets, contract, weights, active, generator)
    return terms


def total(terms: dict[str, Tensor], weights: LossWeights, progress: float) -> Tensor:
    """The weighted sum that is minimised. Raises InputError, with every term's value, when it is not finite."""
    return weighted_sum(terms, weights.scheduled(progress))


def depth_weight(depth: Tensor) -> Tensor:
    """xi(z): near objects, whose keypoints err by many pixels, must not drown the far ones (depth in m)."""
    far = (depth.clamp(min=5.0) - 4.0).log10() + 0.1
    return torch.where(depth < 5.0, 0.01 * depth, far)


def keypoint_loss(predicted: Tensor, target: Tensor, mask: Tensor, depth: Tensor) -> Tensor:
    """Depth-guided L1 of keypoints: predicted (B, M, 18), target (B, M, 9, 2), mask (B, M, 9), depth (B, M)."""
    error = (predicted.unflatten(-1, (KEYPOINTS, 2)) - target).abs().sum(-1)
    weighted = torch.where(mask > 0, error * depth_weight(depth)[..., None], 0.0)
    return weighted.sum() / (2 * mask.sum() + 1e-4)


def masked_l1(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over the masked rows; predicted, target (..., C), mask (...,) of 0 and 1."""
    error = torch.where(mask[..., None] > 0, (predicted - target).abs(), 0.0)
    return error.sum() / (mask.sum() * predicted.shape[-1] + 1e-4)


def orientation_loss(rot: Tensor, target: Tensor, member: Tensor, valid: Tensor) -> Tensor:
    """Two-bin angle (Mousavian et al., 2017): membership of each bin, and sine and cosine where it is a member.

    rot: (B, M, 8).  target: (B, M, 2, 2) sin, cos.  member: (B, M, 2).  valid: (B, M). Empty slots count for nothing.
    """
    bins = rot.unflatten(-1, (2, 4))
    membership = F.cross_entropy(bins[..., :2].flatten(0, -2), member.long().flatten(), reduction="none")
    membership = (membership.view_as(member) * valid[..., None]).sum() / (valid.sum() + 1e-4)
    counted = member * valid[..., None]
    residual = F.smooth_l1_loss(bins[..., 2:], target, reduction="none").sum(-1)
    return membership + ((residual * counted).sum((0, 1)) / (counted.sum((0, 1)) + 1e-4)).sum()


def keypoint_offset_loss(maps: Tensor, targets: dict[str, Tensor]) -> Tensor:
    """L1 of the keypoints' sub-cell offsets, read at the keypoints' own cells."""
    predicted = _at(maps, targets["hp_index"].flatten(1))
    return masked_l1(predicted, targets["hp_offset"].flatten(1, 2), targets["hp_mask"].flatten(1))


def _at(values: Tensor, index: Tensor) -> Tensor:
    """(B, K, C) of maps (B, C, H, W) at cells index (B, K), or of a head that was computed there alone."""
    return values if values.ndim == 3 else gather(values, index)


def _box_terms(
    heads: dict[str, Tensor],
    targets: dict[str, Tensor],
    contract: Contract,
    weights: LossWeights,
    active: dict[str, float],
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    """conf and position, which need the boxes that the heads stand for. Only true objects are solved."""
    intrinsics = targets["intrinsics"]
    found = read_boxes(contract, heads, targets["index"], targets["label"], intrinsics, targets["grid_to_image"])
    slot = targets["valid"]
    # A degree of yaw moves the solution by 20 cm at 25 m: the position loss would train little else, so it may not.
    yaw = found["yaw"][slot].detach()
    keypoints, size, depth = found["keypoints"][slot], found["size"][slot], found["depth"][slot]
    camera = intrinsics[:, None].expand(*slot.shape, 3, 3)[slot]
    truth = {name: targets[name][slot] for name in ("center", "size", "yaw")}

    with torch.no_grad():
        center, _ = fit_location(keypoints, size, yaw, camera, depth=depth)
        overlap = _paired_iou(center, size, yaw, truth)
    terms = {}
    if active["conf"]:
        error = F.binary_cross_entropy_with_logits(heads["prob"][slot][:, 0], overlap, reduction="none")
        terms["conf"] = error.sum() / (len(overlap) + 1)
    if active["position"]:
        kept = targets["hps_mask"][slot]
        if weights.keypoint_dropout:
            kept = kept * draw_kept_keypoints((len(yaw),), generator).to(keypoints.device)
        terms["position"] = position_loss(keypoints, size, yaw, camera, truth, kept, depth)
    return terms


def position_loss(
    keypoints: Tensor,
    size: Tensor,
    yaw: Tensor,
    intrinsics: Tensor,
    truth: dict[str, Tensor],
    kept: Tensor,
    depth: Tensor,
) -> Tensor:
    """Distance between solved and true bottom centres, m, summed over N objects, over N + 1.

    An object whose solution errs by more than TRUSTED of its distance is left out (the release keeps it): its keypoints
    are still so wrong, or so nearly coincide, that the gradient is thousands of times that of all other terms together
    and points nowhere. The keypoint loss brings it back.
    """
    center, solved = fit_location(keypoints, size, yaw, intrinsics, kept, depth)
    down = (size[:, 2] - truth["size"][:, 2]) / 2
    error = center - truth["center"] + F.pad(down[:, None], (1, 1))
    # The square root has no gradient at 0, so the floor is inside it.
    distance = (error.square().sum(-1) + 1e-12).sqrt()
    trusted = solved & (distance < TRUSTED * truth["center"][:, 2])
    return torch.where(trusted, distance, 0.0).sum() / (len(yaw) + 1)


def _paired_iou(center: Tensor, size: Tensor, yaw: Tensor, truth: dict[str, Tensor]) -> Tensor:
    """3D IoU (N,) of predicted boxes with their true ones."""
    predicted, true = _boxes(center, size, yaw), _boxes(truth["center"], truth["size"], truth["yaw"])
    return torch.from_numpy(iou_3d(predicted, true).diagonal().copy()).to(center).clamp(0.0, 1.0)


def _boxes(center: Tensor, size: Tensor, yaw: Tensor) -> Boxes3D:
    n = len(yaw)
    box = [x.cpu().double().numpy() for x in (center, size, yaw)]
    return Boxes3D(box[0], box[1], box[2], np.zeros(n), np.ones(n), np.full((n, 4), np.nan), ("object",))
