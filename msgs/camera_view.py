"""One camera's images and calibrations -> the rectified camera of each image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from msgs.cameras import Calibration, Calibrations, Rectify, fitted, rectified
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class View:
    """How an image of a camera is seen.

    camera: of the rectified image, which `rectify` makes of the one taken.  calibration: as camera_info tells it.
    scaled: the same at the image's size.
    """

    camera: Camera
    rectify: Rectify
    calibration: Calibration
    scaled: Calibration


class CameraView:
    """The rectified camera, computed anew when anything about it changes. `calibrations` is filled in any thread."""

    def __init__(self) -> None:
        self.calibrations = Calibrations()
        self._view: tuple[object, View] | None = None

    def of(self, stamp: Any, width: int, height: int, unrectified: str) -> View | None:
        """The view of an image by its stamp and size, px; None while there is no camera_info. unrectified: as
        `msgs.cameras.rectified`. Raises InputError when they do not belong together, or the camera_info is bad."""
        calibration = self.calibrations.of(stamp)
        if calibration is None:
            return None
        key = (calibration, width, height, unrectified)
        if self._view is None or self._view[0] != key:
            scaled = fitted(calibration, width, height)
            self._view = (key, View(*rectified(scaled, unrectified), calibration, scaled))
        return self._view[1]

    def hear(self, message: Any, report: Callable[[InputError], None]) -> None:
        """Keep a camera_info for the image of its stamp, and for all that have none of their own until another comes;
        a bad one is reported."""
        try:
            self.calibrations.add(message)
        except InputError as error:
            report(error)

    def require(
        self,
        image: np.ndarray,
        header: Any,
        unrectified: str,
        missing: Callable[[], str],
        report: Callable[[InputError], None],
    ) -> View:
        """The view of an image (H, W, ...) with this header; a frame that is not its camera_info's is reported.

        missing: what to do about no camera_info. Raises InputError as `of`, and while there is none.
        """
        view = self.of(header.stamp, image.shape[1], image.shape[0], unrectified)
        if view is None:
            raise InputError("camera_info", "missing", "one before the first image", missing())
        if doubt := frame_doubt(header, view):
            report(doubt)
        return view


def frame_doubt(header: Any, view: View) -> InputError | None:
    """What is to be said of an image whose frame is not its camera_info's."""
    if header.frame_id == view.calibration.frame_id:
        return None
    expected = f"camera_info's {view.calibration.frame_id!r}"
    return InputError("frame_id of the image", repr(header.frame_id), expected, "Align them.")
