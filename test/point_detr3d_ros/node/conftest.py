"""Models whose answers are known, and a vehicle: the node over real DDS in this process, with a peer that drives it."""

import array
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import vehicle
import yaml
from geometry_msgs.msg import PointStamped
from onnx import TensorProto, helper, numpy_helper
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from vision_msgs.msg import Detection3DArray

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.node import PointDetr3dNode

CONTRACT = Contract(
    x=(-12.8, 12.8), y=(-12.8, 12.8), cell=0.8, per_pillar=4, max_pillars=400, image_width=64, image_height=32
)
CENTERS = np.array([[5, 2, 0.8], [-6, 1, 0.9], [3, -4, 0.9]], np.float32)  # network frame
SCORES = np.array([0.9, 0.4, 0.05], np.float32)
LABELS = np.array([0, 5, 4])  # Car, Pedestrian, Cyclist
CLASS_SCORES = np.array([0.5, 0.3, 0.2, 0.2, 0.6, 0.9], np.float32)  # of a click, by the class asked for


def write_graph(
    path: Path,
    steps: Sequence[tuple[str, list[str], str, dict[str, Any]]],
    values: Mapping[str, np.ndarray],
    inputs: Mapping[str, tuple[int, list[Any]]],
    outputs: Mapping[str, tuple[int, list[Any]]],
) -> None:
    """An ONNX file that carries CONTRACT."""
    graph = helper.make_graph(
        [helper.make_node(kind, names, [output], **options) for kind, names, output, options in steps],
        "known",
        [helper.make_tensor_value_info(name, *own) for name, own in inputs.items()],
        [helper.make_tensor_value_info(name, *own) for name, own in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"system": "point_detr3d", "contract": CONTRACT.to_json()})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


PILLARS = {"features": (TensorProto.FLOAT, ["P", CONTRACT.per_pillar, 10]), "cell": (TensorProto.INT64, ["P"])}
# Both encoders tell the greatest value of each feature over all points, and that the cells have come.
GREATEST = [
    ("ReduceMax", ["features", "pillars_and_points"], "greatest", {"keepdims": 0}),
    ("Cast", ["cell"], "cells", {"to": TensorProto.FLOAT}),
    ("ReduceMin", ["cells", "first_axis"], "least_cell", {"keepdims": 0}),
    ("Min", ["least_cell", "nothing"], "zero", {}),
    ("Add", ["greatest", "zero"], "seen", {}),
]
GREATEST_VALUES = {
    "pillars_and_points": np.array([0, 1], np.int64),
    "first_axis": np.array([0], np.int64),
    "nothing": np.float32(0),
}


