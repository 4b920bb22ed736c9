"""CameraInfo messages -> the rectified camera of an image, and the way to rectify it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.image import Picture, Remap

# What to do when camera_info tells of lens distortion (see `rectified`).
UNRECTIFIED = ("undistort", "refuse", "rectified")

# Distortion models of sensor_msgs/distortion_models.hpp, and how many coefficients each has.
_MODELS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}

_KEPT = 128  # calibrations: more than images can wait in a subscription (queue_depth)
_ASPECT_TOLERANCE = 0.01  # relative difference of the two scales that is still rounding, not another crop

Rectify = Callable[[Picture], Picture]


@dataclass(frozen=True)
class Calibration:
    """What one CameraInfo says of the pixels of its image, as values that compare equal when they are equal.

    lens: K (9,) of the image as taken.  distortion: D.  rotation: R (9,).  projection: left 3x3 of P (9,), of the
    rectified image; K again where P is zero.  width, height: of the image, after binning and region of interest, px.
    """

    width: int
    height: int
    lens: tuple[float, ...]
    distortion_model: str
    distortion: tuple[float, ...]
    rotation: tuple[float, ...]
    projection: tuple[float, ...]
    frame_id: str

    @property
    def distorted(self) -> bool:
        """Whether the image as taken needs rectification."""
        return any(self.distortion)


class Calibrations:
    """The last camera_infos of a camera, since an image may be handled when those of later ones have come already.

    `add` and `of` may be called in two threads. One that cannot be read counts too: its images are refused.
    """

    def __init__(self) -> None:
        self._recent: tuple[tuple[tuple[int, int], Calibration | InputError], ...] = ()

    def add(self, message: Any) -> None:
        """Remember a CameraInfo. Raises InputError when it holds no camera."""
        try:
            self._keep(message, read_calibration(message))
        except InputError as error:
            self._keep(message, error)
            raise

    def of(self, stamp: Any) -> Calibration | None:
        """The calibration of an image by its stamp: the one with the same stamp, else the latest; None without any.

        Raises the InputError of one that could not be read.
        """
        newest_first = self._recent[::-1]
        if not newest_first:
            return None
        own = (read for key, read in newest_first if key == _key(stamp))
        found = next(own, newest_first[0][1])
        if isinstance(found, InputError):
            raise found
        return found

    def _keep(self, message: Any, read: Calibration | InputError) -> None:
        self._recent = (*self._recent[1 - _KEPT :], (_key(message.header.stamp), read))


def _key(stamp: Any) -> tuple[int, int]:
    return int(stamp.sec), int(stamp.nanosec)


def read_calibration(message: Any) -> Calibration:
    """A CameraInfo, of rclpy or rosbags. Binning and region of interest are applied to K and P.

    Raises InputError when the matrices hold no camera: zeros, NaN, no size.
    """
    lens, projection = _matrix(message, "K", 3), _matrix(message, "P", 4)[:, :3]
    if not projection.any():
        projection = lens
    if not lens.any():  # drivers of rectified images may fill P alone
        lens = projection
    for name, k in (("K", lens), ("P", projection)):
        if k[0, 0] <= 0 or k[1, 1] <= 0:
            raise InputError(
                f"camera_info {name}",
                "all zeros" if not k.any() else f"one with focal lengths {k[0, 0]:g}, {k[1, 1]:g}",
                "focal lengths above 0",
                "Calibrate the camera, and have its driver publish the result.",
            )
    crop, width, height = _crop(message)
    rotation = _matrix(message, "R", 3)
    return Calibration(
        width,
        height,
        _flat(crop @ lens),
        str(message.distortion_model),
        _flat(_matrix(message, "D", -1)),
        _flat(rotation if rotation.any() else np.eye(3)),
        _flat(crop @ projection),
        str(message.header.frame_id),
    )


def _matrix(message: Any, name: str, columns: int) -> np.ndarray:
    """A matrix of CameraInfo, by its name in the literature; the message spells it in lower case."""
    values = np.asarray(getattr(message, name.lower()), np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"camera_info {name}", values.tolist(), "finite values", "Calibrate the camera.")
    return values.reshape(-1, columns) if columns > 0 else values


def _flat(matrix: np.ndarray) -> tuple[float, ...]:
    return tuple(matrix.ravel().tolist())


def _crop(message: Any) -> tuple[np.ndarray, int, int]:
    """The (3, 3) map from calibrated pixels to the image's, and the image's size.

    A binned pixel's centre is the centre of the pixels it gathers, so u' = (u - x_offset - (b - 1) / 2) / b.
    """
    full = int(message.width), int(message.height)
    if min(full) <= 0:
        raise InputError(
            "camera_info size", f"{full[0]}x{full[1]}", "the image's width and height", "Have the driver fill them."
        )
    roi = message.roi
    width, height = (int(roi.width), int(roi.height)) if roi.width and roi.height else full
    bin_x, bin_y = max(int(message.binning_x), 1), max(int(message.binning_y), 1)
    offset_x, offset_y = int(roi.x_offset), int(roi.y_offset)
    crop = np.diag([1 / bin_x, 1 / bin_y, 1.0])
    crop[0, 2] = -(offset_x + (bin_x - 1) / 2) / bin_x
    crop[1, 2] = -(offset_y + (bin_y - 1) / 2) / bin_y
    return crop, width // bin_x, height // bin_y


def fitted(calibration: Calibration, width: int, height: int) -> Calibration:
    """The calibration of the same view at another resolution.

    Raises InputError when the image has another shape, so that it cannot be the same view.
    """
    if (width, height) == (calibration.width, calibration.height):
        return calibration
    scale_x, scale_y = width / calibration.width, height / calibration.height
    if abs(scale_x / scale_y - 1) > _ASPECT_TOLERANCE:
        raise InputError(
            "image size",
            f"{width}x{height}",
            f"camera_info's {calibration.width}x{calibration.height} or the same shape scaled",
            "Publish the camera_info of this image, with its region of interest.",
        )
    # Pixel edges stay on pixel edges: -0.5 goes to -0.5.
    scale = np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1]])
    lens, projection = (
        _flat(scale @ np.reshape(matrix, (3, 3))) for matrix in (calibration.lens, calibration.projection)
    )
    return replace(calibration, width=width, height=height, lens=lens, projection=projection)


def rectified(calibration: Calibration, unrectified: str = "undistort") -> tuple[Camera, Rectify]:
    """The camera of the rectified image, and the function that makes that image (H, W, 3) from the one taken, be it an
    array or a tensor.

    unrectified: for a distorted calibration, `undistort` the image, `refuse` it, or take it as `rectified` already
    (image_proc's image_rect comes with the camera_info of the raw image). Raises InputError on refusal and for
    distortion models without a formula here.
    """
    camera = Camera(np.reshape(calibration.projection, (3, 3)), calibration.width, calibration.height)
    if not calibration.distorted or unrectified == "rectified":
        return camera, lambda image: image
    model, distortion = calibration.distortion_model, np.array(calibration.distortion)
    if unrectified == "refuse":
        raise InputError(
            "camera_info D",
            f"{model} {distortion.tolist()}",
            "zeros: a rectified image",
            "Rectify the image (image_proc), or set the parameter unrectified to undistort.",
        )
    if len(distortion) not in _MODELS.get(model, ()):
        raise InputError(
            "camera_info distortion model",
            f"{model!r} with {len(distortion)} coefficients",
            ", ".join(f"{name} with {' or '.join(map(str, n))}" for name, n in _MODELS.items()),
            "Rectify the image (image_proc).",
        )
    undistort_map = cv2.fisheye.initUndistortRectifyMap if model == "equidistant" else cv2.initUndistortRectifyMap
    lens, rotation = np.reshape(calibration.lens, (3, 3)), np.reshape(calibration.rotation, (3, 3))
    size = (calibration.width, calibration.height)
    maps = undistort_map(lens, distortion, rotation, camera.intrinsics, size, cv2.CV_16SC2)
    return camera, Remap(*maps)
