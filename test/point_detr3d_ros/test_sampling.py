"""Sampling against torch's own, and the weighted sum against its definition."""

import pytest
import torch
from torch.nn import functional as F

from point_detr3d_ros.sampling import rows_of, weighted_sum

SIZES = ((6, 10), (3, 5), (2, 3))


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 8, h, w, generator=generator, requires_grad=True) for h, w in SIZES]


def by_grid_sample(level, location):
    """(C, h, w) at (K, 2) -> (K, C)."""
    found = F.grid_sample(level[None], 2 * location[None, None] - 1, align_corners=False, padding_mode="zeros")
    return found[0, :, 0].T


def sampled(level, location, image):
    """Of one level (B, C, h, w), by one head per point."""
    readers = len(location)
    index = torch.full((readers,), image)
    size = [tuple(level.shape[2:])]
    return weighted_sum(rows_of([level]), size, index, location[:, None, None, None], torch.ones(readers, 1, 1, 1))


@pytest.mark.parametrize("spread", [0.5, 1.0, 3.0, 1e6])
def test_single_samples_are_those_of_grid_sample(maps, spread) -> None:
    location = 0.5 + spread * (2 * torch.rand(500, 2, generator=torch.Generator().manual_seed(1)) - 1)
    for image in (0, 1):
        found = sampled(maps[0], location, image)
        torch.testing.assert_close(found, by_grid_sample(maps[0][image], location), rtol=0, atol=2e-6)


def test_rims_cell_centres_and_corners(maps) -> None:
    height, width = SIZES[0]
    rim = torch.tensor([-0.5, 0.0, 0.5, width - 0.5, width + 0.0, width + 0.5]) / width
    location = torch.cartesian_prod(rim, torch.tensor([0.0, 0.5, height - 0.5, height, height + 0.5]) / height)
    found = sampled(maps[0], location, 1)
    torch.testing.assert_close(found, by_grid_sample(maps[0][1], location), rtol=0, atol=2e-6)
    center = sampled(maps[0], torch.tensor([[3.5 / width, 2.5 / height]]), 0)
    torch.testing.assert_close(center[0], maps[0][0, :, 2, 3])


def test_heads_levels_and_weights(maps) -> None:
    generator = torch.Generator().manual_seed(2)
    location = 1.4 * torch.rand(5, 4, 3, 7, 2, generator=generator) - 0.2
    weight = torch.randn(5, 4, 3, 7, generator=generator)
    image = torch.tensor([0, 1, 1, 0, 1])
    found = weighted_sum(rows_of(maps), SIZES, image, location, weight)
    for n in range(5):
        for m in range(4):
            part = slice(2 * m, 2 * m + 2)
            expected = sum(
                weight[n, m, level] @ by_grid_sample(maps[level][image[n], part], location[n, m, level])
                for level in range(3)
            )
            torch.testing.assert_close(found[n, part], expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_grid_sample(maps) -> None:
    location = torch.rand(50, 2, generator=torch.Generator().manual_seed(3)) * 1.2 - 0.1
    gradients = []
    for sample in (lambda at: sampled(maps[0], at, 1), lambda at: by_grid_sample(maps[0][1], at)):
        at = location.clone().requires_grad_()
        sample(at).square().sum().backward()
        gradients.append((maps[0].grad.clone(), at.grad.clone()))
        maps[0].grad = None
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
