"""Student and teacher become model folders that open with every backend, or nothing at all."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny_point_detr3d import TINY

from point_detr3d_ros.assist import Assist
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.detector import PointDETR3D
from point_detr3d_ros.student import Student
from point_detr3d_ros.teacher import Teacher
from voxbox import cli
from voxbox.export import point_detr3d
from voxbox.export.parity import Tolerance, compare
from voxbox_core import weights
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import Prompts, RigSample, View
from voxbox_core.datasets.rig_folder import RigFolder, RigWriter
from voxbox_core.ros import models
from voxbox_core.runtime import available
from voxbox_core.runtime.model import read_manifest

BACKENDS = [name for name in available() if name != "tensorrt"]
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
LOOKING_AHEAD = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])


def saved(network: torch.nn.Module, contract: Contract, path: Path) -> Path:
    """Untrained weights, made livelier so that networks say different things in different places."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
                layer.weight.mul_(2.5)
    weights.save(path, network.state_dict(), contract.to_json())
    return path


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    torch.manual_seed(1)
    return saved(Student(TINY), TINY, tmp_path_factory.mktemp("s3") / "weights.pt")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    torch.manual_seed(1)
    return saved(Teacher(TINY), TINY, tmp_path_factory.mktemp("s1") / "weights.pt")


