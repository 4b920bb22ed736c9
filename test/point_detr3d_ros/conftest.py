"""A small network over a small range."""

import importlib.util

import numpy as np
import pytest

from point_detr3d_ros.contract import Contract
from voxbox_core.boxes import Axes, Boxes3D

if importlib.util.find_spec("rclpy") is None:
    collect_ignore = ["node"]


@pytest.fixture(scope="session")
def contract():
    return Contract(
        x=(-12.8, 12.8),
        y=(-6.4, 6.4),
        per_pillar=6,
        max_pillars=600,
        pillar_channels=8,
        stage_channels=(8, 12, 16),
        stage_layers=(1, 1, 1),
        neck_channels=8,
        head_channels=8,
        max_detections=20,
        dim=16,
        heads=2,
        free_points=2,
        roi_grid=3,
        ffn=16,
        image_width=64,
        image_height=32,
        image_channels=(8, 8, 8),
    )


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
