"""SSZ's losses (section 3.3): named terms, and one visible weighted sum for each of the two networks.

Certificates are what a discriminator gives: (B, channels, u, v, w), the first channel the logit of "real", the others,
where there are any, a pose (`pose_codec`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ssz_ros.pose_codec import PoseGrid
from voxbox_core.errors import InputError
from voxbox_core.losses import weighted_sum
from voxbox_core.voxels import AIR, UNKNOWN

_EMPTY_CELL = 0.1  # what a cell of a certificate counts that holds no object
_TURN = 0.1  # what a rotation counts beside a translation of the grid's depth


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term. The paper does not tell its own.

    nll, jaccard, adversarial, pose: of the generator.  real, fake, real_pose: of the discriminator, which learns poses
    from true volumes alone.
    Raises InputError on a negative weight.
    """

    nll: float = 1.0
    jaccard: float = 0.0
    adversarial: float = 0.01
    pose: float = 0.5
    real: float = 1.0
    fake: float = 1.0
    real_pose: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise InputError(f"loss weight {name}", value, "a number, 0 or more", "Correct it.")


def generator_total(terms: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """What G minimises: nll L_nll + jaccard L_jac + adversarial L_adv + pose L_pose, of the terms that are there.

    Raises InputError, with every term's value, when it is not finite.
    """
    names = ("nll", "jaccard", "adversarial", "pose")
    known = {name: getattr(weights, name) for name in names}
    return weighted_sum(terms, known)


def discriminator_total(terms: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """What D minimises: real L_real + fake L_fake + real_pose L_pose, of the terms that are there.

    Raises InputError, with every term's value, when it is not finite.
    """
    known = {"real": weights.real, "fake": weights.fake, "pose": weights.real_pose}
    return weighted_sum(terms, known)


def class_weights(frequency: Tensor) -> Tensor:
    """Weights of the classes from their share of the known cells, (n,): 1 / sqrt(p + 1e-4), of mean 1 over the classes
    that occur, within [0.1, 10]; 0 for those that do not. The paper does not tell its own."""
    present = frequency > 0
    rare = torch.where(present, (frequency + 1e-4).rsqrt(), 0.0)
    mean = rare.sum() / present.sum().clamp(min=1)
    return torch.where(present, (rare / mean.clamp(min=1e-12)).clamp(0.1, 10.0), 0.0)


def voxel_nll(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Class-weighted mean of -log B(f) over the cells (equation 2, by its evident intent), float32; 0 of no known cell.

    logits: (B, n, slices, rows, columns).  labels: (B, slices, rows, columns) uint8, UNKNOWN ones do not count.
    weights: (n,) float32, of each class.
    """
    return _WeightedNLL.apply(logits, labels, weights)


class _WeightedNLL(torch.autograd.Function):
    """Cross entropy that makes its gradient at once and sample by sample, in float32, and keeps nothing else: a third
    of the time of PyTorch's in a step with bfloat16 logits, whose passes over all cells miss every cache."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        of_label = F.pad(weights.float(), (0, UNKNOWN + 1 - len(weights)))
        gradient = torch.empty_like(logits)
        loss, count = weights.new_zeros((), dtype=torch.float32), weights.new_zeros((), dtype=torch.float32)
        for sample, label, out in zip(logits.detach(), labels.long(), gradient, strict=True):
            weight = of_label[label]
            own = label.where(label < len(weights), 0).unsqueeze(0)
            x = sample.float() - sample.amax(0, keepdim=True).float()
            chosen = x.gather(0, own)[0]
            whole = x.exp_().sum(0)
            loss += ((whole.log() - chosen) * weight).sum()
            count += weight.sum()
            x *= weight / whole
            out.copy_(x.scatter_add_(0, own, -weight.unsqueeze(0)))
        count.clamp_(min=1e-12)
        ctx.save_for_backward(gradient, count)
        return loss / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:
        gradient, count = ctx.saved_tensors
        return gradient * (outer / count).to(gradient.dtype), None, None


def soft_jaccard(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - the mean IoU of the probabilities with the truth, over the classes that the batch has and air is not,
    float32; 1 - sum(p y) / (sum(p) + sum(y) - sum(p y)) of each (Rahman and Wang, ISVC 2016). 0 without any.

    Not of the paper: likelihood prefers air where a thin object's depth is not sure, IoU does not. Shapes as of
    `voxel_nll`.
    """
    return _SoftJaccard.apply(logits, labels)


class _SoftJaccard(torch.autograd.Function):
    """Makes its gradient at once and sample by sample, for the reason of _WeightedNLL."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        n = logits.shape[1]
        both, found, true = (torch.zeros(n, device=logits.device) for _ in range(3))
        samples = []
        for sample, label in zip(logits.detach(), labels, strict=True):
            known = label < n
            own = label.where(known, 0).long()
            p = sample.float().softmax(0).mul_(known)
            chosen = p.gather(0, own.unsqueeze(0))[0]
            found += p.sum((1, 2, 3))
            both += torch.bincount(own.flatten(), chosen.flatten(), n)
            true += torch.bincount(own.flatten(), known.flatten().float(), n)
            samples.append((p, own, chosen))
        union = (found + true - both).clamp(min=1e-12)
        counted = true > 0
        counted[AIR] = False
        share = counted / counted.sum().clamp(min=1)
        missed, false = -share / union, share * both / union**2  # d loss / d p, where a class is and where it is not
        gradient = torch.empty_like(logits)
        for (p, own, chosen), out in zip(samples, gradient, strict=True):
            right = chosen * (missed - false)[own]
            inner = torch.einsum("n...,n->...", p, false) + right
            p *= false.view(-1, 1, 1, 1) - inner
            out.copy_(p.scatter_add_(0, own.unsqueeze(0), right.unsqueeze(0)))
        ctx.save_for_backward(gradient)
        return (share * (1 - both / union)).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer.to(gradient.dtype), None


def realness(certificate: Tensor, real: bool, targets: Mapping[str, Tensor] | None) -> Tensor:
    """Binary cross entropy of a certificate against one answer in all of its cells, as a PatchGAN's.

    targets: `PoseGrid.encode`'s; cells without objects then count less. None: all count alike.
    """
    logit = certificate[:, 0].float()
    weight = torch.ones_like(logit) if targets is None else targets["object"].float().clamp(min=_EMPTY_CELL)
    loss = F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, float(real)), reduction="none")
    return (loss * weight).sum() / weight.sum()


def stable_pose(certificate: Tensor, targets: Mapping[str, Tensor], grid: PoseGrid) -> Tensor:
    """|t^ - t|^2 / far^2 + 0.1 of the rotation's error, mean over the cells of objects; 0 without any.

    Not of the paper, whose `paper_pose` learns no rotation. The rotation's error is 1 - <q^, q>^2 of quaternions, half
    the squared distance of coded yaws; classes without a front have none.
    """
    found = grid.decode(certificate.float())
    distance = (found["translation"] - targets["translation"]).square().sum(1) / grid.fruxel.far**2
    agree = (found["rotation"] * targets["rotation"]).sum(1)
    turn = 1 - (agree.square() if grid.rotation == "quaternion" else agree)
    each = distance + _TURN * turn * targets["rotates"]
    return _over_objects(each, targets["object"])


def paper_pose(certificate: Tensor, targets: Mapping[str, Tensor], grid: PoseGrid) -> Tensor:
    """||R(q^) t^ - R(q) t||^2 / far^2 (equation 3, with lengths in parts of the grid's depth), mean over the cells of
    objects; 0 without any. Raises InputError unless the grid's rotations are quaternions."""
    if grid.rotation != "quaternion":
        raise InputError("rotation of the pose loss of the paper", grid.rotation, "quaternion", "Use the stable one.")
    found = grid.decode(certificate.float())
    error = _turned(found["rotation"], found["translation"]) - _turned(targets["rotation"], targets["translation"])
    return _over_objects(error.square().sum(1) / grid.fruxel.far**2, targets["object"])


POSE_LOSSES = {"stable": stable_pose, "paper": paper_pose}


def _over_objects(each: Tensor, objects: Tensor) -> Tensor:
    return (each * objects).sum() / objects.sum().clamp(min=1)


def _turned(quaternion: Tensor, vector: Tensor) -> Tensor:
    """Vectors (B, 3, ...) turned by unit quaternions (B, 4, ...) w x y z."""
    w, axis = quaternion[:, :1], quaternion[:, 1:]
    across = torch.linalg.cross(axis, vector, dim=1)
    return vector + 2 * (w * across + torch.linalg.cross(axis, across, dim=1))
