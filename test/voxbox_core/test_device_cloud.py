"""The same pillars whether points are an array or a tensor, on whatever device."""

import numpy as np
import pytest
import torch
from devices import on_each_device

from voxbox_core import device_cloud
from voxbox_core.cloud import FEATURES, Grid, Pillars, pillars

GRID = Grid((-51.2, 51.2), (-25.6, 25.6), (-1.0, 5.0), 0.4)


def cloud(count: int, seed: int = 0) -> np.ndarray:
    """Many points in few cells, some outside, some not finite, some on the cells' edges."""
    rng = np.random.default_rng(seed)
    xyz = np.concatenate(
        [rng.normal([8.0, -3.0, 0.5], [14.0, 7.0, 1.0], (count // 2, 3)), rng.uniform(-55, 55, (count - count // 2, 3))]
    )
    points = np.concatenate([xyz, rng.random((count, 2))], 1).astype(np.float32)
    points[::17, :2] = np.round(points[::17, :2] / 0.4) * 0.4
    points[::101, rng.integers(0, 3)] = np.nan
    return points[rng.permutation(count)]


def assert_alike(found: Pillars, expected: Pillars) -> None:
    features, cell = (np.asarray(tensor.cpu()) for tensor in (found.features, found.cell))
    counted = ("occupied", "overflow_pillars", "overflow_points")
    assert [getattr(found, name) for name in counted] == [getattr(expected, name) for name in counted]
    np.testing.assert_array_equal(cell, expected.cell)
    assert cell.dtype == expected.cell.dtype
    assert features.shape == expected.features.shape
    np.testing.assert_array_equal(features[..., :5], expected.features[..., :5])
    # Sums of a few numbers in float64 seldom round, and so the order of adding seldom matters after float32.
    np.testing.assert_allclose(features[..., 5:], expected.features[..., 5:], rtol=1e-6, atol=1e-7)


@on_each_device
@pytest.mark.parametrize(("per_pillar", "most"), [(20, 40000), (3, 40000), (20, 700), (1, 1)])
def test_the_same_pillars_points_and_places(device, per_pillar, most) -> None:
    for seed in range(3):
        points = cloud(30_000, seed)
        expected = pillars(points, GRID, per_pillar, most)
        assert most == 40000 or expected.overflow_pillars
        assert_alike(device_cloud.pillars(torch.from_numpy(points).to(device), GRID, per_pillar, most), expected)


@on_each_device
def test_the_same_bytes_each_time(device) -> None:
    points = torch.from_numpy(cloud(30_000)).to(device)
    first, second = (device_cloud.pillars(points, GRID, 4, 700) for _ in range(2))
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.cell, second.cell)


@on_each_device
@pytest.mark.parametrize("count", [1, 3, 7, 8, 9, 23])
def test_full_pillars_keep_the_same_points(device, count) -> None:
    points = np.zeros((count, 5), np.float32)
    points[:, 3] = 1 + np.arange(count)
    found = device_cloud.pillars(torch.from_numpy(points).to(device), GRID, 8, 5)
    assert_alike(found, pillars(points, GRID, 8, 5))


@on_each_device
def test_nothing_and_nan_are_no_pillars(device) -> None:
    for points in (np.zeros((0, 5)), np.full((3, 5), np.nan), np.full((3, 5), np.inf)):
        there = torch.from_numpy(points.astype(np.float32)).to(device)
        found = device_cloud.pillars(there, GRID, 8, 10)
        assert tuple(found.features.shape) == (0, 8, FEATURES)
        assert (found.occupied, found.overflow_pillars, found.overflow_points) == (0, 0, 0)


@on_each_device
def test_points_at_the_upper_edges(device) -> None:
    edge = np.nextafter(np.float32(51.2), np.float32(0)), np.nextafter(np.float32(25.6), np.float32(0))
    points = np.array([[*edge, 0, 0, 0], [51.2, 0, 0, 0, 0], [-51.2, -25.6, -1, 0, 0]], np.float32)
    found = device_cloud.pillars(torch.from_numpy(points).to(device), GRID, 1, 9)
    assert_alike(found, pillars(points, GRID, 1, 9))
