"""The detector puts the steps in order: whatever network says the truth, it returns the truth."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from km3d_ros.codec import decode, encode
from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D, load_deployed
from km3d_ros.network import Deployed, KM3DNet
from voxbox_core import weights
from voxbox_core.boxes import iou_3d
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.image import letterbox

IMAGE = np.zeros((375, 1242, 3), np.uint8)


@pytest.fixture
def truth(scene):
    return scene(0)


@pytest.fixture
def oracle(contract, camera, truth, batched, ideal_maps):
    """A deployed graph of a network that knows the truth."""
    affine = letterbox(camera.width, camera.height, contract.input_width, contract.input_height)
    maps = ideal_maps(batched(encode(contract, truth, camera, affine)))

    def run(inputs):
        assert inputs["image"].shape == (1, contract.input_height, contract.input_width, 3)
        geometry = (torch.from_numpy(inputs[name]) for name in ("intrinsics", "grid_to_image"))
        return {name: value.numpy() for name, value in decode(contract, maps, *geometry).items()}

    return run


def test_an_oracle_gives_the_truth(contract, camera, truth, oracle) -> None:
    detector = KM3D(contract, oracle)
    found = detector(IMAGE, camera)
    assert len(found) == len(truth)
    assert (iou_3d(truth, found).max(1) > 0.99).all()
    assert (np.diff(found.score) <= 0).all()
    assert set(detector.stages) == {"preprocess", "inference", "postprocess"}
    assert all(seconds >= 0 for seconds in detector.stages.values())


def test_2d_boxes_stay_in_the_image(contract, camera, oracle) -> None:
    def outside(inputs):
        outputs = oracle(inputs)
        return outputs | {"box2d": outputs["box2d"] * 3 - 500}

    box2d = KM3D(contract, outside)(IMAGE, camera).box2d
    assert (box2d >= 0).all()
    assert (box2d <= [1241, 374, 1241, 374]).all()


def test_only_boxes_above_the_threshold(contract, camera, oracle) -> None:
    def weaker(inputs):
        outputs = oracle(inputs)
        return outputs | {"score": outputs["score"] * np.linspace(1.0, 0.0, contract.max_detections)}

    every = KM3D(contract, weaker, score_threshold=0.0)(IMAGE, camera)
    assert every.score.min() > 0  # a score of 0 says that there is no location
    assert len(KM3D(contract, weaker, score_threshold=0.95)(IMAGE, camera)) == (every.score >= 0.95).sum()


@pytest.mark.parametrize("name", ["center", "size", "yaw"])
def test_a_box_whose_numbers_overflowed_is_none(contract, camera, truth, oracle, name) -> None:
    def overflowed(inputs):
        outputs = oracle(inputs)
        values = outputs[name].copy()
        values[0, outputs["score"][0].argmax()] = np.nan
        return outputs | {name: values}

    found = KM3D(contract, overflowed)(IMAGE, camera)
    assert len(found) == len(truth) - 1
    assert np.isfinite(getattr(found, name)).all()


def test_without_a_threshold_each_class_has_the_contracts(contract, camera, oracle) -> None:
    label = np.arange(contract.max_detections) % 3

    def run(inputs):
        return oracle(inputs) | {"label": label[None], "score": np.full((1, len(label)), 0.1, np.float32)}

    own = replace(contract, score_thresholds=(0.3, 0.05, 0.3))
    assert set(KM3D(own, run)(IMAGE, camera).label) == {1}
    assert set(KM3D(own, run, score_threshold=0.01)(IMAGE, camera).label) == {0, 1, 2}


def test_the_image_that_the_network_sees_is_letterboxed(contract, camera) -> None:
    image = IMAGE.copy()
    image[187 - 20 : 187 + 20, 620 - 20 : 620 + 20] = (255, 0, 0)
    inputs = KM3D(contract, run=dict)  # never run
    seen = inputs.preprocess(image, camera)
    rows, columns = np.nonzero(seen["image"][0, ..., 0] > 127)
    scale = contract.input_width / camera.width
    assert (columns.mean(), rows.mean()) == pytest.approx((319.5 - 1 * scale, 95.5 - 0.5 * scale), abs=0.6)
    assert len(rows) == pytest.approx((40 * scale) ** 2, rel=0.06)
    assert seen["image"][..., 1:].max() == 0
    grid = seen["grid_to_image"][0]
    np.testing.assert_allclose(grid @ [contract.grid_width / 2 - 0.5, contract.grid_height / 2 - 0.5, 1], [620.5, 187])


@pytest.mark.parametrize("image", [IMAGE[:100], IMAGE.astype(np.float32), IMAGE[..., 0]], ids=["size", "type", "grey"])
def test_an_image_of_another_camera_is_refused(contract, camera, image) -> None:
    with pytest.raises(InputError, match=r"image is .*expected uint8 \(375, 1242, 3\)"):
        KM3D(contract, run=dict)(image, camera)


def test_weights_and_contract_make_the_deployed_module(contract: Contract, camera: Camera, tmp_path) -> None:
    torch.manual_seed(0)
    network = KM3DNet(contract).eval()
    weights.save(tmp_path / "weights.pt", network.state_dict(), contract.to_json())
    deployed = load_deployed(tmp_path / "weights.pt")
    assert Contract.from_json(deployed.metadata["contract"]) == contract
    assert deployed.metadata["system"] == "km3d"
    with torch.no_grad():
        inputs = deployed.module.example()
        for found, expected in zip(deployed.module(*inputs), Deployed(network)(*inputs), strict=True):
            torch.testing.assert_close(found, expected)


def test_a_foreign_model_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="expected"):
        KM3D.open(tmp_path / "absent.onnx")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_open_reads_the_contract_of_an_onnx_file(contract, camera, tmp_path, backend) -> None:
    pytest.importorskip(backend)
    export = pytest.importorskip("voxbox.export.onnx_graph")
    torch.manual_seed(0)
    weights.save(tmp_path / "weights.pt", KM3DNet(contract).state_dict(), contract.to_json())
    deployed = load_deployed(tmp_path / "weights.pt")
    module, file = deployed.module, tmp_path / "model.onnx"
    export.write_onnx(module, module.example(), module.INPUTS, module.OUTPUTS, deployed.metadata, file)
    detector = KM3D.open(file, backend, threads=1, score_threshold=0.0)
    assert detector.contract == contract
    assert detector.backend == backend
    assert len(detector(IMAGE, camera)) <= contract.max_detections


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_engine_of_its_own_does_without_torch(contract, tmp_path, backend) -> None:
    """PyTorch would take most of a node's start-up time and memory."""
    pytest.importorskip(backend)
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    ends = [value(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Abs", ["x"], ["y"])], "any", ends[:1], ends[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.helper.set_model_props(model, {"system": "km3d", "contract": contract.to_json()})
    onnx.save(model, tmp_path / "any.onnx")
    opened = f"""
import sys
from km3d_ros.detector import KM3D
print(KM3D.open({str(tmp_path / "any.onnx")!r}, {backend!r}).backend, "torch" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", opened], capture_output=True, text=True, check=True).stdout
    assert said.split() == [backend, "False"]
