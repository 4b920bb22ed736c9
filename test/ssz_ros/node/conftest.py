"""A vehicle with SSZ on one camera, and a model whose voxels are known."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import known_voxels
import pytest
import vehicle
from sensor_msgs.msg import PointCloud2

from ssz_ros.node import SszNode
from voxbox_core.voxels import Voxels


@pytest.fixture(scope="session")
def scene() -> Voxels:
    return known_voxels.scene()


@pytest.fixture(scope="session")
def known_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return known_voxels.write(tmp_path_factory.mktemp("models") / "known.onnx")


class Vehicle(vehicle.CameraVehicle):
    """A car with SSZ on one camera."""

    NODE = SszNode
    WIDTH, HEIGHT = 320, 320  # at a focal length of 250 px 65 deg: more than the model's 60

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self.voxels = self.hear(PointCloud2, "voxels")

    def see(self, message: Any, topic: str = "image") -> Any:
        """The cloud of an image."""
        return self.answer(self.voxels, topic, message)


@pytest.fixture
def drive(known_model: Path) -> Iterator[Callable[..., Vehicle]]:
    """Makes a vehicle whose node has the known model and some parameters."""
    with vehicle.garage(Vehicle, model=str(known_model), backend="onnxruntime", threads=1) as make:
        yield make
