"""`voxbox benchmark point-detr3d`: a small untrained model by stage, number of points, clicks and memory."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_point_detr3d import TINY

from point_detr3d_ros.detector import SYSTEM
from point_detr3d_ros.student import Student
from point_detr3d_ros.teacher import Teacher
from voxbox import cli
from voxbox.benchmark import clicks, cloud_stages, memory
from voxbox.benchmark.turns import WARM_UP, in_turn, ratio, spread
from voxbox.export import release
from voxbox.export.point_detr3d import write_student
from voxbox_core import weights
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.datasets.rig_folder import RigWriter
from voxbox_core.runtime import available

EXPORTED = [name for name in available() if name not in ("tensorrt", "torch")]
pytest.importorskip("rclpy")


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("student")
    weights.save(folder / release.WEIGHTS, Student(TINY).state_dict(), TINY.to_json())
    write_student(folder / release.WEIGHTS, folder / release.ONNX)
    release.seal(folder, SYSTEM, "small", TINY.to_json())
    return folder


@pytest.fixture(scope="module")
def assist(tmp_path_factory) -> Path:
    """For PyTorch, which reads no graphs."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("assist")
    weights.save(folder / release.WEIGHTS, Teacher(TINY).state_dict(), TINY.to_json())
    for part in ("lidar", "image", "prompt"):
        (folder / part).mkdir()
        (folder / part / release.ONNX).write_bytes(b"")  # an empty one
        release.seal(folder / part, SYSTEM, part, TINY.to_json(), f"../{release.WEIGHTS}")
    return folder


@pytest.fixture(scope="module")
def frame(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    points = rng.uniform([-13, -7, -2, 0, 0], [13, 7, 2, 1, 0], (2000, 5)).astype(np.float32)
    image = rng.integers(0, 255, (32, 64, 3), np.uint8)
    ahead = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    view = View("CAM", image, Camera(np.array([[40.0, 0, 31.5], [0, 40, 15.5], [0, 0, 1]]), 64, 32), ahead)
    folder = tmp_path_factory.mktemp("rig")
    RigWriter(folder).write(RigSample("000000", points, 1.7, (view,)))
    return folder / "000000.npz"


def measured(tmp_path, *words: object) -> dict:
    words = ("benchmark", "point-detr3d", *words, "--threads", 1, "--rounds", 3, "--json", tmp_path / "r.json")
    assert cli.main([str(word) for word in words]) == 0
    return json.loads((tmp_path / "r.json").read_text())


def test_a_cloud_is_measured_by_backend_and_by_its_points(student, frame, tmp_path, capsys):
    words = ("--model", student, "--data", frame, "--parts", "engines,points", "--points", "100,5000")
    result = measured(tmp_path, *words, "--backends", ",".join(EXPORTED))
    assert result["points"] == 2000
    assert result["machine"]
    assert list(result["engines"]) == EXPORTED
    for found in (*result["engines"].values(), *result["by_points"].values()):
        assert set(found["stages_ms"]) == {*cloud_stages.STAGES, cloud_stages.CPU}
        assert all(0 < stage["p50"] <= stage["p90"] for stage in found["stages_ms"].values())
    assert result["engines"][EXPORTED[0]]["ratio"] == {"median": 1, "low": 1, "high": 1}
    few, many = (result["by_points"][count] for count in ("100", "5000"))
    assert few["pillars"] < many["pillars"] <= TINY.max_pillars
    assert few["left_out"] == 0 < many["left_out"]
    assert f"{many['left_out']} points left out" in capsys.readouterr().out


def test_clicks_are_measured_without_cameras_and_with_them(assist, frame, tmp_path, capsys):
    words = ("--assist", assist, "--data", frame, "--parts", "clicks", "--backends", "torch")
    found = measured(tmp_path, *words)["clicks"]
    assert [(each["backend"], each["cameras"]) for each in found] == [("torch", 0), ("torch", 1)]
    for each in found:
        assert set(each["stages_ms"]) == set(clicks.STAGES)
        assert each["ratio"]["median"] == 1
    blind, seeing = (each["stages_ms"]["encode_images"]["p50"] for each in found)
    assert blind < seeing
    assert "decode_64" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["detector", "assist"])
def test_memory_grows_with_the_model(request, what, monkeypatch):
    monkeypatch.setattr(memory, "CLOUDS", 3)
    model = request.getfixturevalue({"detector": "student"}.get(what, what))
    found = memory.measure(what, model, "torch", 1, np.ones((50, 5), np.float32), 1.7)
    sizes = [found[name] for name in ("imported", "opened", "first", "last", "peak")]
    assert min(sizes) > 0
    assert max(sizes) < 1.02 * found["peak"]  # the kernel counts by the thread, and adds up now and then
    assert "torch" in memory.table([found]).splitlines()[1]


def test_cases_take_turns():
    calls: list[str] = []

    def case(name, seconds):
        def once():
            calls.append(name)
            return {"stage": seconds}

        return once

    times = in_turn({"a": case("a", 0.001), "b": case("b", 0.004)}, 2, "test")
    assert calls == ["a", "b"] * (WARM_UP + 2)
    assert times["a"]["stage"].tolist() == [1, 1]
    assert ratio(times["b"]["stage"], times["a"]["stage"]) == pytest.approx({"median": 4, "low": 4, "high": 4})
    assert spread(np.arange(11.0)) == {"p50": 5, "p90": 9}


def test_clouds_are_thinned_in_order_and_tiled():
    points = np.random.default_rng(0).uniform(-20, 20, (1000, 5)).astype(np.float32)
    points[:, 3] = np.arange(1000)
    thin, tiled = cloud_stages.resized(points, 300), cloud_stages.resized(points, 2500)
    assert len(thin) == 300
    assert (np.diff(thin[:, 3]) > 0).all()
    assert np.array_equal(thin, points[thin[:, 3].astype(int)])
    assert len(tiled) == 2500
    of = tiled[:, 3].astype(int)
    away = np.linalg.norm(tiled[:, :3] - points[of, :3], axis=1)
    assert away.max() < np.linalg.norm(points[:, :2], axis=1).max() * np.radians(0.5) + 0.2
    assert tiled.dtype == np.float32


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parts", "engines,wheels"], "--parts is wheels; expected of engines, points, clicks, memory"),
        (["--rounds", "0"], "--rounds is 0; expected at least 1"),
        (["--model", "nowhere"], "model is 'nowhere'; expected a path"),
    ],
)
def test_what_cannot_be_measured_is_refused(words, message, capsys):
    assert cli.main(["benchmark", "point-detr3d", *words]) == 2
    assert message in capsys.readouterr().err


def test_numbers_of_points_that_are_none_are_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["benchmark", "point-detr3d", "--points", "ten"])
    assert "'ten' is no list of numbers of points" in capsys.readouterr().err
