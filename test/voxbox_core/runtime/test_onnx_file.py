"""What is read of an ONNX file without the onnx package is what that package reads."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from voxbox_core.errors import InputError
from voxbox_core.runtime import onnx_file

RELEASED = sorted((Path(__file__).resolve().parents[3] / "models").rglob("model.onnx"))


def model(tensor, operator="Add", shape=("rows", 3, "columns")):
    """One operator on x and a stored tensor."""
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "stored"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        [numpy_helper.from_array(tensor, "stored")],
    )
    made = helper.make_model(graph)
    helper.set_model_props(made, {"system": "tiny", "contract": '{"a": "ä"}', "empty": ""})
    return made


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_the_released_models_are_read_as_onnx_reads_them(path):
    known = onnx.load(path)
    names = [d.dim_param for i in known.graph.input for d in i.type.tensor_type.shape.dim if d.dim_param]
    found = onnx_file.read(path)
    assert found.metadata == {entry.key: entry.value for entry in known.metadata_props}
    assert found.free == tuple(dict.fromkeys(names))
    assert found.precision == "fp32"


def test_there_are_released_models():
    assert len(RELEASED) >= 6


@pytest.mark.parametrize(
    ("dtype", "operator", "precision"),
    [
        (np.float32, "Add", "fp32"),
        (np.float16, "Add", "fp16"),
        (np.float32, "DequantizeLinear", "int8"),
        (np.float16, "QuantizeLinear", "int8"),
    ],
)
def test_the_precision_is_that_of_the_weights_unless_they_are_quantised(tmp_path, dtype, operator, precision):
    (tmp_path / "m.onnx").write_bytes(model(np.ones(3, dtype), operator).SerializeToString())
    found = onnx_file.read(tmp_path / "m.onnx")
    assert found.precision == precision
    assert found.free == ("rows", "columns")
    assert found.metadata == {"system": "tiny", "contract": '{"a": "ä"}', "empty": ""}


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "cut in a number"])
def test_what_is_no_whole_onnx_file_is_refused(tmp_path, damage):
    whole = model(np.arange(1000, dtype=np.float32)).SerializeToString()
    content = {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "text": b"not a model at all",
        "cut in a number": whole + b"\x72\xff",
    }[damage]
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"model .*bad.onnx is no whole ONNX file"):
        onnx_file.read(tmp_path / "bad.onnx")
