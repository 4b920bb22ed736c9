"""Peers of small untrained models: the straightforward way gives the detector's answers, and is measured beside it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_point_detr3d import TINY as TINY_CLOUDS
from tiny_ssz import TINY as TINY_VOXELS
from tiny_ssz import lively

from km3d_ros import detector as km3d_detector
from km3d_ros.contract import Contract
from km3d_ros.network import MEAN, STD, KM3DNet
from point_detr3d_ros import detector as point_detector
from point_detr3d_ros.student import Student
from ssz_ros import reconstructor
from voxbox import cli
from voxbox.benchmark import agreement, peer_engines, peers, plain_km3d, plain_point_detr3d, plain_ssz
from voxbox.benchmark.peers import OURS, WHOLE
from voxbox.export import release
from voxbox_core import weights
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.runtime import available

CAMERA = Camera(np.array([[80.0, 0, 70.0], [0, 80, 30.0], [0, 0, 1]]), 150, 70)
MODELS = Path(__file__).resolve().parents[3] / "models"
EXPORTED = [name for name in ("onnxruntime", "openvino") if name in available()]


def unlike(network: torch.nn.Module) -> None:
    """Weights that say different things in different places, none of them so loudly that a sigmoid saturates."""
    with torch.no_grad():
        for value in network.parameters():
            if value.ndim > 1:
                value.normal_(0, 1.0 / np.sqrt(value[0].numel()))


def sealed(folder: Path, network: torch.nn.Module, contract, system: str) -> Path:
    weights.save(folder / release.WEIGHTS, network.state_dict(), contract.to_json())
    (folder / release.ONNX).write_bytes(b"")  # PyTorch reads none
    release.seal(folder, system, folder.name, contract.to_json())
    return folder


@pytest.fixture(scope="module", params=[True, False], ids=["auxiliary", "plain"])
def km3d(request, tmp_path_factory) -> Path:
    torch.manual_seed(0)
    contract = Contract(
        input_width=128, input_height=64, width=0.125, neck="skip", head_channels=8, max_detections=10, depth_head=True,
        auxiliary_heads=request.param, keypoints_used=8 if request.param else 9, score_thresholds=(0.0, 0.05, 0.0),
    )  # fmt: skip
    network = KM3DNet(contract)
    unlike(network)
    return sealed(tmp_path_factory.mktemp("km3d"), network, contract, km3d_detector.SYSTEM)


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    contract = replace(TINY_CLOUDS, score_thresholds=(0.02,) * len(TINY_CLOUDS.classes), max_pillars=300)
    network = Student(contract)
    unlike(network)
    return sealed(tmp_path_factory.mktemp("student"), network, contract, point_detector.SYSTEM)


@pytest.fixture(scope="module")
def image() -> Sample:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (14, 30, 3), np.uint8)
    return Sample("0", coarse.repeat(5, 0).repeat(5, 1), CAMERA)


@pytest.fixture(scope="module")
def cloud() -> RigSample:
    rng = np.random.default_rng(0)
    points = rng.normal(0, [9, 5, 1, 0.3, 0], (6000, 5)).astype(np.float32)
    points[:5, 0] = np.nan
    return RigSample("0", points, 1.7)


def answers(system: peers.System, model: Path, frame):
    """Ours and the straightforward way, both by PyTorch."""
    run = peer_engines.open_engine("torch", lambda: system.network(model / release.WEIGHTS), model, 1).run
    pipeline = system.pipeline(model)
    inputs, made = pipeline.before(frame)
    return system.ours(model, "torch", 1, "auto").answer(frame), pipeline.after(run(inputs), made, frame)


def test_the_straightforward_km3d_finds_the_detectors_boxes(km3d, image):
    mine, theirs = answers(plain_km3d.SYSTEM, km3d, image)
    found = plain_km3d.agreement(km3d, [(mine, theirs)])
    assert found["boxes"] == found["found"] > 2
    assert found["extra"] == 0
    assert found["center"] < 1e-2 and found["size"] < 1e-3 and found["yaw"] < 0.01 and found["score"] < 1e-3
    i, j = agreement._partners(mine, theirs)
    assert np.abs(mine.box2d[i] - theirs.box2d[j]).max() < 1e-2


def test_km3d_is_normalised_as_it_was_trained():
    assert np.allclose(plain_km3d._MEAN, MEAN) and np.allclose(plain_km3d._STD, STD)


def test_the_straightforward_pillars_are_the_detectors(student, cloud):
    contract = plain_point_detr3d.contract_of(student)
    inputs, _ = plain_point_detr3d.Pipeline(contract).before(cloud)
    standing = point_detector.grounded_pillars(cloud.points, cloud.height, contract)
    assert standing.overflow_pillars > 0 and standing.overflow_points > 0
    assert np.array_equal(inputs["cell"], standing.cell)
    for theirs, mine in zip(inputs["features"], standing.features):  # the order within a pillar is nobody's business
        assert np.allclose(np.sort(theirs, 0), np.sort(mine, 0), atol=1e-5)


def test_no_point_is_no_pillar(student):
    pipeline = plain_point_detr3d.pipeline(student)
    inputs, _ = pipeline.before(RigSample("0", np.full((3, 5), np.nan, np.float32), 1.7))
    assert inputs["features"].shape[0] == len(inputs["cell"]) == 0


def test_the_straightforward_student_finds_the_detectors_boxes(student, cloud):
    mine, theirs = answers(plain_point_detr3d.SYSTEM, student, cloud)
    found = plain_point_detr3d.agreement(student, [(mine, theirs)])
    assert found["boxes"] == found["found"] > 2
    assert found["center"] < 1e-3 and found["size"] < 1e-2 and found["yaw"] < 0.1


def test_the_straightforward_ssz_labels_as_the_reconstructor_does(tmp_path):
    """Of an image that is neither shrunk nor moved by parts of a pixel, both see the same pixels."""
    model = sealed(tmp_path, lively(), TINY_VOXELS, reconstructor.SYSTEM)
    width, height = TINY_VOXELS.input_size
    focal = TINY_VOXELS.fruxel.focal * TINY_VOXELS.per_cell
    k = np.array([[focal, 0, width / 2 - 0.5 + 3], [0, focal, height / 2 - 0.5], [0, 0, 1]])
    rng = np.random.default_rng(0)
    sample = Sample("0", rng.integers(0, 255, (height, width, 3), np.uint8), Camera(k, width, height))
    mine, theirs = answers(plain_ssz.SYSTEM, model, sample)
    assert len(np.unique(mine.labels)) > 3
    found = plain_ssz.agreement(model, [(mine, theirs)])
    assert found["equal"] > 0.999 and found["occupied"] > 0.999
    same = mine.labels == theirs.labels
    assert np.abs(mine.probability[same].astype(int) - theirs.probability[same]).max() <= 1


def boxes(*centers, label=0, classes=("Car", "Van")) -> Boxes3D:
    n = len(centers)
    ones = np.ones(n)
    center = np.array(centers, float).reshape(-1, 3)
    return Boxes3D(center, np.ones((n, 3)), ones, np.full(n, label), ones, np.zeros((n, 4)), classes, Axes.BODY)


def test_boxes_agree_where_they_are_near_and_of_one_class():
    mine = boxes((0, 0, 0), (5, 0, 0), (20, 0, 0))
    found = agreement.of_boxes([(mine, boxes((5.25, 0, 0), (0, 0, 0), (0.1, 0, 0)))])
    assert (found["boxes"], found["found"], found["extra"]) == (3, 2, 1)
    assert found["center"] == pytest.approx(0.25)
    assert "2 of 3 boxes, 1 more, within 0.250 m" in agreement.told(found)
    assert agreement.of_boxes([(mine, boxes((0, 0, 0), label=1))])["found"] == 0
    assert agreement.of_boxes([(mine, boxes())])["found"] == 0


def test_an_engine_that_is_absent_is_refused_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="no-such-compiler, absent"):
        peer_engines.open_engine("torch.compile", lambda: None, tmp_path, 1)


@pytest.mark.skipif(not EXPORTED, reason="no engine that reads ONNX")
def test_a_system_is_measured_beside_its_peers(student, cloud, monkeypatch):
    monkeypatch.setattr(peers, "_REST", 0.0)
    monkeypatch.setattr(peers, "in_own_process", lambda work, *args: work(*args))
    monkeypatch.setenv("CXX", "no-such-compiler")
    names = (WHOLE, "torch", "torch.compile", EXPORTED[0])
    found = peers.measure(plain_point_detr3d.SYSTEM, student, [cloud, cloud], "torch", names, rounds=3, threads=1)
    assert list(found["cases"]) == [OURS, "torch", EXPORTED[0]]
    assert "no-such-compiler" in found["skipped"]["torch.compile"]
    assert "with torch; expected auto" in found["skipped"][WHOLE]
    for name, case in found["cases"].items():
        assert 0 < case["wall"]["p50"] <= case["wall"]["p90"] and case["cpu"]["p50"] > 0
        assert case["peak"] > case["more"]
        assert case["agreement"]["found"] == case["agreement"]["boxes"] > 0, name
    assert found["cases"][OURS]["wall_ratio"] == {"median": 1, "low": 1, "high": 1}
    lines = peers.table(found).splitlines()
    assert len(lines) == 6 and lines[-1].startswith("torch.compile skipped: ")


@pytest.mark.skipif(not EXPORTED, reason="no engine that reads ONNX")
def test_ours_is_measured_in_float32_too(tmp_path):
    contest = peers.Contest(plain_km3d.SYSTEM, MODELS / "km3d-street", EXPORTED[0], tmp_path / peers.FILE, 1)
    assert contest.open(WHOLE).engine == f"{EXPORTED[0]} fp32"


def test_peers_need_weights(tmp_path):
    with pytest.raises(InputError, match="a released folder with weights"):
        peers.measure(plain_km3d.SYSTEM, tmp_path / "model.onnx", [], "onnxruntime", (), rounds=1, threads=1)


def test_unknown_peers_are_refused(capsys):
    assert cli.main(["benchmark", "all", "--peers", "abacus"]) == 2
    assert (
        "--peers is abacus; expected of voxbox fp32, torch, torch.compile, onnxruntime, openvino"
        in capsys.readouterr().err
    )


def test_a_manifest_tells_the_contract(student):
    told = json.loads(plain_point_detr3d.contract_of(student).to_json())
    assert told["max_pillars"] == 300
