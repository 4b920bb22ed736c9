"""Two views of one world agree once they are aligned, and what differs is charged where objects are."""

import numpy as np
import pytest
import torch

from point_detr3d_ros.consistency import align, consistency_loss, feature_spread, point_mask
from point_detr3d_ros.contract import Contract
from voxbox_core.datasets.augment_cloud import CloudAugmentation
from voxbox_core.datasets.rig import Prompts

CONTRACT = Contract()
OBLONG = Contract(x=(0.0, 70.4), y=(-40.0, 40.0))


def field(contract, matrix=None):
    """A smooth vector field over the ground, (1, 4, ny, nx), of a world moved by `matrix`."""
    cell = contract.grid.cell * 2
    ny, nx = contract.grid.ny // 2, contract.grid.nx // 2
    y, x = np.mgrid[:ny, :nx]
    places = np.stack([contract.x[0] + (x + 0.5) * cell, contract.y[0] + (y + 0.5) * cell, 0 * x, 0 * x + 1.0])
    px, py = np.einsum("ij,jyx->iyx", np.linalg.inv(np.eye(4) if matrix is None else matrix), places)[:2]
    waves = [np.sin(px / 6), np.cos(py / 7), np.sin((px + py) / 9), np.cos((px - 2 * py) / 15)]
    return torch.tensor(np.stack(waves)[None], dtype=torch.float32)


def strong_matrix(seed):
    return CloudAugmentation.strong().draw(np.random.default_rng(seed)).matrix


def batch(*matrices):
    return torch.tensor(np.stack(matrices), dtype=torch.float32)


@pytest.mark.parametrize("contract", [CONTRACT, OBLONG])
@pytest.mark.parametrize("seed", range(8))
def test_aligned_maps_agree_wherever_both_are_known(contract, seed):
    matrix = strong_matrix(seed)
    weak = field(contract)
    aligned, known = align(field(contract, matrix), batch(matrix), contract)
    error = (aligned - weak).abs().amax(1) * known
    assert error.max() < 1e-2
    if contract is CONTRACT or matrix[0, 0] > 0:  # mirrored in x, an oblong map sees another world
        assert known.mean() > 0.6


def test_unaligned_maps_do_not():
    """So the test above can fail."""
    assert (field(CONTRACT, strong_matrix(0)) - field(CONTRACT)).abs().max() > 1


def test_cells_that_moved_off_the_map_are_not_known():
    matrix = np.eye(4)
    matrix[0, 3] = 10.0  # the strong view is shifted by 12.5 cells
    _, known = align(field(CONTRACT), batch(matrix), CONTRACT)
    assert known[0, :, :115].all() and not known[0, :, 116:].any()


def prompts_at(points, classes=CONTRACT.classes, label=0):
    points = np.atleast_2d(np.asarray(points, np.float64))
    return Prompts(points, np.full(len(points), label), classes)


def test_the_mask_is_one_at_the_points_and_nothing_far_away():
    mask, count = point_mask(prompts_at([[10.0, -20.0, 0.5], [-30.0, 5.0, 0.5]]), CONTRACT, 1.0)
    assert mask.shape == (128, 128) and mask.dtype == np.float32 and count == 2
    cells = [(int((y + 51.2) / 0.8), int((x + 51.2) / 0.8)) for x, y in ((10, -20), (-30, 5))]
    assert all(mask[cell] == 1 for cell in cells) and (mask == 1).sum() == 2
    assert (mask > 0).sum() == 2 * 25  # radius 2
    larger, _ = point_mask(prompts_at([[10.0, -20.0, 0.5]], label=3), CONTRACT, 4.0)
    assert (larger > 0).sum() > 300


def test_points_that_do_not_count_leave_no_mark():
    beside = prompts_at([[51.3, 0, 0], [0, -60, 0], [-51.21, 3, 0]])
    for prompts in (beside, prompts_at([[1.0, 2, 0]], ("Tram",)), prompts_at(np.zeros((0, 3)))):
        mask, count = point_mask(prompts, CONTRACT, 1.0)
        assert not mask.any() and count == 0


def test_labels_are_understood_by_name():
    swapped = tuple(reversed(CONTRACT.classes))
    bus = CONTRACT.classes.index("Bus")
    here, _ = point_mask(prompts_at([[5.0, 5, 0]], label=bus), CONTRACT, 4.0)
    there, _ = point_mask(prompts_at([[5.0, 5, 0]], swapped, swapped.index("Bus")), CONTRACT, 4.0)
    assert np.array_equal(here, there)


def test_views_of_one_world_cost_nothing_and_others_do():
    matrices = [strong_matrix(seed) for seed in range(4)]
    strong = torch.cat([field(CONTRACT, m) for m in matrices])
    weak = field(CONTRACT).repeat(4, 1, 1, 1)
    mask, count = point_mask(prompts_at([[10.0, -20.0, 0.5], [-20.0, 5.0, 0.5]]), CONTRACT, 1.0)
    guide = (torch.tensor(mask).repeat(4, 1, 1), torch.tensor([count] * 4))
    for given in (guide, (None, None)):
        same = consistency_loss(strong, weak, batch(*matrices), CONTRACT, *given)
        wrong = consistency_loss(strong, weak, batch(*matrices[1:], matrices[0]), CONTRACT, *given)
        assert same < 1e-3 < 0.1 < wrong


def test_the_loss_is_twice_one_minus_the_cosine_under_the_mask_per_object():
    torch.manual_seed(0)
    strong, weak = torch.randn(2, 6, 128, 128), torch.randn(2, 6, 128, 128)
    mask = torch.rand(2, 128, 128)
    identity = batch(np.eye(4), np.eye(4))
    cosine = torch.cosine_similarity(strong, weak, dim=1)
    found = consistency_loss(strong, weak, identity, CONTRACT, mask, torch.tensor([3, 4]))
    assert found.item() == pytest.approx((2 * mask * (1 - cosine)).sum().item() / 7, rel=1e-4)
    full = consistency_loss(strong, weak, identity, CONTRACT)
    assert full.item() == pytest.approx((2 * (1 - cosine)).mean().item(), rel=1e-4)


def test_gradients_are_finite_and_only_of_the_strong_view():
    strong, weak = torch.randn(1, 4, 128, 128).relu(), torch.rand(1, 4, 128, 128)
    strong[:, :, :64] = 0  # empty cells
    strong.requires_grad_(), weak.requires_grad_()
    mask, objects = torch.rand(1, 128, 128), torch.tensor([5])
    consistency_loss(strong, weak, batch(strong_matrix(1)), CONTRACT, mask, objects).backward()
    assert weak.grad is None and strong.grad.isfinite().all() and strong.grad.abs().max() > 0


def test_without_objects_the_loss_is_zero():
    nothing = torch.zeros(1, 128, 128), torch.tensor([0])
    loss = consistency_loss(
        torch.rand(1, 4, 128, 128), torch.rand(1, 4, 128, 128), batch(np.eye(4)), CONTRACT, *nothing
    )
    assert loss == 0


def test_the_spread_tells_a_collapse():
    torch.manual_seed(0)
    free = torch.randn(2, 32, 64, 64)
    assert feature_spread(free) == pytest.approx(1.0, abs=0.05)
    assert feature_spread(free[:1, :, :1, :1].expand_as(free[:1]) + 1e-4 * free[:1]) < 0.01
