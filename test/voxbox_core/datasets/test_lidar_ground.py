"""The height map of the ground: found under clutter, where it leans and where it steps."""

import numpy as np
import pytest

from voxbox_core.datasets.lidar_ground import ground_map
from voxbox_core.errors import InputError


def _road(count: int = 20000, slope: float = 0.03, lean: float = -0.02, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(-15, 15, count), rng.uniform(3, 45, count)
    y = 1.6 + lean * x - slope * z + rng.normal(0, 0.02, count)
    return np.stack([x, y, z], -1)


def _height(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 1.6 - 0.02 * x - 0.03 * z


def _clutter(seed: int = 1) -> np.ndarray:
    """Walls and hedges: more returns than of the road, all above it, and mirror images below it."""
    rng = np.random.default_rng(seed)
    place = rng.uniform([-15, 0.3, 5], [-6, 4, 45], (30000, 3))
    wall = np.stack([place[:, 0], _height(place[:, 0], place[:, 2]) - place[:, 1], place[:, 2]], -1)
    ghosts = _road(300) + np.array([0, 1.5, 0])
    return np.concatenate([wall, ghosts])


def test_a_leaning_road_is_found_under_clutter() -> None:
    found = ground_map(np.concatenate([_road(), _clutter()]), 1.65)
    x, z = np.meshgrid(np.linspace(-14, 14, 29), np.linspace(5, 43, 39))
    y, known = found.height(x, z)
    assert known.all()
    assert np.abs(y - _height(x, z)).max() < 0.12
    assert np.abs(y - _height(x, z)).mean() < 0.03


def test_a_pavement_is_higher_than_its_road() -> None:
    road = _road(slope=0, lean=0)
    road[road[:, 0] > 5, 1] -= 0.15
    y, _ = ground_map(road, 1.5).height(np.array([-6.0, 0.0, 10.0]), np.full(3, 15.0))
    assert y == pytest.approx([1.6, 1.6, 1.45], abs=0.04)


def test_below_is_downward_and_known_near_returns_alone() -> None:
    found = ground_map(_road(), 1.65)
    below, known = found.below(np.array([[0, 1.6 - 0.3 + 0.5, 10.0], [0, 1.6 - 0.3 - 0.5, 10.0], [25.0, 1.6, 10.0]]))
    assert below[:2] == pytest.approx([0.5, -0.5], abs=0.05)
    assert known.tolist() == [True, True, False]


def test_without_ground_the_error_tells() -> None:
    with pytest.raises(InputError, match="places with ground returns is .*1.6 m below the camera"):
        ground_map(_clutter()[:30000] - [0, 3, 0], 1.6)
    with pytest.raises(InputError, match="places with ground returns is 0"):
        ground_map(np.zeros((0, 3)), 1.6)
