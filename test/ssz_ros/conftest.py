"""A small grid, and a camera that sees all of it."""

import importlib.util

import numpy as np
import pytest

from ssz_ros.contract import Contract
from voxbox_core.camera import Camera

if importlib.util.find_spec("rclpy") is None:
    collect_ignore = ["node"]


@pytest.fixture
def contract() -> Contract:
    return Contract(slices=8, rows=12, columns=24, per_cell=2, encoder=(4, 8, 8), decoder=(8, 4))


@pytest.fixture
def camera() -> Camera:
    """70 deg wide, its principal point off the middle."""
    return Camera(np.array([[457.0, 0.0, 330.5], [0.0, 449.0, 222.25], [0.0, 0.0, 1.0]]), 640, 480)
