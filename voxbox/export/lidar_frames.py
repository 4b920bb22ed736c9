"""LiDAR frames to check and to measure a model with: recorded ones, or the street world's."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from voxbox.bag.rig import rig_samples
from voxbox_core.datasets.kitti import read_points
from voxbox_core.datasets.kitti_rig import HEIGHT
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.datasets.rig_folder import RigFolder
from voxbox_core.datasets.street.lidar import PATTERNS
from voxbox_core.datasets.street.rig import CAMERAS, RigScene, RigSettings, build_rig_scene, rig_sample
from voxbox_core.errors import InputError

_MOMENT = 1.0  # s after the scene's beginning


def lidar_frames(data: Path | None, count: int) -> list[RigSample]:
    """The first `count` frames of a folder of rig frames, one such frame (.npz), KITTI's clouds (a .bin or a folder of
    them) or a ROS 2 bag; of the street world where data is None. Raises InputError where there are none."""
    if data is None:
        return [street_frame(i) for i in range(count)]
    frames = list(islice(_frames(data), count))
    if not frames:
        raise InputError(f"LiDAR frames in {data}", "none", "at least 1", "Give another --data.")
    return frames


def calibration_frames(data: Path | None, count: int) -> Iterator[RigSample]:
    """`count` streets, and the first `count` frames of `data`, if there are any. Frames of one street are too much
    alike: of other streets more would be cut off."""
    yield from tqdm((street_frame(i) for i in range(count)), "calibrating", total=count, unit="frame")
    if data is not None:
        yield from lidar_frames(data, count)


def street_frame(seed: int) -> RigSample:
    """All around a car in the street of a seed, from 64, 32 or 16 beams in turn, 128k points and fewer. The cameras'
    images, which take a renderer, are noise."""
    patterns = sorted(PATTERNS, reverse=True)
    settings = RigSettings(len(CAMERAS), beams=patterns[seed % len(patterns)], randomise=False)
    scene, rng = build_rig_scene(seed, settings), np.random.default_rng(seed)
    sample = rig_sample(scene, None, _MOMENT, f"street {seed}", rng)
    return replace(sample, views=tuple(_noise_views(scene, rng)))


def _noise_views(rig: RigScene, rng: np.random.Generator) -> Iterator[View]:
    ego_from_lidar = rig.scene.rig.ego_from_lidar
    for mount in rig.mounts:
        image = rng.integers(0, 256, (mount.camera.height, mount.camera.width, 3), np.uint8)
        yield View(mount.name, image, mount.camera, np.linalg.inv(mount.ego_from_camera) @ ego_from_lidar)


def _frames(data: Path) -> Iterator[RigSample]:
    if data.suffix == ".bin":
        return iter([_kitti_cloud(data)])
    if data.suffix == ".npz":
        folder = RigFolder(data.parent)
        return (folder[i] for i, name in enumerate(folder.names) if name == data.stem)
    if data.is_dir() and any(data.glob("*.npz")):
        folder = RigFolder(data)
        return (folder[i] for i in range(len(folder)))
    if data.is_dir() and any(data.glob("*.bin")):
        return (_kitti_cloud(path) for path in sorted(data.glob("*.bin")))
    return rig_samples(data)


def _kitti_cloud(path: Path) -> RigSample:
    if not path.is_file():
        raise InputError(f"cloud {path}", "absent", "a .bin file", "Check the path.")
    points = read_points(path)
    return RigSample(path.stem, np.column_stack([points, np.zeros(len(points), np.float32)]), HEIGHT)
