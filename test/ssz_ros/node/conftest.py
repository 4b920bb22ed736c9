"""A model whose voxels are known, and a vehicle with SSZ on one camera."""

import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import vehicle
from onnx import TensorProto, helper, numpy_helper
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from voxel_scene import street

from ssz_ros.contract import Contract
from ssz_ros.node import SszNode
from voxbox_core.voxels import Voxels

CONTRACT = Contract(near=2.0, far=20.0, slices=24, rows=32, columns=32, per_cell=2)
WIDTH, HEIGHT, FOCAL = 320, 320, 250.0  # 65 deg: more than the model's 60
RED = np.full((HEIGHT, WIDTH, 3), [255, 0, 0], np.uint8)


@pytest.fixture(scope="session")
def scene() -> Voxels:
    """A street with a car to the right, from 1.6 m above it."""
    return street(CONTRACT.fruxel, [("car", (1.0, 0.0, 7.0), (3.0, 1.5, 10.0))])


@pytest.fixture(scope="session")
def known_model(tmp_path_factory: pytest.TempPathFactory, scene: Voxels) -> Path:
    """Says the scene in the columns before which the image is red, and air in the others."""
    path = tmp_path_factory.mktemp("models") / "known.onnx"
    fruxel, n = CONTRACT.fruxel, CONTRACT.per_cell
    values = {
        "scene": scene.labels[None],
        "said": np.full((1, *fruxel.shape), 204, np.uint8),
        "air": np.uint8(0),
        "half": np.uint8(127),
        "begin": np.array([0, 0, 0], np.int64),
        "end": np.array([n * fruxel.rows, n * fruxel.columns, 1], np.int64),
        "step": np.array([n, n, 1], np.int64),
        "axes": np.array([1, 2, 3], np.int64),
        "one_slice": np.array([1, 1, fruxel.rows, fruxel.columns], np.int64),
    }
    steps = [
        ("Slice", ["image", "begin", "end", "axes", "step"], "cells"),
        ("Reshape", ["cells", "one_slice"], "columns"),
        ("Greater", ["columns", "half"], "red"),
        ("Where", ["red", "scene", "air"], "labels"),
        ("Identity", ["said"], "probability"),
    ]
    shapes = {"image": [1, n * fruxel.rows, n * fruxel.columns, 3]}
    grid = [1, *fruxel.shape]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output]) for kind, inputs, output in steps],
        "known_voxels",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, TensorProto.UINT8, grid) for name in ("labels", "probability")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"system": "ssz", "contract": CONTRACT.to_json()})
    onnx.save(model, path)
    return path


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