@pytest.fixture(scope="session")
def known_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Car, a Pedestrian and a weak Cyclist at CENTERS, moved by the greatest intensity in x and age in y, yaw 90°."""
    path = tmp_path_factory.mktemp("models") / "known.onnx"
    values = {
        **GREATEST_VALUES,
        "base": CENTERS[None],
        "score_": SCORES[None],
        "label_": LABELS[None],
        "size_": np.array(CONTRACT.mean_sizes, np.float32)[LABELS][None],
        "heading_": np.tile(np.array([2, 0], np.float32), (1, 3, 1)),
        "pick": np.eye(10, 3, -3, dtype=np.float32) * np.array([1, 1, 0], np.float32),
    }
    steps = [
        *GREATEST,
        ("MatMul", ["seen", "pick"], "shift", {}),
        ("Add", ["base", "shift"], "center", {}),
        *(("Identity", [f"{name}_"], name, {}) for name in ("score", "label", "size", "heading")),
    ]
    floats = {"score": [1, 3], "center": [1, 3, 3], "size": [1, 3, 3], "heading": [1, 3, 2]}
    outputs = {name: (TensorProto.FLOAT, shape) for name, shape in floats.items()}
    write_graph(path, steps, values, PILLARS, {**outputs, "label": (TensorProto.INT64, [1, 3])})
    return path


@pytest.fixture(scope="session")
def known_assist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers a click at (x, y, z) with a box of the class's mean size at (x, y, z + 0.2 m), yaw 90°, with the score of
    CLASS_SCORES, 0.01 more for each camera; at y > 8 m the box is ten times as far beyond; at x < -8 m it scores 0."""
    folder = tmp_path_factory.mktemp("models") / "assist"
    ground = {"ground": (TensorProto.FLOAT, [1, 1, 10])}
    shape = {"row": np.array([1, 1, 10], np.int64)}
    steps = [*GREATEST, ("Reshape", ["seen", "row"], "ground", {})]
    write_graph(folder / "lidar" / "model.onnx", steps, {**GREATEST_VALUES, **shape}, PILLARS, ground)

    size = [CONTRACT.image_height, CONTRACT.image_width, 3]
    steps = [
        ("Cast", ["images"], "pixels", {"to": TensorProto.FLOAT}),
        ("ReduceMean", ["pixels", "rows"], "colour", {"keepdims": 0}),
        ("Unsqueeze", ["colour", "one"], "image_rows", {}),
    ]
    axes = {"rows": np.array([1, 2], np.int64), "one": np.array([1], np.int64)}
    images = {"images": (TensorProto.UINT8, ["N", *size])}
    write_graph(folder / "image" / "model.onnx", steps, axes, images, {"image_rows": (TensorProto.FLOAT, ["N", 1, 3])})

    values = {
        "above": np.array([0, 0, 0.2], np.float32),
        "y": np.array([[0], [1], [0]], np.float32),
        "x": np.array([[1], [0], [0]], np.float32),
        "eight": np.float32(8),
        "nine": np.float32(9),
        "tenfold": np.array([[0, 10, 0]], np.float32),
        "low": np.float32(0),
        "high": np.float32(1),
        "cent": np.float32(0.01),
        "all": np.array([0], np.int64),
        "every": np.array([0, 1, 2], np.int64),
        "both": np.array([0, 1], np.int64),
        "none": np.float32(0),
        "means": np.array(CONTRACT.mean_sizes, np.float32),
        "scores": np.tile(CLASS_SCORES[None], (1, 1)),
        "to_left": np.array([[1, 0]], np.float32),
    }
    steps = [
        ("MatMul", ["points", "y"], "left", {}),
        ("Sub", ["left", "eight"], "beyond", {}),
        ("Relu", ["beyond"], "far", {}),
        ("MatMul", ["far", "tenfold"], "astray", {}),
        ("Add", ["points", "above"], "raised", {}),
        ("Add", ["raised", "astray"], "center", {}),
        ("Gather", ["means", "label"], "size", {}),
        ("MatMul", ["points", "x"], "ahead", {}),
        ("Add", ["ahead", "nine"], "margin", {}),
        ("Clip", ["margin", "low", "high"], "seen", {}),
        ("ReduceSum", ["camera_valid", "all"], "cameras", {"keepdims": 0}),
        ("Mul", ["cameras", "cent"], "sure", {}),
        *(("ReduceSum", [name, "every"], f"sum_{name}", {"keepdims": 0}) for name in ("ground", "image_rows")),
        ("ReduceSum", ["image_from_lidar", "every"], "sum_matrix", {"keepdims": 0}),
        ("Add", ["sum_ground", "sum_image_rows"], "sum_maps", {}),
        ("ReduceSum", ["roi", "both"], "sum_roi", {"keepdims": 0}),
        ("Add", ["sum_maps", "sum_matrix"], "sum_images", {}),
        ("Add", ["sum_images", "sum_roi"], "sum", {}),
        ("Mul", ["sum", "none"], "nothing", {}),
        ("Add", ["scores", "sure"], "surer", {}),
        ("Add", ["surer", "nothing"], "told", {}),
        ("MatMul", ["seen", "told"], "score", {}),
        ("MatMul", ["seen", "to_left"], "weak_heading", {}),
        ("Mul", ["weak_heading", "none"], "no_heading", {}),
        ("Add", ["no_heading", "to_left"], "heading", {}),
    ]
    inputs = {
        **ground,
        "points": (TensorProto.FLOAT, ["Q", 3]),
        "label": (TensorProto.INT64, ["Q"]),
        "roi": (TensorProto.FLOAT, ["Q", 5]),
        "image_rows": (TensorProto.FLOAT, ["S", 1, 3]),
        "image_from_lidar": (TensorProto.FLOAT, ["S", 3, 4]),
        "camera_valid": (TensorProto.FLOAT, ["S"]),
    }
    widths = {"score": len(CONTRACT.classes), "center": 3, "size": 3, "heading": 2}
    outputs = {name: (TensorProto.FLOAT, ["Q", width]) for name, width in widths.items()}
    write_graph(folder / "prompt" / "model.onnx", steps, values, inputs, outputs)
    for part in ("lidar", "image", "prompt"):
        digest = hashlib.sha256((folder / part / "model.onnx").read_bytes()).hexdigest()
        (folder / part / "manifest.yaml").write_text(yaml.safe_dump({"onnx": "model.onnx", "sha256": digest}))
    return folder


