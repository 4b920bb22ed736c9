"""A KM3D whose boxes are known."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from km3d_ros.contract import Contract

CONTRACT = Contract(input_width=320, input_height=96)
CENTERS = np.array([[2, 1.5, 20], [-4, 1.6, 30], [0, 1.6, 12]], np.float32)
SIZES = np.array([[4, 1.7, 1.5], [0.8, 0.6, 1.8], [1.7, 0.6, 1.7]], np.float32)
SCORES = np.array([0.9, 0.4, 0.1], np.float32)


def write(path: Path) -> Path:
    """A Car, a Pedestrian and a Cyclist at CENTERS plus the image's mean red, green, blue (0..1 m), yaw = fx / 1000."""
    values = {
        "base": CENTERS[None],
        "size_": SIZES[None],
        "score_": SCORES[None],
        "label_": np.array([[0, 1, 2]], np.int64),
        "box2d_": np.array([[[100, 50, 200, 100], [10, 50, 30, 90], [0, 0, 5, 5]]], np.float32),
        "keypoints_": np.zeros((1, 3, 9, 2), np.float32),
        "depth_": np.zeros((1, 3, 2), np.float32),
        "none": np.zeros((1, 3), np.float32),
        "rows_and_columns": np.array([1, 2], np.int64),
        "all": np.array([0, 1, 2], np.int64),
        "brightest": np.float32(255),
        "thousand": np.float32(1000),
        "one_row": np.array([1, 1, 3], np.int64),
    }
    steps = [
        ("Cast", ["image"], "pixels", {"to": TensorProto.FLOAT}),
        ("ReduceMean", ["pixels", "rows_and_columns"], "sum", {"keepdims": 0}),
        ("Div", ["sum", "brightest"], "flat", {}),
        ("Reshape", ["flat", "one_row"], "colour", {}),
        ("Add", ["base", "colour"], "center", {}),
        ("ReduceMax", ["intrinsics", "all"], "focal", {"keepdims": 0}),
        ("Div", ["focal", "thousand"], "angle", {}),
        ("Add", ["none", "angle"], "yaw", {}),
        ("ReduceSum", ["grid_to_image", "all"], "affine", {"keepdims": 0}),
        ("Mul", ["affine", "none"], "nothing", {}),
        ("Add", ["score_", "nothing"], "score", {}),
        *(("Identity", [f"{name}_"], name, {}) for name in ("size", "label", "box2d", "keypoints", "depth")),
    ]
    shapes = {"image": [1, CONTRACT.input_height, CONTRACT.input_width, 3], "intrinsics": [1, 3, 3]}
    shapes["grid_to_image"] = [1, 2, 3]
    outputs = {"center": [1, 3, 3], "size": [1, 3, 3], "yaw": [1, 3], "score": [1, 3], "label": [1, 3]}
    outputs |= {"box2d": [1, 3, 4], "keypoints": [1, 3, 9, 2], "depth": [1, 3, 2]}
    types = {"image": TensorProto.UINT8, "label": TensorProto.INT64}
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output], **options) for kind, inputs, output, options in steps],
        "known_boxes",
        [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"system": "km3d", "contract": CONTRACT.to_json()})
    onnx.save(model, path)
    return path
