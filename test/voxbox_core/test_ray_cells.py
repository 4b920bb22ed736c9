"""Rays through a fruxel grid: the cells they cross are those that points along them lie in, and no others."""

import numpy as np
import pytest

from voxbox_core.fruxel import SPACINGS, Fruxel
from voxbox_core.ray_cells import crossed

ORIGIN = np.array([0.3, -0.4, -0.5])


def _grid(spacing: str = "log") -> Fruxel:
    return Fruxel(2.0, 20.0, 16, 12, 20, 60.0, spacing, (9.3, 6.2))


def _sampled(fruxel: Fruxel, origin: np.ndarray, end: np.ndarray, count: int = 40000) -> np.ndarray:
    part = (np.arange(count) + 0.5)[:, None] / count
    cells, inside = fruxel.locate(origin + part * (end - origin))
    marked = np.zeros(fruxel.shape, bool)
    marked[tuple(cells[inside].T)] = True
    return marked


@pytest.mark.parametrize("spacing", SPACINGS)
def test_cells_are_those_of_points_along_the_ray(spacing: str) -> None:
    fruxel, rng = _grid(spacing), np.random.default_rng(3)
    for end in rng.uniform([-9, -5, 1], [9, 5, 25], (40, 3)):
        found, expected = crossed(fruxel, ORIGIN, end[None]), _sampled(fruxel, ORIGIN, end)
        assert not (expected & ~found).any()
        assert (found & ~expected).sum() <= 1  # a corner that is cut between two samples
    assert crossed(fruxel, ORIGIN, np.array([[0.5, 0.1, 15.0]])).sum() > 8


def test_rays_of_the_camera_stay_in_their_column() -> None:
    fruxel = _grid()
    target = fruxel.centers(np.array([[9, 4, 13]]))
    found = np.argwhere(crossed(fruxel, np.zeros(3), target))
    assert found.tolist() == [[k, 4, 13] for k in range(10)]


def test_a_ray_ends_before_its_point() -> None:
    fruxel = Fruxel(2.0, 12.0, 10, 3, 3, 40.0)
    point = np.array([[0.0, 0.0, 8.6]])
    assert np.flatnonzero(crossed(fruxel, np.zeros(3), point)[:, 1, 1]).max() == 6
    assert np.flatnonzero(crossed(fruxel, np.zeros(3), point, before=1.0)[:, 1, 1]).max() == 5
    assert not crossed(fruxel, np.zeros(3), point, before=9.0).any()


def test_many_rays_are_all_of_each() -> None:
    fruxel, ends = _grid(), np.random.default_rng(5).uniform([-9, -5, 3], [9, 5, 25], (30, 3))
    together = crossed(fruxel, ORIGIN, ends)
    assert np.array_equal(together, np.any([crossed(fruxel, ORIGIN, e[None]) for e in ends], axis=0))


def test_what_lies_behind_crosses_nothing() -> None:
    assert not crossed(_grid(), ORIGIN, np.array([[0.0, 0.0, -3.0], [1.0, 2.0, -0.5]])).any()
    assert not crossed(_grid(), ORIGIN, np.zeros((0, 3))).any()
