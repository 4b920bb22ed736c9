"""Agreement with a LiDAR: numbers by hand, and what bounds them."""

import math

import numpy as np
import pytest

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.metrics.voxel_rays import Measured, agreement, scores
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN, Voxels

GRID = Fruxel(2.0, 26.0, 24, 9, 9, 50.0)  # slices of 1 m
CAR, GROUND = CLASSES.index("car"), CLASSES.index("ground")
CELLS = np.array([[3, 4, 4], [3, 4, 6], [10, 4, 4], [20, 8, 8]])


def _measured(free: list[list[int]] | None = None) -> Measured:
    """A return in the middle of each of CELLS, the last outside of nothing; the second and third on a car."""
    space = np.zeros(GRID.shape, bool)
    for cell in free or []:
        space[tuple(cell)] = True
    points = np.concatenate([GRID.centers(CELLS), [[0.0, 0.0, 40.0]]])
    obstacle, car = np.array([0, 1, 1, 1, 1], bool), np.array([0, 1, 1, 0, 1], bool)
    return Measured(GRID, points, obstacle, car, space)


def _voxels(cells: dict[tuple[int, int, int], int]) -> Voxels:
    labels = np.full(GRID.shape, AIR, np.uint8)
    for cell, label in cells.items():
        labels[cell] = label
    return Voxels(labels, GRID)


def test_shares_by_hand() -> None:
    voxels = _voxels({(3, 4, 4): GROUND, (11, 5, 3): CAR, (5, 0, 0): GROUND, (12, 0, 0): CAR})
    found = scores(agreement(voxels, _measured([[5, 0, 0], [6, 0, 0], [12, 0, 0], [1, 1, 1]])))
    assert found["returns in"] == 1 / 4
    assert found["returns near"] == 2 / 4  # (3, 4, 6) is two away, (20, 8, 8) alone
    assert found["obstacles in"] == 0
    assert found["obstacles near"] == 1 / 3
    assert found["cars in"] == 0 and found["cars near"] == 1 / 2
    assert found["free occupied"] == 2 / 4
    assert found["returns near/0-10 m"] == 1 / 2 and found["cars near/10-20 m"] == 1
    assert found["free occupied/0-10 m"] == 1 / 3 and found["free occupied/10-20 m"] == 1
    assert math.isnan(found["cars in/20-40 m"]) and "returns in/40-inf m" not in found


def test_a_car_of_another_class_is_met_as_occupied_alone() -> None:
    found = scores(agreement(_voxels({(3, 4, 6): GROUND, (10, 4, 4): GROUND}), _measured()))
    assert found["obstacles in"] == 2 / 3 and found["cars near"] == 0


def test_all_and_nothing_are_the_bounds() -> None:
    measured = _measured([[1, 1, 1], [2, 2, 2]])
    full = scores(agreement(Voxels(np.full(GRID.shape, CAR, np.uint8), GRID), measured))
    empty = scores(agreement(_voxels({}), measured))
    assert {v for k, v in full.items() if not math.isnan(v)} == {1.0}
    assert {v for k, v in empty.items() if not math.isnan(v)} == {0.0}


def test_what_is_unknown_is_not_judged() -> None:
    voxels = _voxels({(3, 4, 4): UNKNOWN, (3, 4, 6): CAR, (1, 1, 1): UNKNOWN})
    counts = agreement(voxels, _measured([[1, 1, 1], [2, 2, 2]]))
    assert counts.hits[0, 0].sum() == 3 and counts.hits[0, 1].sum() == 1
    assert counts.free.sum(-1).tolist() == [1, 0]


def test_counts_add_up() -> None:
    one = agreement(_voxels({(3, 4, 4): CAR}), _measured([[1, 1, 1]]))
    other = agreement(_voxels({(1, 1, 1): CAR}), _measured([[1, 1, 1]]))
    both = scores(one + other)
    assert both["returns in"] == 1 / 8 and both["free occupied"] == 1 / 2


def test_another_grid_and_parts_that_do_not_belong_together_are_refused() -> None:
    coarse = Fruxel(2.0, 26.0, 12, 9, 9, 50.0)
    with pytest.raises(InputError, match="grid of the voxels"):
        agreement(Voxels(np.zeros(coarse.shape, np.uint8), coarse), _measured())
    with pytest.raises(InputError, match="shape of car"):
        Measured(GRID, np.zeros((3, 3)), np.zeros(3, bool), np.zeros(2, bool), np.zeros(GRID.shape, bool))
