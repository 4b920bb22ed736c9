"""Precision is written into the graph: the body alone changes, and computes nearly what it did."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from voxbox.export import int8
from voxbox.export.body import body
from voxbox.export.half import halve
from voxbox.export.precision import lower
from voxbox_core.runtime import PRECISIONS, available, open_model

ENGINES = [name for name in available() if name in ("openvino", "onnxruntime")]
SHAPE = (1, 3, 16, 16)


def network() -> onnx.ModelProto:
    """Six convolutions, of which one is on resized maps and one is the head's last; uint8 in, a fit by least squares
    behind."""
    rng = np.random.default_rng(0)
    nodes, constants = [], [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")]

    def convolve(name: str, source: str, inputs: int, outputs: int, stride: int = 1, kind: str = "Conv") -> str:
        size = 2 if kind == "ConvTranspose" else 3
        shape = (inputs, outputs, 2, 2) if kind == "ConvTranspose" else (outputs, inputs, 3, 3)
        weight = (rng.normal(0, 1, shape) / np.sqrt(inputs * size**2)).astype(np.float32)
        weight *= rng.uniform(0.2, 5, (1, outputs, 1, 1) if kind == "ConvTranspose" else (outputs, 1, 1, 1))
        constants.append(numpy_helper.from_array(weight.astype(np.float32), f"{name}.weight"))
        constants.append(numpy_helper.from_array(rng.normal(0, 0.1, outputs).astype(np.float32), f"{name}.bias"))
        around = {"pads": [1] * 4} if kind == "Conv" else {}
        names = [source, f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node(kind, names, [name], strides=[stride] * 2, **around))
        nodes.append(helper.make_node("Relu", [name], [f"{name}.relu"]))
        return f"{name}.relu"

    nodes.append(helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT))
    first = convolve("first", "floats", 3, 8)
    second = convolve("second", first, 8, 8)
    third = convolve("third", second, 8, 8, stride=2)
    up = convolve("up", third, 8, 8, stride=2, kind="ConvTranspose")
    nodes.append(helper.make_node("Add", [up, second], ["sum"]))
    fourth = convolve("fourth", "sum", 8, 8, stride=2)
    nodes.append(helper.make_node("Resize", [fourth, "", "scales"], ["resized"], mode="linear"))
    nodes.append(helper.make_node("Concat", ["resized", second], ["joined"], axis=1))
    join = convolve("join", "joined", 16, 8)
    convolve("last", join, 8, 2)
    nodes.append(helper.make_node("ReduceSum", ["last"], ["total"], keepdims=0))
    nodes.append(helper.make_node("Div", ["last", "total"], ["share"]))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, SHAPE)
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 2, 16, 16)) for name in ("last", "share")]
    graph = helper.make_graph(nodes, "network", [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"system": "test"})
    return model


def frames(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"image": rng.integers(0, 256, SHAPE, np.uint8)} for _ in range(count)]


def types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    return {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}


@pytest.fixture(scope="module")
def lowered(tmp_path_factory) -> dict[str, Path]:
    paths = {name: tmp_path_factory.mktemp(name) / "model.onnx" for name in PRECISIONS}
    for name, path in paths.items():
        onnx.save(network(), path)
        lower(path, name, frames(4))
    return paths


def test_the_body_ends_before_the_last_convolution():
    inside = body(network().graph)
    assert {"first", "first.relu", "sum", "resized", "joined", "join.relu"} <= inside
    assert inside.isdisjoint({"floats", "last", "last.relu", "total", "share"})


def test_the_body_has_the_last_convolution_of_a_graph_that_says_bytes_alone():
    model = network()
    for name in ("last", "share"):
        model.graph.node.append(helper.make_node("Cast", [name], [f"{name}.byte"], to=TensorProto.UINT8))
    del model.graph.output[:]
    metres, labels = (
        helper.make_tensor_value_info(name, kind, SHAPE)
        for name, kind in (("share", TensorProto.FLOAT), ("last.byte", TensorProto.UINT8))
    )
    model.graph.output.append(labels)
    inside = body(model.graph)
    assert "last" in inside
    assert inside.isdisjoint({"floats", "total", "share", "last.byte"})
    model.graph.output.append(metres)
    assert "last" not in body(model.graph)


def test_a_sum_with_a_constant_is_no_joint_of_maps():
    """Positions between two convolutions: float16 knows no hundredths of a pixel beyond some dozens of pixels."""
    model = network()
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 8, 16, 16), np.float32), "grid"))
    joint = next(node for node in model.graph.node if node.op_type == "Add")
    joint.input[1] = "grid"
    assert "sum" not in body(model.graph)
    assert {"up.relu", "fourth"} <= body(model.graph)
    assert types(halve(model))["sum"] == TensorProto.FLOAT


def test_fp16_is_the_body_alone():
    whole, half = network(), halve(network())
    assert half.graph.input == whole.graph.input
    assert half.graph.output == whole.graph.output
    found = types(half)
    for name in body(whole.graph):
        assert found[f"{name}_half"] == TensorProto.FLOAT16
    assert all(found[name] == TensorProto.FLOAT for name in ("last", "total", "share"))
    stored = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert stored["first.weight_half"] == TensorProto.FLOAT16
    assert stored["last.weight"] == TensorProto.FLOAT
    assert "first.weight" not in stored


def test_int8_is_symmetric_and_spares_ends_and_resized_maps(lowered):
    graph = onnx.load(lowered["int8"]).graph
    rounded = {n.output[0] for n in graph.node if n.op_type in ("Conv", "ConvTranspose") and "rounded" in n.input[0]}
    assert rounded == {"third", "up", "fourth"}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = constants[node.input[2]]
            assert zero.dtype == np.int8 and not zero.any()


def test_weights_are_rounded_channel_by_channel(lowered):
    constants = {t.name: numpy_helper.to_array(t) for t in onnx.load(lowered["int8"]).graph.initializer}
    whole = {t.name: numpy_helper.to_array(t) for t in network().graph.initializer}
    for name, axis in (("third", 0), ("up", 1)):
        small, scale = constants[f"{name}.weight_int8"], constants[f"{name}.weight_scale"]
        assert small.dtype == np.int8 and scale.shape == (8,)
        scale = scale.reshape([-1 if i == axis else 1 for i in range(4)])
        others = tuple(i for i in range(4) if i != axis)
        assert (np.abs(small).max(others) == 127).all()
        assert (np.abs(small * scale - whole[f"{name}.weight"]) <= scale / 2 * 1.001).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("precision", "error"), [("fp32", 1e-5), ("fp16", 2e-3), ("int8", 0.1)])
def test_every_engine_computes_nearly_what_it_did(lowered, engine, precision, error):
    run, whole = (open_model(lowered[name], engine, threads=1).run for name in (precision, "fp32"))
    for frame in frames(6):
        found, expected = run(frame), whole(frame)
        for name in ("last", "share"):
            assert found[name].dtype == np.float32
            assert np.linalg.norm(found[name] - expected[name]) <= error * np.linalg.norm(expected[name])


def test_engines_read_the_rounding_alike(lowered, monkeypatch):
    if "openvino" in ENGINES:  # which computes in bfloat16 what int8 spares
        monkeypatch.setattr("voxbox_core.runtime.openvino._arithmetic", lambda *_: "f32")
    runs = [open_model(lowered["int8"], engine, threads=1).run for engine in ENGINES]
    for frame in frames(6):
        found = [run(frame)["last"] for run in runs]
        for other in found[1:]:
            assert np.linalg.norm(other - found[0]) <= 1e-3 * np.linalg.norm(found[0])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_file_says_its_precision(lowered, precision):
    loaded = open_model(lowered[precision], ENGINES[0], threads=1)
    assert loaded.metadata == {"system": "test", "precision": precision}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_engines_say_what_they_compute_in(lowered, precision):
    """Without instructions for int8, OpenVINO would say fp32 of that too."""
    told = {name: open_model(lowered[precision], name, threads=1).precision for name in ENGINES}
    simulated = "fp32" if precision == "fp32" else f"fp32 (the model is {precision})"
    assert told.pop("onnxruntime", simulated) == simulated
    possible = {"int8", "int8 with bf16", simulated} if precision == "int8" else {simulated}
    assert told.pop("openvino", simulated) in possible


def test_a_graph_without_a_body_stays_as_it_is():
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 1, 4, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 2, 2))],
        [numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    assert halve(model).graph.node == graph.node
    assert int8.rounded_maps(graph) == []
