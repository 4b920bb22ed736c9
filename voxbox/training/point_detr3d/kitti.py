"""KITTI's frames as a network may learn from them: only what its camera sees is labelled."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.kitti_rig import KittiRig
from voxbox_core.datasets.rig import RigSample

STREET = MappingProxyType({"Person_sitting": "Pedestrian", "Tram": None, "Misc": None})
"""The street world's names for KITTI's types that are not its own; what is None has no box."""


def learnable(folder: KittiRig, index: int, sample: RigSample) -> RigSample:
    """The part of the cloud that camera 2 sees, with the objects in it by the street world's names."""
    camera = folder.camera(index)
    view = camera.intrinsics @ folder.camera_from_lidar(index)[:3]
    pixels = sample.points[:, :3] @ view[:, :3].T + view[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = pixels[:, 0] / pixels[:, 2], pixels[:, 1] / pixels[:, 2]
    seen = (pixels[:, 2] > 0) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    return named(replace(sample, points=sample.points[seen]))


def named(sample: RigSample) -> RigSample:
    """The sample with the objects by the street world's names."""
    if sample.boxes is None:
        return sample
    boxes, kept = _renamed(sample.boxes)
    return replace(sample, boxes=boxes, hits=sample.hits[kept])


def _renamed(boxes: Boxes3D) -> tuple[Boxes3D, np.ndarray]:
    """The boxes that have a name, and which of the given ones they are, (N,) bool."""
    names = [STREET.get(name, name) for name in boxes.classes]
    classes = tuple(dict.fromkeys(name for name in names if name is not None))
    number = np.array([-1 if name is None else classes.index(name) for name in names], np.int64)[boxes.label]
    kept = number >= 0
    return replace(boxes[kept], label=number[kept], classes=classes), kept