@pytest.fixture(scope="module")
def rig(tmp_path_factory) -> Path:
    """Three frames of other sizes, with 0, 1 and 2 cameras."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("rig")
    for i, count in enumerate((3000, 500, 40)):
        points = rng.uniform([-13, -7, -2, 0, 0], [13, 7, 2, 1, 0], (count, 5)).astype(np.float32)
        image = rng.integers(0, 255, (32, 64, 3), np.uint8)
        camera = Camera(np.array([[40.0, 0, 31.5], [0, 40, 15.5], [0, 0, 1]]), 64, 32)
        views = tuple(View(f"CAM_{k}", image, camera, LOOKING_AHEAD) for k in range(i))
        RigWriter(folder).write(RigSample(f"{i}", points, 1.7, views))
    return folder


def exported(tmp_path_factory, name: str, *words: object) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("models")
    words = ("export", *words, "--out", folder / name, "--frames", 3, "--json", folder / "result.json")
    assert cli.main([str(word) for word in words]) == 0
    return folder / name, json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def model(student, rig, tmp_path_factory) -> tuple[Path, dict]:
    thresholds = ("--score-thresholds", *THRESHOLDS)
    return exported(tmp_path_factory, "tiny", "point-detr3d", student, "--data", rig, *thresholds)


@pytest.fixture(scope="module")
def assist(teacher, rig, tmp_path_factory) -> tuple[Path, dict]:
    return exported(tmp_path_factory, "tiny-assist", "point-detr3d-assist", teacher, "--data", rig)


@pytest.mark.parametrize(("name", "boxes"), [("model", 60), ("assist", 3 * 2 * (1 + 7 + 23 + 23))])
def test_every_backend_was_held_against_pytorch(request, name, boxes):
    _, result = request.getfixturevalue(name)
    assert set(result["parity"]) == {f"{name} fp32" for name in set(BACKENDS) - {"torch"}}
    for found in result["parity"].values():
        assert 0.9 * boxes <= found["compared"] <= boxes
        assert found["center"] < 2e-3 and found["score"] < 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_student_opens_with_its_contract(model, rig, backend):
    folder, _ = model
    detector = PointDETR3D.open(folder, backend, threads=1, score_threshold=0.0)
    assert detector.contract == replace(TINY, score_thresholds=THRESHOLDS)
    assert detector.backend == backend
    counts = [len(detector(sample.points, sample.height)) for sample in RigFolder(rig)]
    assert min(counts) > 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_assistant_opens_and_answers(assist, rig, backend):
    opened = Assist.open(assist[0], backend, threads=1)
    assert (opened.contract, opened.backend) == (TINY, backend)
    sample = RigFolder(rig)[2]
    encoded = opened.encode(sample.points, sample.height, sample.views)
    prompts = Prompts(np.array([[3.0, 1, 0], [5, -2, 0]]), np.array([0, 5]), TINY.classes)
    assert opened.decode(encoded, prompts).label.tolist() == [0, 5]


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "torch"])
@pytest.mark.parametrize(("clicks", "cameras"), [(1, 0), (1, 6), (64, 1), (64, 6)])
def test_the_assistant_takes_any_number_of_clicks_and_cameras(assist, backend, clicks, cameras):
    rng = np.random.default_rng(0)
    points = rng.uniform([-13, -7, -2, 0, 0], [13, 7, 2, 1, 0], (3000, 5)).astype(np.float32)
    camera = Camera(np.array([[40.0, 0, 31.5], [0, 40, 15.5], [0, 0, 1]]), 64, 32)
    images = rng.integers(0, 255, (cameras, 32, 64, 3), np.uint8)
    views = [View(f"CAM_{k}", image, camera, LOOKING_AHEAD) for k, image in enumerate(images)]
    prompts = Prompts(rng.uniform([-9, -5, -1], [9, 5, 0], (clicks, 3)), rng.integers(0, 6, clicks), TINY.classes)
    answers = []
    for name in (backend, "torch"):
        opened = Assist.open(assist[0], name, threads=1)
        encoded = opened.encode(points, 1.7, views)
        clicked = opened.decode(encoded, prompts)
        answers.append((clicked, opened.refine(encoded, clicked)))
    for mine, theirs in zip(*answers, strict=True):
        np.testing.assert_allclose(mine.center, theirs.center, atol=1e-3)
        np.testing.assert_allclose(mine.size, theirs.size, rtol=1e-3)
        np.testing.assert_allclose(mine.score, theirs.score, atol=1e-3)


def test_graphs_hold_standard_operations_alone(model, assist):
    """None that some engine lacks, computes otherwise, or that makes shapes depend on data."""
    unwanted = {"GridSample", "NonZero", "Einsum", "Unique", "Loop", "If", "Compress", "AffineGrid"}
    files = [model[0] / "model.onnx", *(assist[0] / part / "model.onnx" for part in ("lidar", "image", "prompt"))]
    for file in files:
        assert not unwanted & {node.op_type for node in onnx.load(file).graph.node}, file


def test_the_assistant_is_three_releases_with_the_same_weights(assist):
    folder, result = assist
    assert sorted(path.name for path in folder.iterdir()) == ["image", "lidar", "prompt", "weights.pt"]
    for part, manifest in result["manifest"].items():
        assert read_manifest(folder / part) == manifest
        assert (manifest["name"], manifest["weights"]) == (f"tiny-assist/{part}", "../weights.pt")


@pytest.mark.slow
def test_a_teacher_without_cameras_has_two_parts(rig, tmp_path):
    blind = replace(TINY, cameras=False)
    file = saved(Teacher(blind), blind, tmp_path / "weights.pt")
    words = ["export", "point-detr3d-assist", file, "--out", tmp_path / "blind", "--data", rig]
    assert cli.main([str(word) for word in words]) == 0
    assert sorted(path.name for path in (tmp_path / "blind").iterdir()) == ["lidar", "prompt", "weights.pt"]
    opened = Assist.open(tmp_path / "blind", "onnxruntime", threads=1)
    sample = RigFolder(rig)[2]
    encoded = opened.encode(sample.points, sample.height, sample.views)
    assert encoded.cameras == 0
    assert len(opened.ask(encoded, np.ones((1, 3)), [None])) == 1


def test_released_models_are_found_by_name(model, assist, tmp_path, monkeypatch):
    for folder in (model[0], assist[0]):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / folder.name).symlink_to(folder)
    monkeypatch.setattr(models, "get_package_share_directory", lambda name: tmp_path)
    assert models.model_path("tiny") == tmp_path / "models" / "tiny"
    assert models.model_path("tiny-assist") == tmp_path / "models" / "tiny-assist"


def test_an_engine_that_strays_is_caught(student, rig, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(point_detr3d.TOLERANCE["fp32"].largest, "size", -1.0)
    words = ["export", "point-detr3d", student, "--out", tmp_path / "model", "--data", rig, "--frames", 1]
    assert cli.main([str(word) for word in words]) == 2
    assert "difference from PyTorch in size" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--frames", "0"), "--frames is 0; expected at least 1"),
        (("--score-thresholds", "0.1"), "score_thresholds"),
        (("--data", "nowhere"), "nowhere"),
        (("--validation", "nowhere"), "--validation is nowhere; expected a folder of labelled frames"),
    ],
)
def test_impossible_values_are_refused(student, tmp_path, capsys, option, said):
    assert cli.main(["export", "point-detr3d", str(student), "--out", str(tmp_path / "model"), *option]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_student_is_released_in_a_precision(student, rig, tmp_path_factory, monkeypatch, precision):
    monkeypatch.setitem(point_detr3d.TOLERANCE, "int8", Tolerance({}, 1e-2, missing=0.9))  # of an untrained network
    words = ("--data", rig, "--precision", precision, "--calibration", 1)
    folder, result = exported(tmp_path_factory, precision, "point-detr3d", student, *words)
    assert result["manifest"]["precision"] == precision
    assert len(PointDETR3D.open(folder, "onnxruntime", score_threshold=0.0)(RigFolder(rig)[0].points, 1.7)) > 0


@pytest.mark.slow
def test_the_assistant_in_fp16_is_checked_and_in_int8_refused(teacher, rig, tmp_path, capsys):
    words = ["export", "point-detr3d-assist", teacher, "--out", tmp_path / "model", "--data", rig, "--frames", 1]
    assert cli.main([str(word) for word in (*words, "--precision", "int8")]) == 2
    assert "--precision is int8; expected fp32 or fp16 for the assistant" in capsys.readouterr().err
    assert cli.main([str(word) for word in (*words, "--precision", "fp16")]) == 0
    assert {read_manifest(path)["precision"] for path in (tmp_path / "model").iterdir() if path.is_dir()} == {"fp16"}


def test_the_weights_of_the_other_network_are_refused(teacher, rig, tmp_path, capsys):
    words = ["export", "point-detr3d", teacher, "--out", tmp_path / "model", "--data", rig]
    assert cli.main([str(word) for word in words]) == 2
    assert "expected the" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_boxes_are_paired_by_class_and_place_and_differences_seen():
    rng = np.random.default_rng(0)
    one = {
        "score": np.array([[0.9, 0.5, 0.4, 0.001]]),
        "label": np.array([[0, 1, 1, 0]]),
        "center": np.array([[[5.0, 1, 0], [9, 2, 0], [-4, 2, 0], [0, 0, 0]]]),
        "size": rng.uniform(1, 4, (1, 4, 3)),
        "heading": rng.normal(size=(1, 4, 2)),
    }

    def against(other):
        pairing = point_detr3d._nearest, point_detr3d._difference
        return compare(lambda _: one, lambda _: other, [0], *pairing, point_detr3d.TOLERANCE["fp32"])

    same = against({name: values[:, [2, 0, 3, 1]] for name, values in one.items()})
    assert (same["compared"], same["missing"]) == (3, 0)
    assert all(same[name] == 0 for name in point_detr3d.TOLERANCE["fp32"].largest)
    moved = against(one | {"center": one["center"] + [0.03, 0.04, 0], "heading": one["heading"] + 0.01})
    assert moved["center"] == pytest.approx(0.05)
    assert moved["heading"] == pytest.approx(0.01)
    assert against(one | {"center": one["center"] + 1})["missing"] == 3
    assert against(one | {"label": one["label"] + 1})["missing"] == 3
