"""A graph whose body convolves in int8: the rounding stands in the ONNX, where every engine reads it.

Signed and symmetric, as TensorRT wants it: zero is 0; a map has one scale, weights one for every channel that comes
out. Sums, and what joins maps, stay float32.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from voxbox.export.body import CONVOLUTIONS, body, rebuilt

MOST = 127
_ZERO = numpy_helper.from_array(np.zeros((), np.int8), "int8_zero")


def rounded_maps(graph: onnx.GraphProto) -> list[str]:
    """The maps that convolutions will take in int8, in the graph's order."""
    return list(dict.fromkeys(node.input[0] for node in _convolutions(graph)))


def quantise(model: onnx.ModelProto, largest: Mapping[str, float]) -> onnx.ModelProto:
    """largest: of each of `rounded_maps`, the largest magnitude that int8 shall hold; what is beyond is cut off."""
    chosen = {node.output[0] for node in _convolutions(model.graph)}
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    constants = {_ZERO.name: _ZERO}
    for original in model.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        if node.output[0] in chosen:
            for i, value in enumerate(original.input[:2]):
                node.input[i] = f"{value}_rounded"
                if f"{value}_scale" in constants:
                    continue
                axis = 0 if node.op_type == "Conv" else 1
                new = _weights(value, weights[value], axis) if i == 1 else _map(value, largest[value])
                nodes += new[0]
                constants |= {tensor.name: tensor for tensor in new[1]}
        nodes.append(node)
    return rebuilt(model, nodes, list(constants.values()))


def _convolutions(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Those of the body whose weights are constants, and whose map bears it.

    The first two of a path do not: what sensors say is in metres, far and near, and one scale for all rounds away where
    in its pillar a LiDAR's point lies; and images of other cameras than were trained on, KITTI's, lost two or three
    points of KM3D's precision. Nor do those that join maps, of which each would want a scale of its own, or take a
    resized one: OpenVINO (2026.4) rounds while it resizes, before a Concat too, and wrongly (KM3D's heads were off by a
    fifth). They are few and cheap.
    """
    inside, weights = body(graph), {tensor.name for tensor in graph.initializer}
    makers = {node.output[0]: node.op_type for node in graph.node}
    behind = _convolutions_behind(graph)
    return [
        node
        for node in graph.node
        if node.op_type in CONVOLUTIONS
        and node.output[0] in inside
        and node.input[1] in weights
        and behind[node.input[0]] > 1
        and makers[node.input[0]] not in ("Concat", "Resize")
    ]


def _convolutions_behind(graph: onnx.GraphProto) -> dict[str, int]:
    """Of each value, how many convolutions the longest way from the inputs to it has."""
    behind = {value.name: 0 for value in (*graph.input, *graph.initializer)}
    for node in graph.node:
        most = max((behind.get(value, 0) for value in node.input), default=0)
        behind |= dict.fromkeys(node.output, most + (node.op_type in CONVOLUTIONS))
    return behind


Made = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]


def _map(value: str, largest: float) -> Made:
    """Round a map to int8 and take it back."""
    scale = numpy_helper.from_array(np.array(largest / MOST, np.float32), f"{value}_scale")
    small = f"{value}_int8"
    down = helper.make_node("QuantizeLinear", [value, scale.name, _ZERO.name], [small], name=f"node_{small}")
    up = helper.make_node(
        "DequantizeLinear", [small, scale.name, _ZERO.name], [f"{value}_rounded"], name=f"node_{value}_rounded"
    )
    return [down, up], [scale]


def _weights(value: str, weights: np.ndarray, axis: int) -> Made:
    """Weights as int8, taken back.  axis: of the channels that come out."""
    largest = np.abs(weights).max(tuple(i for i in range(weights.ndim) if i != axis), keepdims=True)
    scale = np.where(largest > 0, largest / MOST, 1).astype(np.float32)
    constants = [
        numpy_helper.from_array(np.rint(weights / scale).astype(np.int8), f"{value}_int8"),
        numpy_helper.from_array(scale.ravel(), f"{value}_scale"),
        numpy_helper.from_array(np.zeros(scale.size, np.int8), f"{value}_zero"),
    ]
    names = [tensor.name for tensor in constants]
    up = helper.make_node("DequantizeLinear", names, [f"{value}_rounded"], name=f"node_{value}_rounded", axis=axis)
    return [up], constants
