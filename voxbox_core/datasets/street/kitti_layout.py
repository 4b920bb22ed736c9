"""Frames of the street world written as a KITTI folder: image_2, calib, label_2 and, when asked, velodyne, depth
and instance.

depth/NAME.png: uint16, 1/256 m along the optical axis, 0 where nothing is (as in KITTI's depth benchmark).
instance/NAME.png: uint16 id of the object, 0 for the static world.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from voxbox_core.datasets.kitti import Calibration, label_rows, write_calib, write_labels
from voxbox_core.datasets.sample import Sample
from voxbox_core.datasets.street.capture import Capture
from voxbox_core.errors import InputError

CAMERA_2_OFFSET = np.array([0.0597, -0.0003, 0.0027])
"""m: from a point in camera 0's rectified frame to camera 2's; a typical value of KITTI, so that readers which
forget the fourth column of P2 are found out."""

IMAGE_OPTIONS = {".png": [cv2.IMWRITE_PNG_COMPRESSION, 1], ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95]}
"""How images are encoded: the fastest png, since it takes a good part of a frame's time; jpeg without visible loss."""


@dataclass(frozen=True)
class KittiWriter:
    """Writes frames below `root`; which parts is decided once.

    image_suffix: .png (lossless) or .jpg (a fifth of the size).  depth, instance: write these images too.
    LiDAR points are written when a frame has them. Raises InputError for an unknown suffix.
    """

    root: Path
    image_suffix: str = ".png"
    depth: bool = False
    instance: bool = False

    def __post_init__(self) -> None:
        if self.image_suffix not in IMAGE_OPTIONS:
            known = ", ".join(IMAGE_OPTIONS)
            raise InputError("image suffix", self.image_suffix, f"one of {known}", "Choose another.")

    def label_path(self, name: str) -> Path:
        return self.root / "label_2" / f"{name}.txt"

    def has(self, name: str) -> bool:
        """Whether the frame is complete: its label file, written last and in one step, is there."""
        return self.label_path(name).is_file()

    def write(self, capture: Capture) -> None:
        sample = capture.sample
        calibration = calibration_of(sample)
        self._write_image("image_2", sample.name, self.image_suffix, sample.image[..., ::-1])
        write_calib(self._path("calib", f"{sample.name}.txt"), calibration)
        if sample.points is not None:
            sample.points.astype("<f4").tofile(self._path("velodyne", f"{sample.name}.bin"))
        if self.depth:
            self._write_image("depth", sample.name, ".png", _depth_image(capture.depth))
        if self.instance:
            self._write_image("instance", sample.name, ".png", capture.instance.astype(np.uint16))
        write_labels(self.label_path(sample.name), label_rows(sample, calibration))

    def _path(self, part: str, name: str) -> Path:
        path = self.root / part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write_image(self, part: str, name: str, suffix: str, image: np.ndarray) -> None:
        path = self._path(part, name + suffix)
        if not cv2.imwrite(str(path), image, IMAGE_OPTIONS[suffix]):
            raise OSError(f"cannot write {path}")


def calibration_of(sample: Sample) -> Calibration:
    """The calibration file's content for a sample: camera 0 stands CAMERA_2_OFFSET aside, R0_rect is the identity."""
    intrinsics = sample.camera.intrinsics
    p2 = np.hstack([intrinsics, (intrinsics @ CAMERA_2_OFFSET)[:, None]])
    if sample.lidar_to_camera is None:
        return Calibration(p2, np.eye(3))
    velodyne = sample.lidar_to_camera[:3].copy()
    velodyne[:, 3] -= CAMERA_2_OFFSET
    return Calibration(p2, np.eye(3), velodyne)


def _depth_image(depth: np.ndarray) -> np.ndarray:
    """Depth (H, W), m, inf where nothing is -> uint16 in 1/256 m, 0 where nothing is or beyond 255 m."""
    return np.where(depth < 255.0, np.round(depth * 256), 0).astype(np.uint16)
