"""A folder of small clouds with objects of three classes, and options that train on it in seconds."""

import numpy as np
import pytest
import torch

from point_detr3d_ros.contract import CLASSES
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.datasets.rig_folder import RigWriter

HEIGHT = 1.7
SIZES = {0: (3.9, 1.6, 1.5), 2: (8.0, 2.5, 3.2), 5: (0.8, 0.7, 1.75)}
LIDAR_TO_OPTICAL = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


def boxes(rng):
    """Four objects on a raster, in the LiDAR frame."""
    label = rng.choice(list(SIZES), 4)
    size = np.array([SIZES[c] for c in label])
    xy = np.array([[-7.0, -3], [-7, 3], [6, -3], [6, 3]]) + rng.uniform(-1, 1, (4, 2))
    center = np.concatenate([xy, size[:, 2:] / 2 - HEIGHT], 1)
    yaw = rng.uniform(-np.pi, np.pi, 4)
    return Boxes3D(center, size, yaw, label, np.ones(4), np.full((4, 4), np.nan), CLASSES, Axes.BODY)


def sample(name, rng, cameras=0):
    """Ground and the sides of the objects, dimmer at their rear."""
    truth = boxes(rng)
    local = rng.uniform(-0.5, 0.5, (4, 80, 3))
    local[:, :40, 0] = np.sign(local[:, :40, 0]) / 2
    local[:, 40:, 1] = np.sign(local[:, 40:, 1]) / 2
    shell = truth.center[:, None] + (local * truth.size[:, None]) @ truth.rotation().transpose(0, 2, 1)
    ground = np.concatenate([rng.uniform([-12.8, -6.4], [12.8, 6.4], (1500, 2)), np.full((1500, 1), -HEIGHT)], 1)
    intensity = np.concatenate([np.where(local[..., 0] > 0, 0.8, 0.2).ravel(), np.full(1500, 0.4)])
    xyz = np.concatenate([shell.reshape(-1, 3), ground])
    points = np.concatenate([xyz, intensity[:, None], np.zeros((len(xyz), 1))], 1).astype(np.float32)
    camera = Camera(np.array([[40.0, 0, 31.5], [0, 40, 15.5], [0, 0, 1]]), 64, 32)
    image = np.full((32, 64, 3), 90, np.uint8)
    views = tuple(View(f"CAM_{i}", image, camera, LIDAR_TO_OPTICAL) for i in range(cameras))
    return RigSample(name, points, HEIGHT, views, truth, np.full(4, 80))


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Twelve frames, with two cameras."""
    folder = tmp_path_factory.mktemp("rigs") / "frames"
    rng = np.random.default_rng(0)
    for i in range(12):
        RigWriter(folder).write(sample(f"{i:06d}", rng, cameras=2))
    return folder


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def options(data):
    """-> arguments of a run that is over in seconds."""

    def arguments(out, *more):
        small = [
            *("--x", -12.8, 12.8, "--y", -6.4, 6.4, "--per-pillar", 6, "--max-pillars", 800),
            *("--batch", 3, "--teacher-batch", 2, "--pretrain-steps", 6, "--teacher-steps", 6, "--student-steps", 8),
            *("--validation", data, "--validation-frames", 3, "--validate-every", 1, "--ema", 0.5),
        ]
        run = ["train", "point-detr3d", "--data", data, "--out", out, "--preset", "compact", "--labelled", 30]
        return [str(word) for word in [*run, *small, *more]]

    return arguments
