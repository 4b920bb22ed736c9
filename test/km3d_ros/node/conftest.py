"""A model whose boxes are known, and a vehicle: the node over real DDS in this process, with a peer that drives it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import known_boxes
import pytest
import vehicle
from vision_msgs.msg import Detection3DArray

from km3d_ros.node import Km3dNode


@pytest.fixture(scope="session")
def known_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return known_boxes.write(tmp_path_factory.mktemp("models") / "known.onnx")


class Vehicle(vehicle.CameraVehicle):
    """A car with KM3D on one camera."""

    NODE = Km3dNode
    WIDTH, HEIGHT = known_boxes.CONTRACT.input_width, known_boxes.CONTRACT.input_height

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self.detections = self.hear(Detection3DArray, "detections")

    def detect(self, message: Any, topic: str = "image") -> Any:
        """The detections of an image."""
        return self.answer(self.detections, topic, message)


@pytest.fixture
def drive(known_model: Path) -> Iterator[Callable[..., Vehicle]]:
    """Makes a vehicle whose node has the known model and some parameters."""
    with vehicle.garage(Vehicle, model=str(known_model), backend="onnxruntime", threads=1) as make:
        yield make
