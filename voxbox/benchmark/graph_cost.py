"""What an ONNX graph costs at least: how much is computed, and how many bytes have to move."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import shape_inference

from voxbox_core.errors import InputError

Shape = tuple[int, ...]

FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)


@dataclass(frozen=True)
class Cost:
    """flops: multiplications and additions.  bytes: read and written."""

    flops: int
    bytes: int

    @property
    def intensity(self) -> float:
        """flops for a byte."""
        return self.flops / self.bytes


def of_file(path: Path, inputs: Mapping[str, Shape], float_bytes: int) -> Cost:
    """As `of_graph`. Raises InputError likewise."""
    return of_graph(onnx.load(path), inputs, float_bytes)


def of_graph(model: onnx.ModelProto, inputs: Mapping[str, Shape], float_bytes: int) -> Cost:
    """The least that one run of a graph costs.

    Counted are Conv, ConvTranspose, MatMul and Gemm, a multiplication and an addition each as one flop, borders like
    the middle, biases not. All the rest is taken to be computed on the way in or out of these, for nothing. So of bytes
    there are left each tensor that any of them reads, once, however many do, weights among them, and each that any of
    them writes. Branches and loops (subgraphs) are not looked into.

    inputs: shapes of the graph's inputs by name, free dimensions filled in.  float_bytes: of a floating-point number in
    the arithmetic that runs, whatever the file says; other types have their own size.
    Raises InputError where a shape does not follow from the inputs', or nothing is counted.
    """
    tensors = _Tensors(model, inputs, float_bytes)
    flops, read, written = 0, set[str](), set[str]()
    for node in model.graph.node:
        if node.op_type not in _MULTIPLICATIONS:
            continue
        flops += 2 * _MULTIPLICATIONS[node.op_type](node, tensors)
        read.update(filter(None, node.input))
        written.update(node.output)
    if not flops:
        operators = ", ".join(_MULTIPLICATIONS)
        raise InputError("operators of the model", "none that multiplies", f"of {operators}", "Give a network.")
    return Cost(flops, sum(map(tensors.bytes, sorted(read))) + sum(map(tensors.bytes, sorted(written))))


class _Tensors:
    """Shapes and types of a graph's tensors, by name."""

    def __init__(self, model: onnx.ModelProto, inputs: Mapping[str, Shape], float_bytes: int) -> None:
        self._float_bytes = float_bytes
        self._known = dict(_tensors(shape_inference.infer_shapes(_filled_in(model, inputs), data_prop=True).graph))

    def shape(self, name: str) -> Shape:
        """Raises InputError where it is unknown."""
        return self._of(name)[1]

    def bytes(self, name: str) -> int:
        """Raises InputError where its shape is unknown."""
        kind, shape = self._of(name)
        size = self._float_bytes if kind in FLOATS else onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize
        return math.prod(shape) * size

    def _of(self, name: str) -> tuple[int, Shape]:
        if name not in self._known:
            remedy = "Export the model with fixed shapes behind its inputs."
            raise InputError(f"shape of {name!r} in the model", "unknown", "one that follows from its inputs", remedy)
        return self._known[name]


def _filled_in(model: onnx.ModelProto, inputs: Mapping[str, Shape]) -> onnx.ModelProto:
    """A copy whose inputs have these shapes, and which says nothing of any other tensor's."""
    filled = onnx.ModelProto()
    filled.CopyFrom(model)
    del filled.graph.value_info[:]
    for output in filled.graph.output:
        output.type.tensor_type.ClearField("shape")
    for each in filled.graph.input:
        if each.name in inputs:
            each.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto())
            for size in inputs[each.name]:
                each.type.tensor_type.shape.dim.add().dim_value = size
    return filled


def _tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, tuple[int, Shape]]]:
    """Type and shape of each tensor of which both are known."""
    for weights in graph.initializer:
        yield weights.name, (weights.data_type, tuple(weights.dims))
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            yield value.name, (tensor.elem_type, tuple(dim.dim_value for dim in tensor.shape.dim))


def _convolution(node: onnx.NodeProto, tensors: _Tensors) -> int:
    """Each value of the output is one of the kernel (of its group)."""
    return math.prod(tensors.shape(node.output[0])) * math.prod(tensors.shape(node.input[1])[1:])


def _transposed(node: onnx.NodeProto, tensors: _Tensors) -> int:
    """Each value of the input is brought to one kernel (of its group)."""
    return math.prod(tensors.shape(node.input[0])) * math.prod(tensors.shape(node.input[1])[1:])


def _product(node: onnx.NodeProto, tensors: _Tensors) -> int:
    return math.prod(tensors.shape(node.output[0])) * tensors.shape(node.input[0])[-1]


def _gemm(node: onnx.NodeProto, tensors: _Tensors) -> int:
    turned = any(each.name == "transA" and each.i for each in node.attribute)
    return math.prod(tensors.shape(node.output[0])) * tensors.shape(node.input[0])[0 if turned else 1]


_MULTIPLICATIONS = {"Conv": _convolution, "ConvTranspose": _transposed, "MatMul": _product, "Gemm": _gemm}
