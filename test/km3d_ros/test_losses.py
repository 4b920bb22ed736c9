"""Each loss term against its formula, the schedule, the gradients' paths, and what must never happen."""

import math
from dataclasses import replace

import pytest
import torch

from km3d_ros import losses
from km3d_ros.codec import encode
from km3d_ros.losses import LossWeights, loss_terms, ramp_up, total
from voxbox_core.boxes import Boxes3D
from voxbox_core.errors import InputError
from voxbox_core.image import letterbox

WEIGHTS = LossWeights()
PAPER = {"hm", "hps", "dim", "rot", "conf", "position"}
AUXILIARY = {"wh", "reg", "hm_hp", "hp_offset"}


@pytest.fixture
def targets(contract, camera, scene, batched):
    affine = letterbox(1242, 375, contract.input_width, contract.input_height)
    return batched(*(encode(contract, scene(seed), camera, affine) for seed in range(2)))


def noisy(maps, size=0.1):
    generator = torch.Generator().manual_seed(0)
    return {n: (v + size * torch.randn(v.shape, generator=generator)).requires_grad_() for n, v in maps.items()}


@pytest.mark.parametrize(
    ("depth", "weight"),
    [
        (3, 0.03),
        (4.999, 0.05),
        (5, 0.10),
        (6, 0.40),
        (8, 0.70),
        (10, 0.88),
        (14, 1.1),
        (20, 1.30),
        (30, 1.52),
        (60, 1.85),
    ],
)
def test_depth_weight(depth, weight) -> None:
    assert losses.depth_weight(torch.tensor(float(depth))).item() == pytest.approx(weight, abs=0.006)


def test_the_schedule_is_the_published_one_in_parts_of_the_training() -> None:
    epochs = 200
    expected = {1: 0.007, 25: 0.06, 50: 0.287, 75: 0.73, 100: 1.0, 150: 1.0}
    for epoch, ramp in expected.items():
        assert WEIGHTS.scheduled(epoch / epochs)["conf"] == pytest.approx(ramp, abs=0.002)
    active = [e for e in range(epochs) if WEIGHTS.scheduled(e / epochs)["position"] > 0]
    assert active[0] == 51
    assert ramp_up(51 / epochs, 0.5) == pytest.approx(0.301, abs=0.001)


@pytest.mark.parametrize("bad", [{"hm": -1.0}, {"dim": float("nan")}, {"ramp_end": 1.5}, {"position_gate": -0.1}])
def test_a_loss_setting_that_cannot_be_is_named(bad):
    with pytest.raises(InputError, match=f"loss setting {next(iter(bad))} is .*expected a number"):
        LossWeights(**bad)


def test_a_perfect_network_has_almost_no_loss(contract, targets, ideal_maps) -> None:
    terms = loss_terms(ideal_maps(targets), targets, contract, WEIGHTS, 1.0, torch.Generator().manual_seed(0))
    assert terms.keys() == PAPER | AUXILIARY
    # The focal loss pulls the flanks of a Gaussian below the Gaussian, so its floor is not 0; and keypoints that meet
    # in one cell share one offset.
    limits = {"hm": 0.1, "hm_hp": 0.1, "hp_offset": 0.05, "position": 0.02}
    for name, value in terms.items():
        assert value < limits.get(name, 1e-3), name


def test_the_sum_is_what_the_weights_say(contract, targets, ideal_maps) -> None:
    terms = loss_terms(noisy(ideal_maps(targets)), targets, contract, WEIGHTS, 1.0, torch.Generator().manual_seed(0))
    expected = sum(getattr(WEIGHTS, name) * value for name, value in terms.items())
    torch.testing.assert_close(total(terms, WEIGHTS, 1.0), expected)
    assert min(terms.values()) > 1e-4


def test_position_is_not_even_computed_before_its_time(contract, targets, ideal_maps, monkeypatch) -> None:
    monkeypatch.setattr(losses, "position_loss", lambda *_: pytest.fail("computed"))
    terms = loss_terms(ideal_maps(targets), targets, contract, WEIGHTS, 0.2)
    assert "position" not in terms


@pytest.mark.parametrize(
    ("term", "trained"),
    [("position", {"hps", "dim"}), ("conf", {"prob"}), ("rot", {"rot"}), ("hm", {"hm"}), ("hp_offset", {"hp_offset"})],
)
def test_each_term_trains_its_own_heads(contract, targets, ideal_maps, term, trained) -> None:
    maps = noisy(ideal_maps(targets))
    terms = loss_terms(maps, targets, contract, WEIGHTS, 1.0, torch.Generator().manual_seed(0))
    terms[term].backward()
    assert {name for name, value in maps.items() if value.grad is not None and value.grad.abs().sum() > 0} == trained


