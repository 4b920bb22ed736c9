"""SSZ's weights become a graph that labels cells as PyTorch does, with every backend, or nothing at all."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_ssz import TINY, saved

from ssz_ros.reconstructor import SSZ
from voxbox import cli
from voxbox.export import ssz
from voxbox.export.ssz import compare, judge
from voxbox_core.datasets.voxel_folder import VoxelWriter
from voxbox_core.datasets.voxel_sample import VoxelSample
from voxbox_core.errors import InputError
from voxbox_core.runtime import available
from voxbox_core.voxels import CLASSES, Voxels

BACKENDS = [name for name in available() if name != "tensorrt"]
CELLS = int(np.prod(TINY.fruxel.shape))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return saved(tmp_path_factory.mktemp("run") / "weights.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three voxel samples, whose camera is not the grid's size."""
    path, rng = tmp_path_factory.mktemp("voxels"), np.random.default_rng(0)
    camera = TINY.fruxel.camera(4)
    for i in range(3):
        image = np.kron(rng.integers(0, 256, (8, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        truth = Voxels(np.zeros(TINY.fruxel.shape, np.uint8), TINY.fruxel)
        VoxelWriter(path).write(VoxelSample(f"{i}", image, camera, truth))
    return path


def exported(weights: Path, out: Path, *options: object) -> dict:
    result = out.with_suffix(".json")
    words = ("export", "ssz", weights, "--out", out, "--json", result, *options)
    assert cli.main([str(word) for word in words]) == 0
    return dict(json.loads(result.read_text()))


@pytest.fixture(scope="module")
def model(trained, folder, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("models") / "tiny"
    return out, exported(trained, out, "--data", folder, "--frames", 2)


@pytest.mark.slow
def test_what_a_precision_costs_is_measured_and_printed(trained, folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(ssz.AGREEMENT, "int8", 0.5)  # of an untrained network
    words = ("--precision", "int8", "--data", folder, "--calibration", 2, "--validation", folder, "--limit", 2)
    accuracy = exported(trained, tmp_path / "m", *words)["accuracy"]
    assert list(accuracy) == ["fp32", "int8"]
    assert accuracy["fp32"].keys() == accuracy["int8"].keys()
    assert 0 < accuracy["fp32"]["IoU/air"] <= 100
    assert f"{accuracy['int8']['IoU/air'] - accuracy['fp32']['IoU/air']:+.2f}" in capsys.readouterr().out


def test_every_backend_was_held_against_pytorch(model, folder) -> None:
    _, result = model
    assert set(result["parity"]) == {f"{name} fp32" for name in set(BACKENDS) - {"torch"}}
    for found in result["parity"].values():
        assert found["cells"] == 2 * CELLS
        assert found["agreement"] >= 0.9999
        assert found["probability"] <= 2 / 255


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_folder_opens_with_its_contract_and_labels_are_many(model, backend) -> None:
    opened = SSZ.open(model[0], backend, threads=1)
    assert (opened.contract, opened.backend) == (TINY, backend)
    image = np.random.default_rng(0).integers(0, 256, (TINY.rows * 2, TINY.columns * 2, 3), np.uint8)
    voxels = opened(image, TINY.fruxel.camera(2))
    assert len(np.unique(voxels.labels)) > 3  # else agreement would mean nothing


def test_the_graph_is_small_folded_and_ends_in_bytes(model) -> None:
    folder, result = model
    graph = onnx.load(folder / "model.onnx").graph
    assert not {"BatchNormalization", "Softmax"} & {node.op_type for node in graph.node}
    assert {value.name for value in graph.output} == {"labels", "probability"}
    assert {value.type.tensor_type.elem_type for value in graph.output} == {onnx.TensorProto.UINT8}
    assert result["onnx_mb"] == pytest.approx((folder / "model.onnx").stat().st_size / 1e6, abs=0.01)


def test_probability_is_left_out_when_it_is_not_wanted(trained, folder, tmp_path) -> None:
    result = exported(trained, tmp_path / "tiny", "--no-probability", "--data", folder)
    assert [value.name for value in onnx.load(tmp_path / "tiny" / "model.onnx").graph.output] == ["labels"]
    assert all(found["probability"] is None for found in result["parity"].values())


def test_volumes_are_exported_too(tmp_path, folder) -> None:
    contract = replace(TINY, architecture="ssz")
    result = exported(saved(tmp_path / "weights.pt", contract), tmp_path / "volumes", "--data", folder, "--frames", 1)
    assert all(found["agreement"] >= 0.9999 for found in result["parity"].values())


def test_no_frames_check_nothing_and_are_refused(trained, tmp_path, capsys) -> None:
    words = ["export", "ssz", str(trained), "--out", str(tmp_path / "model"), "--frames", "0"]
    assert cli.main(words) == 2
    assert "--frames is 0; expected at least 1" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_an_engine_that_strays_is_caught_and_nothing_stays(trained, folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(ssz.AGREEMENT, "fp32", 1.1)
    words = ["export", "ssz", trained, "--out", tmp_path / "model", "--data", folder]
    assert cli.main([str(word) for word in words]) == 2
    assert "labels as PyTorch does" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_differences_are_counted_and_named() -> None:
    labels = np.zeros((1, 10, 10, 10), np.uint8)
    labels[0, 0, 0, :5] = CLASSES.index("car")
    other = labels.copy()
    other[0, 0, 0, :3] = CLASSES.index("van")
    other[0, 1, 0, 0] = CLASSES.index("tree")
    certain = np.full_like(labels, 255)
    doubtful = certain.copy()
    doubtful[0, 5, 5, 5] -= 51
    doubtful[0, 0, 0, 0] = 0  # another label has another probability

    def against(found: dict) -> dict:
        reference = {"labels": labels, "probability": certain}
        return compare(lambda _: reference, lambda _: found, [{}], CLASSES)

    same = against({"labels": labels, "probability": certain})
    assert (same["agreement"], same["differing"], same["probability"]) == (1.0, [], 0.0)
    judge("onnxruntime", same, 0.9999)
    strays = against({"labels": other, "probability": doubtful})
    assert strays["agreement"] == pytest.approx(0.996)
    assert strays["differing"] == [
        {"pytorch": "car", "other": "van", "cells": 3},
        {"pytorch": "air", "other": "tree", "cells": 1},
    ]
    assert strays["probability"] == pytest.approx(0.2)
    with pytest.raises(InputError, match=r"99.6000% \(it takes car as van, air as tree\); expected at least 99.99%"):
        judge("onnxruntime", strays, 0.9999)


def test_a_folder_without_frames_is_refused(trained, tmp_path, capsys) -> None:
    words = ["export", "ssz", trained, "--out", tmp_path / "model", "--data", tmp_path]
    assert cli.main([str(word) for word in words]) == 2
    assert "frames in" in capsys.readouterr().err
