"""A small network over a small range."""

import importlib.util

import numpy as np
import pytest
from tiny_point_detr3d import TINY

from voxbox_core.boxes import Axes, Boxes3D

if importlib.util.find_spec("rclpy") is None:
    collect_ignore = ["node"]


@pytest.fixture(scope="session")
def contract():
    return TINY


@pytest.fixture(scope="session")
def scene(contract):
    """Seed -> boxes all over the range, far enough apart that no two share a cell, in the network frame."""

    def boxes(seed, count=6):
        rng = np.random.default_rng(seed)
        places = [(x, y) for x in np.arange(-11.0, 12.0, 4.0) for y in (-4.0, 0.0, 4.0)]
        chosen = rng.permutation(len(places))[:count]
        label = rng.integers(0, len(contract.classes), count)
        size = np.array(contract.mean_sizes)[label] * rng.uniform(0.9, 1.1, (count, 3))
        xy = np.array(places)[chosen] + rng.uniform(-0.7, 0.7, (count, 2))
        return Boxes3D(
            center=np.concatenate([xy, size[:, 2:] / 2], 1),
            size=size,
            yaw=rng.uniform(-np.pi, np.pi, count),
            label=label,
            score=np.ones(count),
            box2d=np.full((count, 4), np.nan),
            classes=contract.classes,
            axes=Axes.BODY,
        )

    return boxes
