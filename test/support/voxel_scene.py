"""A street as voxels: flat ground, and boxes on it."""

from collections.abc import Sequence

import numpy as np

from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, CLASSES, Voxels

Box = tuple[str, Sequence[float], Sequence[float]]
"""Class, and least and greatest x (to the right), y (above the ground), z (ahead) in a level camera's frame, m."""


def street(fruxel: Fruxel, boxes: Sequence[Box] = (), height: float = 1.6, pitch: float = 0.0) -> Voxels:
    """What cells' centres meet.  height: of the camera above the ground, m.  pitch: deg that it looks down."""
    level = fruxel.centers(np.indices(fruxel.shape).reshape(3, -1).T) @ looking_down(pitch).T
    labels = np.where(level[:, 1] > height, CLASSES.index("ground"), AIR)
    place = level * [1, -1, 1] + [0, height, 0]
    for name, low, high in boxes:
        labels[((place >= low) & (place <= high)).all(1)] = CLASSES.index(name)
    return Voxels(labels.reshape(fruxel.shape).astype(np.uint8), fruxel, np.full(fruxel.shape, 204, np.uint8))


def looking_down(pitch: float) -> np.ndarray:
    """(3, 3) from the frame of a camera that looks down by some deg to that of a level one."""
    sin, cos = np.sin(np.radians(pitch)), np.cos(np.radians(pitch))
    return np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
