"""What the losses of several systems have in common."""

from collections.abc import Mapping

import torch
from torch import Tensor

from voxbox_core.errors import InputError


def heatmap_focal(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Penalty-reduced focal loss of a heat map (CenterNet, Zhou et al., 2019, eq. 1), per positive.

    Positives are the cells where target is exactly 1. weight: of the negatives; positives always count.
    """
    probability = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    positive = target == 1
    on_positive = (1 - probability).square() * probability.log()
    on_negative = (1 - target).pow(4) * probability.square() * (1 - probability).log()
    if weight is not None:
        on_negative = on_negative * weight
    return -torch.where(positive, on_positive, on_negative).sum() / positive.sum().clamp(min=1)


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """What is minimised. Raises InputError, with every term's value, when it is not finite."""
    loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
    if not torch.isfinite(loss):
        values = ", ".join(f"{name} {value.item():.4g}" for name, value in terms.items())
        raise InputError("loss", f"{loss.item()} ({values})", "finite terms", "Lower the learning rate.")
    return loss
