"""The camera topics of a node: the image nearest to a moment, rectified, with its camera."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msgs.cameras import Calibrations, Rectify, fitted, rectified
from msgs.images import read_image
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError

_KEPT = 12  # images: half a second at 25 Hz
_ALIVE = 1.0  # s since the last image, within which another one can be waited for


@dataclass(frozen=True)
class Look:
    """What a camera saw near a moment. image: (H, W, 3) uint8 RGB, rectified.  header: of its message.  skew: s from
    the moment to the image, above 0 where it is later."""

    image: np.ndarray
    camera: Camera
    header: Any
    skew: float


@dataclass(frozen=True)
class CameraTopics:
    """Where a camera is heard. name: for people, unique among the cameras."""

    name: str
    image: str
    camera_info: str


def camera_topics(images: str, camera_infos: str) -> list[CameraTopics]:
    """Topics separated by commas -> one entry per camera. Where `camera_infos` is empty, each camera's is the sibling
    of its image, as image_transport has it. Raises InputError for lists of two lengths."""
    bases = [topic.removesuffix("/compressed") for topic in _listed(images)]
    infos = _listed(camera_infos) or ["/".join([*base.split("/")[:-1], "camera_info"]) for base in bases]
    if len(infos) != len(bases):
        raise InputError(
            "topics in the parameter camera_infos", len(infos), f"{len(bases)}, one per image", "Pair them."
        )
    return [CameraTopics("/".join(base.split("/")[:-1]) or base, base, info) for base, info in zip(bases, infos)]


def _listed(text: str) -> list[str]:
    return [word for word in (part.strip() for part in text.split(",")) if word]


class CameraStream:
    """The last images and calibrations of a camera. Messages come in one thread, looks are taken in another.

    read: makes a picture (H, W, 3) of a message.
    """

    def __init__(self, topics: CameraTopics, read: Callable[[Any], np.ndarray] = read_image) -> None:
        self.topics = topics
        self._read = read
        self.skew: float | None = None  # s, of the last look
        self.calibrations = Calibrations()
        self._images: deque[Any] = deque(maxlen=_KEPT)
        self._came = -float("inf")  # s, monotonic
        self._view: tuple[object, Camera, Rectify] | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.topics.name

    def on_image(self, message: Any) -> None:
        """Keeps an Image or CompressedImage; it is read only when it is looked at."""
        self._images.append(message)
        self._came = time.monotonic()

    def worth_waiting(self, stamp: float, skew: float) -> bool:
        """Whether images come, but none is within `skew`, s, of the moment yet."""
        alive = time.monotonic() - self._came < _ALIVE
        nearest = self._nearest(stamp)
        return alive and nearest is not None and _seconds(nearest) - stamp < -skew

    def look(self, stamp: float, most_skew: float, unrectified: str) -> Look:
        """The image nearest to a moment, s. Raises InputError when there is none within `most_skew`, s, when it cannot
        be read, or when its camera is not known."""
        message = self._nearest(stamp)
        if message is None:
            raise InputError(f"image of {self.name}", "missing", "one near the cloud", "Check the camera driver.")
        self.skew = _seconds(message) - stamp
        if abs(self.skew) > most_skew:
            raise InputError(
                f"skew of {self.name} to the LiDAR",
                f"{self.skew:+.3f} s",
                f"at most {most_skew:g} s (parameter max_skew)",
                "Synchronise the sensors; the camera is left out.",
            )
        calibration = self.calibrations.of(message.header.stamp)
        if calibration is None:
            topic = self.topics.camera_info
            raise InputError(f"camera_info of {self.name}", "missing", f"one on {topic}", "The camera is left out.")
        image = self._read(message)
        key = (calibration, image.shape[:2], unrectified)
        if self._view is None or self._view[0] != key:
            scaled = fitted(calibration, image.shape[1], image.shape[0])
            self._view = (key, *rectified(scaled, unrectified))
        _, camera, rectify = self._view
        return Look(rectify(image), camera, message.header, self.skew)

    def _nearest(self, stamp: float) -> Any:
        images = tuple(self._images)
        return min(images, key=lambda message: abs(_seconds(message) - stamp), default=None)


def await_images(streams: Sequence[CameraStream], stamp: float, skew: float, patience: float) -> None:
    """Gives images of the moment, s, up to `patience` s to arrive."""
    end = time.monotonic() + patience
    while time.monotonic() < end and any(stream.worth_waiting(stamp, skew) for stream in streams):
        threading.Event().wait(0.002)


def _seconds(message: Any) -> float:
    return float(message.header.stamp.sec) + 1e-9 * float(message.header.stamp.nanosec)
