"""An SSZ whose voxels are known."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from voxel_scene import street

from ssz_ros.contract import Contract
from voxbox_core.voxels import Voxels

CONTRACT = Contract(near=2.0, far=20.0, slices=24, rows=32, columns=32, per_cell=2)


def scene() -> Voxels:
    """A street with a car to the right, from 1.6 m above it."""
    return street(CONTRACT.fruxel, [("car", (1.0, 0.0, 7.0), (3.0, 1.5, 10.0))])


def write(path: Path) -> Path:
    """Says the scene in the columns before which the image is red, and air in the others."""
    fruxel, n = CONTRACT.fruxel, CONTRACT.per_cell
    values = {
        "scene": scene().labels[None],
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
