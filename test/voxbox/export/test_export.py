"""Weights become a model folder that opens with every backend, or nothing at all."""

import argparse
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D
from km3d_ros.network import KM3DNet
from voxbox.export import command, km3d, release
from voxbox.export.km3d import compare
from voxbox.export.parity import Tolerance, judge
from voxbox_core import weights
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.runtime import ModelFile, available, onnx_file, open_model

TINY = Contract(input_width=128, input_height=64, width=0.125, neck="skip", head_channels=8, max_detections=10)

FP32 = km3d.TOLERANCE["fp32"]


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args(list(words))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Untrained weights, made livelier so that heads say different things in different places."""
    torch.manual_seed(1)
    network = KM3DNet(TINY)
    with torch.no_grad():
        for head in network.heads.values():
            head[-1].weight.mul_(100)
    path = tmp_path_factory.mktemp("run") / "weights.pt"
    weights.save(path, network.state_dict(), TINY.to_json())
    return path


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("models") / "tiny"
    return out, command.run(arguments("km3d", str(trained), "--out", str(out), "--frames", "1"))


def test_every_backend_was_held_against_pytorch(model):
    _, result = model
    assert set(result["parity"]) == {f"{name} fp32" for name in set(available()) - {"torch", "tensorrt"}}
    assert all(found["compared"] > 0 and found["center"] < 2e-3 for found in result["parity"].values())


@pytest.mark.parametrize("backend", [b for b in available() if b != "tensorrt"])
def test_the_folder_opens_with_its_contract(model, backend):
    folder, _ = model
    detector = KM3D.open(folder, backend, threads=1, score_threshold=0.0)
    assert detector.contract == TINY
    assert detector.backend == backend
    image = np.random.default_rng(0).integers(0, 255, (60, 120, 3), np.uint8)
    assert len(detector(image, Camera(np.array([[100.0, 0, 60], [0, 100, 30], [0, 0, 1]]), 120, 60))) > 0


def test_the_graph_does_not_tell_where_it_was_made(model):
    folder, _ = model
    assert b".py" not in (folder / "model.onnx").read_bytes()


def test_thresholds_go_into_the_contract(trained, tmp_path):
    thresholds = ["--score-thresholds", "0.1", "0.2", "0.3"]
    command.run(arguments("km3d", str(trained), "--out", str(tmp_path / "m"), "--frames", "1", *thresholds))
    assert KM3D.open(tmp_path / "m", "onnxruntime", threads=1).contract.score_thresholds == (0.1, 0.2, 0.3)


def test_weights_of_something_else_leave_nothing_behind(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"garbage")
    with pytest.raises(InputError, match="unreadable"):
        command.run(arguments("km3d", str(tmp_path / "weights.pt"), "--out", str(tmp_path / "model")))
    assert not (tmp_path / "model").exists()


def test_an_engine_that_strays_is_caught(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(FP32.largest, "center", -1.0)
    with pytest.raises(InputError, match="difference from PyTorch in center"):
        command.run(arguments("km3d", str(trained), "--out", str(tmp_path / "model"), "--frames", "1"))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("score", "line"),
    [
        ([0.9, 0.8], "boxes of PyTorch that onnxruntime misses is 2 of 2; expected at most 5%"),
        ([0.0, 0.0], "boxes to compare the backends by is 0; expected at least 1"),
    ],
)
def test_an_engine_that_finds_nothing_is_not_taken_for_one_that_agrees(score, line):
    found = {
        "keypoints": np.zeros((1, 2, 9, 2)),
        "label": np.zeros((1, 2)),
        "score": np.array([score]),
        "center": np.ones((1, 2, 3)),
    }
    with pytest.raises(InputError, match=line):
        other = compare(lambda _: found, lambda _: found | {"label": found["label"] + 1}, [{}], FP32)
        judge("onnxruntime", other, FP32)


@pytest.mark.parametrize(
    ("option", "line"),
    [(("--frames", "0"), "--frames is 0; expected at least 1"), (("--keypoints", "0"), "keypoints_used is 0")],
)
def test_impossible_numbers_are_refused(trained, tmp_path, option, line):
    with pytest.raises(InputError, match=line):
        command.run(arguments("km3d", str(trained), "--out", str(tmp_path / "model"), *option))
    assert not (tmp_path / "model").exists()


def test_a_part_of_the_boxes_may_differ_more_where_the_tolerance_says_so():
    rng = np.random.default_rng(0)
    one = {
        "keypoints": rng.uniform(0, 600, (1, 10, 9, 2)),
        "label": np.zeros((1, 10)),
        "score": np.full((1, 10), 0.9),
        "yaw": np.zeros((1, 10)),
        "center": np.ones((1, 10, 3)),
        "size": np.ones((1, 10, 3)),
    }
    around = one | {"yaw": np.r_[np.pi, np.zeros(9)][None]}
    strict, generous = Tolerance({"yaw": 0.1}, 0.05), Tolerance({"yaw": 0.1}, 0.05, part=0.8)
    for tolerance, yaw in ((strict, np.pi), (generous, 0.0)):
        assert compare(lambda _: one, lambda _: around, [{}], tolerance)["yaw"] == pytest.approx(yaw)
    with pytest.raises(InputError, match="part of boxes"):
        Tolerance({}, 0.05, part=0.0)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_precision_is_written_into_the_release(trained, tmp_path, monkeypatch, precision):
    monkeypatch.setitem(km3d.TOLERANCE, "int8", Tolerance({}, 1e-3, missing=0.9))  # of an untrained network
    words = ["km3d", str(trained), "--out", str(tmp_path / "m"), "--frames", "1", "--precision", precision]
    manifest = command.run(arguments(*words, "--calibration", "2"))["manifest"]
    assert manifest["precision"] == precision == open_model(tmp_path / "m", "onnxruntime").metadata["precision"]


@pytest.fixture(scope="module")
def twice(trained, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("twice") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(km3d.TOLERANCE, "int8", Tolerance({}, 1e-3, missing=0.9))  # of an untrained network
        words = ["km3d", str(trained), "--out", str(out), "--frames", "1", "--calibration", "2"]
        result = command.run(arguments(*words, "--precision", "fp32", "int8"))
    assert set(result["parity"]) == {f"{name} {p}" for name in release.engines() for p in ("fp32", "int8")}
    return out


def test_a_release_may_come_in_several_precisions(twice):
    model = ModelFile.find(twice)
    (other,) = model.others
    assert (model.precision, model.onnx.name) == ("fp32", "model.onnx")
    assert (other.precision, other.onnx.name) == ("int8", "model-int8.onnx")
    assert onnx_file.read(other.onnx).precision == "int8"
    assert KM3D.open(twice, "onnxruntime", threads=1).precision == "fp32"
    assert "int8" in KM3D.open(twice, "onnxruntime", threads=1, precision="int8").precision


def test_a_release_in_one_precision_leaves_none_of_the_others_behind(twice, trained, tmp_path):
    shutil.copytree(twice, tmp_path / "m")
    command.run(arguments("km3d", str(trained), "--out", str(tmp_path / "m"), "--frames", "1"))
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"model.onnx", "weights.pt", "manifest.yaml"}
    assert not ModelFile.find(tmp_path / "m").others


@pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed")
def test_the_engine_is_built_with_the_release_when_asked_for(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VOXBOX_CACHE", str(tmp_path / "cache"))
    words = ["km3d", str(trained), "--out", str(tmp_path / "m"), "--frames", "1"]
    command.run(arguments(*words, "--engine", "portable"))
    assert list((tmp_path / "cache").rglob("*.engine"))
    assert "built the tensorrt_rtx" in "".join(capsys.readouterr())


def test_comparison_pairs_boxes_by_place_and_sees_a_difference():
    rng = np.random.default_rng(0)
    one = {
        "keypoints": rng.uniform(0, 600, (1, 3, 9, 2)),
        "label": np.zeros((1, 3)),
        "score": np.array([[0.9, 0.5, 0.4]]),
        "yaw": np.array([[3.1, 0.0, 1.0]]),
        "center": rng.uniform(5, 20, (1, 3, 3)),
        "size": np.ones((1, 3, 3)),
    }
    shuffled = {k: v[:, [2, 0, 1]] for k, v in one.items()}
    same = compare(lambda _: one, lambda _: shuffled, [{}], FP32)
    assert (same["compared"], same["missing"], same["center"]) == (3, 0, 0)
    turned = one | {"yaw": one["yaw"] + 2 * np.pi + 0.01}
    assert compare(lambda _: one, lambda _: turned, [{}], FP32)["yaw"] == pytest.approx(0.01)
    broken = compare(lambda _: one, lambda _: one | {"size": one["size"] * np.nan}, [{}], FP32)
    with pytest.raises(InputError, match="difference from PyTorch in size is nan"):
        judge("onnxruntime", broken, FP32)
    elsewhere = one | {"keypoints": one["keypoints"] + 50}
    assert compare(lambda _: one, lambda _: elsewhere, [{}], FP32)["missing"] == 3
