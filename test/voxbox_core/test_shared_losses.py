"""The heat map's focal loss against its formula; a sum that is not finite is told term by term."""

import math

import pytest
import torch

from voxbox_core.errors import InputError
from voxbox_core.losses import heatmap_focal, weighted_sum


def test_focal_loss_of_a_toy_map() -> None:
    probability = torch.tensor([[0.2, 0.1, 0.3], [0.6, 0.7, 0.1], [0.2, 0.5, 0.05]])
    target = torch.tensor([[0.0, 0.4, 0.0], [0.4, 1.0, 0.4], [0.0, 0.4, 0.0]])
    expected = -(0.3**2) * math.log(0.7)
    for p, g in zip(probability.flatten().tolist(), target.flatten().tolist(), strict=True):
        if g < 1:
            expected -= (1 - g) ** 4 * p**2 * math.log(1 - p)
    assert heatmap_focal(torch.logit(probability), target).item() == pytest.approx(expected, rel=1e-5)
    twice = heatmap_focal(torch.logit(probability).repeat(2, 1, 1), target.repeat(2, 1, 1))
    assert twice.item() == pytest.approx(expected, rel=1e-5)  # per positive


def test_focal_loss_forgives_where_told_but_never_the_object() -> None:
    logits, target = torch.zeros(3, 3), torch.zeros(3, 3)
    target[1, 1] = 1.0
    found = heatmap_focal(logits, target, torch.zeros(3, 3)).item()
    assert found == pytest.approx(0.25 * math.log(2))


def test_focal_loss_survives_certainty() -> None:
    logits = torch.tensor([1e4, -1e4], requires_grad=True)
    loss = heatmap_focal(logits, torch.tensor([0.0, 1.0]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_a_sum_is_weighted_and_names_what_is_not_finite() -> None:
    terms = {"near": torch.tensor(2.0), "far": torch.tensor(3.0)}
    assert weighted_sum(terms, {"near": 1.0, "far": 0.5}).item() == pytest.approx(3.5)
    with pytest.raises(InputError, match="near nan, far 3"):
        weighted_sum({**terms, "near": torch.tensor(math.nan)}, {"near": 1.0, "far": 0.5})
