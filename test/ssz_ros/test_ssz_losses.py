"""Loss terms against values computed by hand and against PyTorch's own, and where there is nothing to learn from."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssz_ros.losses import (
    LossWeights,
    class_weights,
    discriminator_total,
    generator_total,
    paper_pose,
    realness,
    soft_jaccard,
    stable_pose,
    voxel_nll,
)
from ssz_ros.pose_codec import PoseGrid
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import UNKNOWN

GRID = Fruxel(2.0, 12.0, 8, 8, 8, 40.0)


def some_cells(unknown: float = 0.2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 5, 4, 3, 6, generator=rng)
    labels = torch.randint(0, 5, (2, 4, 3, 6), dtype=torch.uint8, generator=rng)
    labels[torch.rand(labels.shape, generator=rng) < unknown] = UNKNOWN
    return logits, labels, torch.tensor([0.1, 0.5, 1.0, 2.0, 0.0])


def test_weights_of_classes_by_the_root_of_their_frequency() -> None:
    frequency = torch.tensor([0.7, 0.004, 0.03, 0.012, 0.008, 0.008, 0.06, 0.03, 0.002, 0.146])
    expected = [0.13, 1.77, 0.65, 1.02, 1.25, 1.25, 0.46, 0.65, 2.51, 0.29]  # without the 1e-4 that keeps it finite
    torch.testing.assert_close(class_weights(frequency), torch.tensor(expected), rtol=0.02, atol=0.005)


def test_classes_that_do_not_occur_weigh_nothing_and_none_weighs_all() -> None:
    weights = class_weights(torch.tensor([0.5, 0.5, 0.0]))
    assert torch.equal(weights, torch.tensor([1.0, 1.0, 0.0]))
    assert not class_weights(torch.zeros(3)).any()
    assert class_weights(torch.tensor([1.0] + [1e-9] * 3)).min() >= 0.1


def test_nll_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 1, 2)  # cells: (2, 0) and (0, 1)
    labels = torch.tensor([0, 0], dtype=torch.uint8).reshape(1, 1, 1, 2)
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2
    assert voxel_nll(logits, labels, torch.tensor([3.0, 1.0])).item() == pytest.approx(expected)
    labels = torch.tensor([0, 1], dtype=torch.uint8).reshape(1, 1, 1, 2)
    expected = (3 * math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 4
    assert voxel_nll(logits, labels, torch.tensor([3.0, 1.0])).item() == pytest.approx(expected)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_nll_is_the_weighted_cross_entropy_of_pytorch(layout: str) -> None:
    logits, labels, weights = some_cells()
    if layout == "channels_last":
        logits = logits.contiguous(memory_format=torch.channels_last_3d)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = voxel_nll(ours, labels, weights)
    expected = F.cross_entropy(theirs, labels.long(), weights, ignore_index=UNKNOWN)
    torch.testing.assert_close(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_nll_of_bfloat16_is_float32_but_for_the_rounding_of_logits() -> None:
    logits, labels, weights = some_cells()
    rounded = logits.bfloat16().requires_grad_()
    loss = voxel_nll(rounded, labels, weights)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, voxel_nll(rounded.detach().float(), labels, weights))
    loss.backward()
    assert rounded.grad is not None and rounded.grad.dtype == torch.bfloat16


def test_nll_stays_finite_far_out_and_without_known_cells() -> None:
    logits, labels, weights = some_cells()
    assert torch.isfinite(voxel_nll(1e4 * logits, labels, weights))
    logits.requires_grad_()
    loss = voxel_nll(logits, torch.full_like(labels, UNKNOWN), weights)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.any()


def plain_jaccard(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    known = labels < logits.shape[1]
    p = logits.softmax(1).movedim(1, -1)[known]
    y = F.one_hot(labels[known].long(), logits.shape[1])
    counted = [c for c in range(1, logits.shape[1]) if y[:, c].any()]
    each = [(p * y)[:, c].sum() / (p + y - p * y)[:, c].sum() for c in counted]
    return 1 - torch.stack(each).mean()


@pytest.mark.parametrize("absent", [(), (1, 3)])
def test_jaccard_and_its_gradient_are_what_the_formula_written_down_gives(absent: tuple[int, ...]) -> None:
    logits, labels, _ = some_cells()
    for label in absent:
        labels[labels == label] = 2
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss, expected = soft_jaccard(ours, labels), plain_jaccard(theirs, labels)
    torch.testing.assert_close(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_jaccard_of_certain_cells_is_one_minus_their_mean_iou() -> None:
    labels = torch.tensor([0, 1, 1, 2, 2, UNKNOWN], dtype=torch.uint8).reshape(1, 1, 1, 6)
    found = torch.tensor([1, 1, 1, 2, 0, 2]).reshape(1, 1, 1, 6)  # IoU: 2/3 of the first class, 1/2 of the second
    certain = 50 * F.one_hot(found, 3).movedim(-1, 1).float()
    assert soft_jaccard(certain, labels).item() == pytest.approx(1 - (2 / 3 + 1 / 2) / 2, abs=1e-6)


@pytest.mark.parametrize("value", [0, UNKNOWN])
def test_jaccard_of_air_or_unknown_cells_alone_asks_for_nothing(value: int) -> None:
    logits, labels, _ = some_cells()
    low = logits.bfloat16().requires_grad_()
    loss = soft_jaccard(low, torch.full_like(labels, value))
    loss.backward()
    assert loss.dtype == torch.float32 and loss.item() == 0
    assert low.grad is not None and low.grad.dtype == torch.bfloat16 and not low.grad.any()


def test_realness_by_hand() -> None:
    certificate = torch.tensor([2.0, -1.0]).reshape(1, 1, 1, 1, 2)
    real, fake = math.log1p(math.exp(-2)), math.log1p(math.exp(1))
    assert realness(certificate, True, None).item() == pytest.approx((real + fake) / 2)
    targets = {"object": torch.tensor([True, False]).reshape(1, 1, 1, 2)}
    assert realness(certificate, True, targets).item() == pytest.approx((real + 0.1 * fake) / 1.1)
    assert realness(certificate, False, None).item() == pytest.approx((2 + real + fake - 1) / 2)
    nothing = {"object": torch.zeros(1, 1, 1, 2, dtype=torch.bool)}
    assert realness(certificate, True, nothing).item() == pytest.approx((real + fake) / 2)


def one_object(rotation: str, code: list[float], rotates: bool = True) -> tuple[PoseGrid, dict[str, torch.Tensor]]:
    """A grid of one cell with an object at its centre, 7 m ahead."""
    targets = {
        "object": torch.ones(1, 1, 1, 1, dtype=torch.bool),
        "translation": torch.tensor([0.0, 0.0, 7.0]).reshape(1, 3, 1, 1, 1),
        "rotation": torch.tensor(code).reshape(1, -1, 1, 1, 1),
        "rotates": torch.full((1, 1, 1, 1), rotates),
    }
    return PoseGrid(GRID, (1, 1, 1), rotation), targets


def certificate(depth: float, code: list[float]) -> torch.Tensor:
    """Says the middle of rows and columns, and a depth of 2 m + 10 m of sigmoid(logit)."""
    logit = math.log((depth - 2) / (12 - depth))
    return torch.tensor([0.0, logit, 0.0, 0.0, *code]).reshape(1, -1, 1, 1, 1)


def test_stable_pose_by_hand() -> None:
    grid, targets = one_object("double_yaw", [1.0, 0.0])
    assert stable_pose(certificate(7, [3, 0]), targets, grid).item() == pytest.approx(0, abs=1e-6)
    assert stable_pose(certificate(10, [3, 0]), targets, grid).item() == pytest.approx(9 / 144, rel=1e-4)
    assert stable_pose(certificate(7, [0, 2]), targets, grid).item() == pytest.approx(0.1, rel=1e-4)
    assert stable_pose(certificate(7, [-1, 0]), targets, grid).item() == pytest.approx(0.2, rel=1e-4)
    grid, targets = one_object("double_yaw", [1.0, 0.0], rotates=False)
    assert stable_pose(certificate(7, [-1, 0]), targets, grid).item() == pytest.approx(0, abs=1e-6)


def test_a_quaternion_and_its_negative_are_the_same_rotation() -> None:
    grid, targets = one_object("quaternion", [0.6, 0.8, 0.0, 0.0])
    for loss in (stable_pose, paper_pose):
        assert loss(certificate(7, [-1.2, -1.6, 0, 0]), targets, grid).item() == pytest.approx(0, abs=1e-6)
    assert stable_pose(certificate(7, [0.8, -0.6, 0, 0]), targets, grid).item() == pytest.approx(0.1, rel=1e-4)


def test_paper_pose_by_hand() -> None:
    """Half a turn about y takes 7 m ahead to 7 m behind: 14 m apart."""
    grid, targets = one_object("quaternion", [1.0, 0.0, 0.0, 0.0])
    assert paper_pose(certificate(7, [0, 0, 1, 0]), targets, grid).item() == pytest.approx(14**2 / 144, rel=1e-4)
    assert paper_pose(certificate(10, [1, 0, 0, 0]), targets, grid).item() == pytest.approx(9 / 144, rel=1e-4)
    quarter = [math.sqrt(0.5), 0, math.sqrt(0.5), 0]  # to 7 m aside
    assert paper_pose(certificate(7, quarter), targets, grid).item() == pytest.approx(2 * 49 / 144, rel=1e-4)


def test_the_paper_has_no_yaws() -> None:
    grid, targets = one_object("yaw", [1.0, 0.0])
    with pytest.raises(InputError, match="quaternion"):
        paper_pose(certificate(7, [1, 0]), targets, grid)


@pytest.mark.parametrize("loss", [stable_pose, paper_pose])
def test_no_objects_teach_no_poses(loss) -> None:
    grid = PoseGrid(GRID, (2, 2, 2), "quaternion")
    targets = {name: torch.from_numpy(value)[None] for name, value in grid.encode(None).items()}
    found = torch.zeros(1, grid.channels, 2, 2, 2, requires_grad=True)
    value = loss(found, targets, grid)
    value.backward()
    assert value.item() == 0
    assert found.grad is not None and np.array_equal(found.grad, np.zeros_like(found.grad))


def test_totals_are_visible_weighted_sums() -> None:
    weights = LossWeights(nll=2, adversarial=3, pose=5, real=7, fake=11, real_pose=13)
    one = torch.tensor(1.0)
    assert generator_total({"nll": one, "adversarial": one, "pose": one}, weights) == 10
    assert generator_total({"nll": one}, weights) == 2
    assert discriminator_total({"real": one, "fake": one, "pose": one}, weights) == 31
    with pytest.raises(InputError, match="pose nan"):
        generator_total({"nll": one, "pose": one * math.nan}, weights)


def test_negative_weights_are_refused() -> None:
    with pytest.raises(InputError, match="adversarial"):
        LossWeights(adversarial=-1)
