"""The part of a graph that bears less than float32: all convolutions but the last of each head, and what joins them.

What a head's last convolution says is read in metres: it and all that follows stay float32. Of a graph that says bytes
alone, labels and how probable they are, the last one belongs to the body, too. What comes before the first convolution
stays float32, and what is computed of positions between two of them, as deformable ones do: a sum with a constant is no
joint of feature maps.
"""

from collections.abc import Sequence

import onnx

CONVOLUTIONS = ("Conv", "ConvTranspose")
_OF_ONE_MAP = ("AveragePool", "Clip", "LeakyRelu", "MaxPool", "ReduceMean", "Relu", "Reshape", "Resize")
_OF_SEVERAL = ("Add", "Concat")


def body(graph: onnx.GraphProto) -> set[str]:
    """The values that the body's nodes compute: a node is of the body when its first output is among them.

    None where no convolution follows another, unless bytes alone come out.
    """
    needed = _before_a_convolution(graph)
    if graph.output and all(value.type.tensor_type.elem_type == onnx.TensorProto.UINT8 for value in graph.output):
        needed |= {value for node in graph.node if node.op_type in CONVOLUTIONS for value in node.output}
    inside: set[str] = set()
    for node in graph.node:
        if needed.isdisjoint(node.output):
            continue
        one = node.op_type in _OF_ONE_MAP and node.input[0] in inside
        several = node.op_type in _OF_SEVERAL and inside.issuperset(node.input)
        if one or several or node.op_type in CONVOLUTIONS:
            inside.update(node.output)
    return inside


def rebuilt(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], constants: Sequence[onnx.TensorProto]
) -> onnx.ModelProto:
    """The model with these nodes instead of its own, in order, and more constants; those that no node takes are left
    out."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    taken = {value for node in nodes for value in node.input} | {value.name for value in graph.output}
    graph.initializer.extend(t for t in (*model.graph.initializer, *constants) if t.name in taken)
    return result


def _before_a_convolution(graph: onnx.GraphProto) -> set[str]:
    """The values that a convolution hangs on."""
    needed: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type in CONVOLUTIONS or not needed.isdisjoint(node.output):
            needed.update(node.input)
    return needed
