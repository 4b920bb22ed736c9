"""A graph whose body computes in float16, and everything else as before."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from voxbox.export.body import body, rebuilt

# How many inputs are maps, where not all are: shapes, axes and scales keep their types.
_MAPS = {"ReduceMean": 1, "Reshape": 1, "Resize": 1}


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """The body's maps and weights become float16, with casts where maps enter and leave it. The model's inputs and
    outputs keep their types."""
    halving = _Halving(model.graph)
    for node in model.graph.node:
        halving.add(node)
    return rebuilt(model, halving.nodes, halving.constants)


class _Halving:
    """Writes a graph anew, node by node: what the body takes and computes has a float16 twin."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._inside = body(graph)
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._whole = {value.name for value in graph.output}  # what is asked for in float32
        self._whole.update(v for node in graph.node if node.output[0] not in self._inside for v in node.input)
        self._entered: set[str] = set()

    def add(self, original: onnx.NodeProto) -> None:
        """The graph's next node."""
        if original.output[0] not in self._inside:
            self.nodes.append(original)
            return
        node = onnx.NodeProto()
        node.CopyFrom(original)
        for i, value in enumerate(original.input[: _MAPS.get(node.op_type)]):
            if value:  # an input that is left out has no name
                self._enter(value)
                node.input[i] = _twin(value)
        node.output[0] = _twin(original.output[0])
        self.nodes.append(node)
        if original.output[0] in self._whole:
            self.nodes.append(_cast(node.output[0], original.output[0], TensorProto.FLOAT))

    def _enter(self, value: str) -> None:
        """Make the twin of a value from outside, once."""
        if value in self._inside or value in self._entered:
            return
        self._entered.add(value)
        if value in self._weights:
            half = numpy_helper.to_array(self._weights[value]).astype(np.float16)
            self.constants.append(numpy_helper.from_array(half, _twin(value)))
        else:
            self.nodes.append(_cast(value, _twin(value), TensorProto.FLOAT16))


def _twin(value: str) -> str:
    return f"{value}_half"


def _cast(value: str, result: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [value], [result], name=f"node_Cast_{result}", to=to)