NUMBERS = {"f4": PointField.FLOAT32, "f8": PointField.FLOAT64, "u2": PointField.UINT16, "u1": PointField.UINT8}


class Vehicle(vehicle.Vehicle):
    """A car with Point-DETR3D on its LiDAR."""

    NODE = PointDetr3dNode

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self.detections = self.hear(Detection3DArray, "detections")
        self.answers = self.hear(Detection3DArray, "assist/detections")

    def detect(self, message: Any) -> Any:
        """The detections of a cloud."""
        return self.answer(self.detections, "points", message)

    def display(self, message: Any) -> None:
        """Have a cloud encoded, for clicks on it."""
        done = self.node.counts.processed
        self.publish("points", message)
        assert self.until(lambda: self.node.counts.processed > done), self.diagnostics[-1:]

    def ask(self, message: Any, topic: str = "clicked_point") -> Any:
        """The answer to a click."""
        return self.answer(self.answers, topic, message)

    @staticmethod
    def cloud(points: np.ndarray | None = None, frame: str = "lidar", stamp: Any = None, **changes: Any) -> PointCloud2:
        """Points (P, 4) x y z intensity, by default a level street 1.7 m below."""
        rows = np.asarray(street() if points is None else points, "<f4")
        fields = [
            PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(("x", "y", "z", "intensity"))
        ]
        data = array.array("B", rows.tobytes())
        message = PointCloud2(
            height=1, width=len(rows), fields=fields, point_step=16, row_step=16 * len(rows), data=data
        )
        message.header.frame_id, message.header.stamp = frame, stamp or Vehicle.now()
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    @staticmethod
    def click(x: float, y: float, z: float = -1.0, frame: str = "lidar") -> PointStamped:
        """As RViz publishes it: stamped by the wall clock, whatever is on display."""
        message = PointStamped()
        message.header.frame_id, message.header.stamp = frame, Vehicle.now()
        message.point.x, message.point.y, message.point.z = float(x), float(y), float(z)
        return message

    @staticmethod
    def image(stamp: Any = None, frame: str = "camera") -> Image:
        return vehicle.image(np.zeros((48, 64, 3), np.uint8), "rgb8", frame, stamp)

    @staticmethod
    def camera_info(frame: str = "camera") -> CameraInfo:
        message = CameraInfo(width=64, height=48, k=[50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0])
        message.header.frame_id = frame
        return message


def street(height: float = 1.7, intensity: float = 0.5) -> np.ndarray:
    """(P, 4) ground all around a LiDAR, and a wall."""
    rng = np.random.default_rng(0)
    ground = np.concatenate([rng.uniform(-12, 12, (4000, 2)), np.full((4000, 1), -height)], 1)
    wall = np.stack([rng.uniform(-12, 12, 500), np.full(500, 10.0), rng.uniform(-height, 1, 500)], 1)
    points = np.concatenate([ground, wall])
    return np.concatenate([points, np.full((len(points), 1), intensity)], 1).astype(np.float32)


@pytest.fixture
def drive(known_model: Path, known_assist: Path) -> Iterator[Callable[..., Vehicle]]:
    """Makes a vehicle whose node has the known models and some parameters."""
    models = {"model": str(known_model), "assist_model": str(known_assist)}
    patient = {"max_age": 0.0}  # discovery takes its time on a busy machine
    with vehicle.garage(Vehicle, backend="onnxruntime", threads=1, **models, **patient) as make:
        yield make
