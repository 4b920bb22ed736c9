"""One frame of any data set."""

from dataclasses import dataclass, field

import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError


def _none(columns: int) -> np.ndarray:
    return np.zeros((0, columns))


@dataclass(frozen=True)
class Sample:
    """What one moment of a recording holds.

    name: unique in its data set.  image: (H, W, 3) uint8 RGB, rectified.  camera: of that image.
    boxes: truth in the optical frame of the camera that took the image, or None where nobody labelled.
    truncation: (N,) in [0, 1].  occlusion: (N,) int, KITTI's 0..3.
    dont_care: (M, 4) x1 y1 x2 y2 px, image regions where nobody labelled.
    points: (P, 4) x y z intensity in the LiDAR frame (x forward, y left, z up), m, or None.
    lidar_to_camera: (4, 4), or None.  stamp: seconds, or None.
    world_from_camera: (4, 4) pose of the camera's optical frame in a fixed frame (z up), or None.
    """

    name: str
    image: np.ndarray
    camera: Camera
    boxes: Boxes3D | None = None
    truncation: np.ndarray = field(default_factory=lambda: np.zeros(0))
    occlusion: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    dont_care: np.ndarray = field(default_factory=lambda: _none(4))
    points: np.ndarray | None = None
    lidar_to_camera: np.ndarray | None = None
    stamp: float | None = None
    world_from_camera: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise InputError(
                f"image of {self.name}",
                f"{self.image.dtype} {self.image.shape}",
                "uint8 (H, W, 3)",
                "Convert it to 8-bit RGB.",
            )
        if self.image.shape[:2] != (self.camera.height, self.camera.width):
            raise InputError(
                f"image size of {self.name}",
                f"{self.image.shape[1]}x{self.image.shape[0]}",
                f"the camera's {self.camera.width}x{self.camera.height}",
                "Use the calibration of this image.",
            )
