"""Counts of tiny graphs as by hand, and of released models as PyTorch counts them."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.utils.flop_counter import FlopCounterMode

from km3d_ros import detector as km3d
from point_detr3d_ros import detector as point_detr3d
from ssz_ros import reconstructor as ssz
from voxbox.benchmark.graph_cost import Cost, of_file, of_graph
from voxbox_core.errors import InputError
from voxbox_core.ros.models import model_path
from voxbox_core.runtime import ModelFile


def graph(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[Any, ...]],
    weights: dict[str, tuple[int, ...]],
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Of the last node's output. kind: of inputs and weights."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(nodes[-1].output[0], kind, None)],
            [numpy_helper.from_array(np.zeros(shape, dtype), name) for name, shape in weights.items()],
        )
    )


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


@pytest.mark.parametrize(
    ("operator", "attributes", "image", "kernel", "multiplications", "out"),
    [
        ("Conv", {"pads": [1, 1, 1, 1]}, (1, 3, 4, 5), (8, 3, 3, 3), 8 * 4 * 5 * 27, 8 * 4 * 5),
        ("Conv", {"strides": [2, 2]}, (2, 3, 4, 6), (8, 3, 2, 2), 2 * 8 * 2 * 3 * 12, 2 * 8 * 2 * 3),
        ("Conv", {"group": 6}, (1, 6, 4, 4), (6, 1, 3, 3), 6 * 2 * 2 * 9, 6 * 2 * 2),
        ("Conv", {}, (1, 2, 3, 3, 3), (4, 2, 1, 1, 1), 4 * 27 * 2, 4 * 27),
        ("ConvTranspose", {"strides": [2, 2]}, (1, 3, 4, 5), (3, 8, 2, 2), 3 * 4 * 5 * 8 * 4, 8 * 8 * 10),
        ("ConvTranspose", {"group": 2}, (1, 4, 3, 3), (4, 5, 1, 1), 4 * 9 * 5, 10 * 9),
    ],
)
def test_convolutions(
    operator: str,
    attributes: dict[str, Any],
    image: tuple[int, ...],
    kernel: tuple[int, ...],
    multiplications: int,
    out: int,
) -> None:
    model = graph([node(operator, "x w", "y", **attributes)], {"x": image}, {"w": kernel})
    cost = of_graph(model, {}, 4)
    assert cost == Cost(2 * multiplications, 4 * (int(np.prod(image)) + int(np.prod(kernel)) + out))


@pytest.mark.parametrize(
    ("operator", "attributes", "left", "right", "multiplications", "out"),
    [
        ("MatMul", {}, (5, 2, 3), (5, 3, 4), 5 * 2 * 3 * 4, 5 * 2 * 4),
        ("MatMul", {}, (5, 2, 3), (3, 4), 5 * 2 * 3 * 4, 5 * 2 * 4),
        ("Gemm", {}, (2, 3), (3, 4), 2 * 3 * 4, 2 * 4),
        ("Gemm", {"transA": 1, "transB": 1}, (3, 2), (4, 3), 2 * 3 * 4, 2 * 4),
    ],
)
def test_products(
    operator: str,
    attributes: dict[str, Any],
    left: tuple[int, ...],
    right: tuple[int, ...],
    multiplications: int,
    out: int,
) -> None:
    model = graph([node(operator, "a b", "c", **attributes)], {"a": left, "b": right}, {})
    cost = of_graph(model, {}, 2)
    assert cost == Cost(2 * multiplications, 2 * (int(np.prod(left)) + int(np.prod(right)) + out))
    assert cost.intensity == cost.flops / cost.bytes


def test_every_tensor_is_read_once_and_what_lies_between_is_free() -> None:
    """Two that read one image and one set of weights; what is behind them reads what was computed on the way."""
    nodes = [
        node("Relu", "x", "r"),
        node("Conv", "r w b", "p"),
        node("Conv", "r w b", "q"),
        node("Add", "p q", "s"),
        node("Conv", "s w", "y"),
    ]
    cost = of_graph(graph(nodes, {"x": (1, 2, 3, 3)}, {"w": (2, 2, 1, 1), "b": (2,)}), {}, 4)
    assert cost == Cost(3 * 2 * 9 * 2 * 2, 4 * (18 + 4 + 2 + 18) + 4 * 3 * 18)  # r, w, b, s; p, q, y


def test_free_dimensions_are_those_of_the_frame() -> None:
    nodes = [node("Gemm", "x w", "h"), node("Relu", "h", "r"), node("Gemm", "r v", "y")]
    model = graph(nodes, {"x": ("pillars", 3)}, {"w": (3, 4), "v": (4, 5)})
    for pillars in (1, 7):
        assert of_graph(model, {"x": (pillars, 3)}, 4).flops == 2 * pillars * (3 * 4 + 4 * 5)
    with pytest.raises(InputError, match="shape of 'h' in the model is unknown"):
        of_graph(model, {}, 4)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "pillars"  # it is as it was


def test_only_floats_have_the_size_of_the_arithmetic() -> None:
    def bytes_of(kind: int, float_bytes: int) -> int:
        return of_graph(graph([node("Gemm", "a b", "c")], {"a": (2, 3), "b": (3, 4)}, {}, kind), {}, float_bytes).bytes

    numbers = 6 + 12 + 8
    assert bytes_of(TensorProto.FLOAT, 2) == bytes_of(TensorProto.FLOAT16, 2) == 2 * numbers
    assert bytes_of(TensorProto.INT32, 1) == bytes_of(TensorProto.INT32, 4) == 4 * numbers


def test_graphs_without_multiplications_are_refused() -> None:
    with pytest.raises(InputError, match="none that multiplies"):
        of_graph(graph([node("Relu", "x", "y")], {"x": (2,)}, {}), {}, 4)


@pytest.mark.parametrize(
    ("name", "room"), [("km3d-street", km3d), ("ssz-street", ssz), ("point-detr3d-street", point_detr3d)]
)
def test_released_models_cost_what_pytorch_counts(name: str, room: Any) -> None:
    file = ModelFile.find(model_path(name))
    assert file.weights is not None
    deployed = room.load_deployed(file.weights)
    inputs = deployed.example
    if inputs is None:  # clouds
        inputs = {"features": torch.rand(50, 12, 10), "cell": torch.arange(50)}
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        deployed.module(**inputs)
    cost = of_file(file.onnx, {name: tuple(value.shape) for name, value in inputs.items()}, 4)
    assert cost.flops == counter.get_total_flops()
