"""Pillars against a plain reference; the same cloud gives the same bytes; what finds no place is counted."""

import numpy as np
import pytest

from voxbox_core.cloud import FEATURES, Grid, pillars
from voxbox_core.errors import InputError

GRID = Grid((-4.0, 4.0), (-2.0, 2.0), (-1.0, 3.0), 0.5)


def cloud(count, seed=0):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform([-4.5, -2.5, -1.5], [4.5, 2.5, 3.5], (count, 3))
    return np.concatenate([xyz, rng.random((count, 2))], 1).astype(np.float32)


def test_each_pillar_holds_the_points_over_its_cell():
    points = cloud(300)
    found = pillars(points, GRID, per_pillar=50, max_pillars=500)
    inside = points[(np.abs(points[:, 0]) < 4) & (np.abs(points[:, 1]) < 2) & (points[:, 2] >= -1) & (points[:, 2] < 3)]
    cell = np.floor((inside[:, 1] + 2) / 0.5).astype(int) * 16 + np.floor((inside[:, 0] + 4) / 0.5).astype(int)
    assert found.cell.tolist() == sorted(set(cell))
    assert (found.occupied, found.overflow_pillars, found.overflow_points) == (len(found.cell), 0, 0)
    for row, at in zip(found.features, found.cell):
        mine = inside[cell == at]
        assert np.array_equal(row[: len(mine), :5], mine)
        assert not row[len(mine) :].any()
        center = [-4 + (at % 16 + 0.5) * 0.5, -2 + (at // 16 + 0.5) * 0.5]
        assert row[: len(mine), 5:8] == pytest.approx(mine[:, :3] - mine[:, :3].mean(0), abs=1e-5)
        assert row[: len(mine), 8:] == pytest.approx(mine[:, :2] - center, abs=1e-5)


def test_the_same_cloud_gives_the_same_bytes():
    first, second = (pillars(cloud(5000), GRID, 4, 60) for _ in range(2))
    assert first.features.tobytes() == second.features.tobytes()
    assert np.array_equal(first.cell, second.cell)


def test_a_full_pillar_keeps_points_spread_over_their_order():
    points = np.zeros((100, 5), np.float32)
    points[:, 3] = np.arange(100)
    found = pillars(points, GRID, per_pillar=10, max_pillars=5)
    assert found.features[0, :, 3].tolist() == list(range(0, 100, 10))
    assert found.overflow_points == 90


@pytest.mark.parametrize("count", [1, 3, 7, 8, 9, 23])
def test_every_place_of_a_full_pillar_is_taken(count):
    points = np.zeros((count, 5), np.float32)
    points[:, 3] = 1 + np.arange(count)
    row = pillars(points, GRID, per_pillar=8, max_pillars=5).features[0]
    assert np.count_nonzero(row[:, 3]) == min(count, 8)
    assert (np.diff(row[: min(count, 8), 3]) > 0).all()


def test_of_too_many_pillars_the_fullest_stay():
    points = cloud(2000)
    every, some = pillars(points, GRID, 64, 500), pillars(points, GRID, 64, 20)
    filled = np.count_nonzero(every.features.any(-1), axis=1)
    assert set(some.cell) == set(every.cell[np.argsort(-filled, kind="stable")[:20]])
    assert some.overflow_pillars == len(every.cell) - 20
    assert some.overflow_points == filled.sum() - np.count_nonzero(some.features.any(-1))


def test_nothing_and_nan_are_no_pillars():
    broken = np.full((3, 5), np.nan, np.float32)
    for points in (broken[:0], broken, np.full((3, 5), np.inf, np.float32)):
        assert pillars(points, GRID, 8, 10).features.shape == (0, 8, FEATURES)


def test_a_point_just_below_the_upper_edge_is_in_the_last_cell():
    edge = np.nextafter(np.float32(4), np.float32(0)), np.nextafter(np.float32(2), np.float32(0))
    assert pillars(np.array([[*edge, 0, 0, 0]], np.float32), GRID, 1, 1).cell.tolist() == [16 * 8 - 1]


@pytest.mark.parametrize(
    ("wrong", "said"), [({"x": (1.0, 1.0)}, "low < high"), ({"cell": 0.3}, "whole number"), ({"cell": 0.0}, "whole")]
)
def test_a_range_that_is_none_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Grid(**{"x": (-4.0, 4.0), "y": (-2.0, 2.0), "z": (-1.0, 3.0), "cell": 0.5, **wrong})
