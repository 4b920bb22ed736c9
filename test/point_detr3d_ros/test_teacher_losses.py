"""Each term against its formula, and what must never happen."""

import math
from dataclasses import replace

import pytest
import torch

from point_detr3d_ros.teacher import Decoded
from point_detr3d_ros.teacher_losses import TeacherLossWeights, TeacherTargets, focal, loss_terms, total
from voxbox_core.errors import InputError

TARGETS = TeacherTargets(
    label=torch.tensor([1, 0]),
    center=torch.tensor([[1.0, 2.0, 0.5], [-3.0, 4.0, 1.0]]),
    size=torch.tensor([[4.0, 2.0, 1.5], [0.8, 0.6, 1.8]]),
    yaw=torch.tensor([0.3, -2.0]),
)


def perfect(mean=2.0, certain=20.0):
    logit = certain * (2 * torch.nn.functional.one_hot(TARGETS.label, 3).float() - 1)
    heading = torch.stack([TARGETS.yaw.sin(), TARGETS.yaw.cos()], 1)
    return Decoded(logit, TARGETS.center.clone(), TARGETS.size.clone(), (TARGETS.size / mean).log(), heading)


def test_the_truth_costs_nothing() -> None:
    terms = loss_terms(perfect(), TARGETS)
    assert set(terms) == {"cls", "center", "size", "heading", "axis"}
    assert terms.pop("axis").item() < 0.1  # its floor, for it is rounded off
    assert all(value.item() == pytest.approx(0, abs=1e-6) for value in terms.values())


def test_terms_are_sums_of_absolute_errors_per_object() -> None:
    decoded = perfect()
    off = replace(
        decoded,
        center=decoded.center + torch.tensor([[0.5, -0.5, 1.0], [0.0, 0.0, 0.0]]),
        size=decoded.size * math.e,
        log_size=decoded.log_size + 1,
        heading=decoded.heading + torch.tensor([[0.1, 0.0], [0.0, -0.3]]),
    )
    terms = loss_terms(off, TARGETS)
    assert terms["center"].item() == pytest.approx(1.0)
    assert terms["size"].item() == pytest.approx(3.0, rel=1e-5)
    assert terms["heading"].item() == pytest.approx(0.2, rel=1e-5)
    assert total(terms, TeacherLossWeights(cls=2.0, box=0.5, axis=0.0)).item() == pytest.approx(2.1, rel=1e-4)


def test_focal_loss_of_a_toy() -> None:
    probability = torch.tensor([0.3, 0.8])
    expected = -0.25 * 0.7**2 * math.log(0.3) - 0.75 * 0.8**2 * math.log(0.2)
    assert focal(torch.logit(probability), torch.tensor([1.0, 0.0])).item() == pytest.approx(expected, rel=1e-5)


def test_the_size_s_gradient_is_that_of_the_logarithm() -> None:
    decoded = perfect()
    log_size = (decoded.log_size + 0.5).requires_grad_()
    terms = loss_terms(replace(decoded, log_size=log_size, size=2.0 * log_size.exp()), TARGETS)
    terms["size"].backward()
    torch.testing.assert_close(log_size.grad, torch.full((2, 3), 0.5))


def test_where_nothing_is_every_class_is_wrong_and_no_box_is() -> None:
    decoded = replace(perfect(), center=TARGETS.center + torch.tensor([[1.0, 0, 0], [5.0, 5.0, 5.0]]))
    terms = loss_terms(decoded, replace(TARGETS, label=torch.tensor([1, -1])))
    assert terms["center"].item() == pytest.approx(1.0)  # of the one object
    assert terms["cls"].item() == pytest.approx(0.75 * 20, rel=1e-3)  # sure of a class that is not there
    nothing = replace(TARGETS, label=torch.tensor([-1, -1]))
    terms = loss_terms(replace(decoded, score_logit=torch.full((2, 3), -20.0)), nothing)
    assert terms.pop("axis").item() < 0.1  # its floor, for it is rounded off
    assert all(value.item() == pytest.approx(0, abs=1e-6) for value in terms.values())


def test_no_prompt_costs_nothing_and_keeps_the_graph() -> None:
    none = Decoded(*(torch.zeros(0, n, requires_grad=True) for n in (3, 3, 3, 3, 2)))
    targets = TeacherTargets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0))
    loss = total(loss_terms(none, targets), TeacherLossWeights())
    assert loss.item() == 0
    loss.backward()


def test_a_loss_that_is_not_finite_stops_with_all_values() -> None:
    terms = loss_terms(perfect(), TARGETS) | {"heading": torch.tensor(math.nan)}
    with pytest.raises(InputError, match="heading nan.*Lower the learning rate"):
        total(terms, TeacherLossWeights())


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_weights_check_themselves(value) -> None:
    with pytest.raises(InputError, match="loss setting box"):
        TeacherLossWeights(box=value)
