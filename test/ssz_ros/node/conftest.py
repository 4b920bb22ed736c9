"""A vehicle with SSZ on one camera, and a model whose voxels are known."""

import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import known_voxels
import numpy as np
import pytest
import vehicle
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from ssz_ros.node import SszNode
from voxbox_core.voxels import Voxels

WIDTH, HEIGHT, FOCAL = 320, 320, 250.0  # 65 deg: more than the model's 60
RED = np.full((HEIGHT, WIDTH, 3), [255, 0, 0], np.uint8)


@pytest.fixture(scope="session")
def scene() -> Voxels:
    return known_voxels.scene()


@pytest.fixture(scope="session")
def known_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return known_voxels.write(tmp_path_factory.mktemp("models") / "known.onnx")


class Vehicle(vehicle.Vehicle):
    """A car with SSZ on one camera."""

    NODE = SszNode

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self.voxels = self.hear(PointCloud2, "voxels")
        self._calibrations = self.peer.create_publisher(CameraInfo, "camera_info", vehicle.RELIABLE)

    def show(self, image: Any, topic: str = "image") -> None:
        """Publish an image once the node listens to it."""
        self.publish(topic, image)

    def calibrate(self, message: Any = None) -> None:
        assert self.until(lambda: self.heard(self._calibrations))
        before = self.node._view.calibrations._recent
        self._calibrations.publish(self.camera_info() if message is None else message)
        assert self.until(lambda: self.node._view.calibrations._recent is not before)

    def see(self, message: Any, topic: str = "image") -> Any:
        """The cloud of an image."""
        return self.answer(self.voxels, topic, message)

    @staticmethod
    def image(pixels: np.ndarray = RED, encoding: str = "rgb8", frame: str = "camera", stamp: Any = None) -> Image:
        return vehicle.image(pixels, encoding, frame, stamp)

    @staticmethod
    def jpeg(pixels: np.ndarray = RED) -> CompressedImage:
        data = cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes()
        message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=array.array("B", data))
        message.header.frame_id, message.header.stamp = "camera", Vehicle.now()
        return message

    @staticmethod
    def camera_info(
        focal: float = FOCAL, x: float | None = None, width: int = WIDTH, height: int = HEIGHT, **changes: Any
    ) -> CameraInfo:
        center = (width - 1) / 2 if x is None else x
        matrix = [focal, 0.0, center, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
        message = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5, k=matrix)
        message.header.frame_id = "camera"
        for name, value in changes.items():
            setattr(message, name, value)
        return message


@pytest.fixture
def drive(known_model: Path) -> Iterator[Callable[..., Vehicle]]:
    """Makes a vehicle whose node has the known model and some parameters."""
    with vehicle.garage(Vehicle, model=str(known_model), backend="onnxruntime", threads=1) as make:
        yield make