def test_a_depth_head_learns_its_depth_and_with_the_keypoints_the_position(contract, targets, ideal_maps) -> None:
    contract = replace(contract, depth_head=True)
    maps = ideal_maps(targets)
    for term, trained in (("depth", {"depth"}), ("position", {"hps", "dim", "depth"})):
        leaves = noisy(maps)
        terms = loss_terms(leaves, targets, contract, WEIGHTS, 1.0, torch.Generator().manual_seed(0))
        terms[term].backward()
        grads = {name for name, value in leaves.items() if value.grad is not None and value.grad.abs().sum() > 0}
        assert grads == trained
    assert loss_terms(maps, targets, contract, WEIGHTS, 0.0)["depth"] < 1e-4
    shifted = maps | {"depth": maps["depth"] + 0.25}
    assert loss_terms(shifted, targets, contract, WEIGHTS, 0.0)["depth"].item() == pytest.approx(0.25, rel=1e-3)


def test_keypoints_behind_the_camera_do_not_place_the_box(contract, targets, ideal_maps) -> None:
    maps = ideal_maps(targets)
    hidden = {**targets, "hps_mask": targets["hps_mask"].clone()}
    hidden["hps_mask"][..., :4] = 0
    index = targets["index"]
    for image in range(len(index)):
        cells = index[image][targets["valid"][image]]
        maps["hps"][image].flatten(1)[:8, cells] += 50.0  # nonsense where the mask says so
    found = loss_terms(maps, hidden, contract, LossWeights(keypoint_dropout=False), 1.0)
    assert found["position"] < 0.02


def test_orientation_of_empty_slots_counts_for_nothing(targets) -> None:
    generator = torch.Generator().manual_seed(0)
    rot = torch.randn(2, 32, 8, generator=generator)
    valid = targets["valid"].float()
    before = losses.orientation_loss(rot, targets["rot"], targets["rot_mask"], valid)
    rot[~targets["valid"]] = 100.0
    assert losses.orientation_loss(rot, targets["rot"], targets["rot_mask"], valid) == before


def test_orientation_of_an_undecided_network_costs_two_bits(targets) -> None:
    valid = targets["valid"].float()
    none = torch.zeros_like(targets["rot_mask"])
    found = losses.orientation_loss(torch.zeros(2, 32, 8), targets["rot"], none, valid)
    assert found.item() == pytest.approx(2 * math.log(2), rel=1e-4)


def test_keypoint_loss_averages_over_what_is_visible() -> None:
    predicted, target = torch.zeros(1, 2, 18), torch.zeros(1, 2, 9, 2)
    mask = torch.zeros(1, 2, 9)
    mask[0, 0, :3] = 1
    target[0, 0, :3] = 2.0
    target[0, :, 3:] = math.nan  # whatever stands in masked places
    found = losses.keypoint_loss(predicted, target, mask, torch.tensor([[14.0, 14.0]]))
    assert found.item() == pytest.approx(2 * 1.1, rel=1e-3)


def test_wrong_solutions_do_not_pull(contract, targets, ideal_maps) -> None:
    maps = ideal_maps(targets)
    maps["hps"] = (0.01 * maps["hps"]).requires_grad_()  # keypoints shrunk to a point: far, far away
    terms = loss_terms(maps, targets, contract, WEIGHTS, 1.0)
    assert terms["position"] == 0


def test_an_empty_batch_trains_without_trouble(contract, camera, batched, ideal_maps) -> None:
    affine = letterbox(1242, 375, contract.input_width, contract.input_height)
    empty = batched(encode(contract, Boxes3D.empty(contract.classes), camera, affine))
    maps = noisy(ideal_maps(empty))
    loss = total(loss_terms(maps, empty, contract, WEIGHTS, 1.0), WEIGHTS, 1.0)
    loss.backward()
    assert loss.isfinite()
    assert all(value.grad is None or value.grad.isfinite().all() for value in maps.values())


def test_a_loss_that_is_not_finite_stops_with_the_values(contract, targets, ideal_maps) -> None:
    maps = ideal_maps(targets)
    maps["wh"] = maps["wh"] * math.nan
    with pytest.raises(InputError, match=r"loss is nan.*hm 0.*wh nan.*expected finite"):
        total(loss_terms(maps, targets, contract, WEIGHTS, 0.0), WEIGHTS, 0.0)


def test_keypoint_dropout_can_be_repeated_and_switched_off(contract, targets, ideal_maps) -> None:
    maps = noisy(ideal_maps(targets))

    def position(weights: LossWeights, seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        return loss_terms(maps, targets, contract, weights, 1.0, generator)["position"].item()

    assert position(WEIGHTS, 0) == position(WEIGHTS, 0) != position(WEIGHTS, 1)
    without = LossWeights(keypoint_dropout=False)
    assert position(without, 0) == position(without, 1)
