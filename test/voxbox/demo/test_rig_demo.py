"""The whole way of Point-DETR3D's demo: a bag and clicks into the real node over DDS, and what is left behind."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_point_detr3d import TINY

from point_detr3d_ros.contract import CLASSES
from point_detr3d_ros.label_file import read_label_file
from point_detr3d_ros.student import Student
from point_detr3d_ros.teacher import Teacher
from voxbox import cli
from voxbox.export.release import ONNX, WEIGHTS, seal
from voxbox_core import weights
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, messages, new_bag, write_rig_drive
from voxbox_core.datasets.bag.types import IMAGE
from voxbox_core.datasets.rig import RigSample, View

WIDE = replace(TINY, y=(-12.8, 12.8), cell=0.8, max_pillars=1000)
HEIGHT = 1.7
AHEAD = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
FILES = {"video.mp4", "camera.png", "birds_eye.png", "detections.mcap", "metrics.json", "report.html", "labels.jsonl"}
needs_node = [
    pytest.mark.processes,
    pytest.mark.skipif(
        not (shutil.which("ros2") or Path(sys.executable).with_name("ros2").is_file()),
        reason="no ros2 command: neither ROS 2 nor the environment of make setup",
    ),
]


def released(folder: Path, network: torch.nn.Module, parts: tuple[str, ...]) -> str:
    """A release for PyTorch alone: its ONNX files are empty, since it takes half a minute to write them."""
    folder.mkdir()
    weights.save(folder / WEIGHTS, network.state_dict(), WIDE.to_json())
    for part in parts:
        (folder / part).mkdir(exist_ok=True)
        (folder / part / ONNX).write_bytes(b"")
        seal(folder / part, "point_detr3d", folder.name, WIDE.to_json(), f"../{WEIGHTS}" if part else WEIGHTS)
    return str(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[str]:
    """An untrained student; a teacher that answers every click with a box of the class's mean size around it."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    student, teacher = Student(WIDE), Teacher(WIDE)
    with torch.no_grad():
        for layer, bias in ((teacher.decoder.regress[-1], 0.0), (teacher.decoder.classify[-1], 1.0)):
            layer.weight.zero_()
            layer.bias.fill_(bias)
    return [
        *("--model", released(folder / "student", student, ("",))),
        *("--assist-model", released(folder / "teacher", teacher, ("lidar", "image", "prompt"))),
        *("--backend", "torch"),
    ]


def moment(i: int) -> RigSample:
    """Two cars and two pedestrians, on level ground; what the camera sees is noise."""
    rng = np.random.default_rng(i)
    place = np.array([[8, 2, 0.8], [-7, -3, 0.8], [6, -4, 0.9], [7, 5, 0.9]])
    center = place - [0, 0, HEIGHT]
    size = np.array([[3.9, 1.6, 1.5], [3.9, 1.6, 1.5], [0.6, 0.6, 1.7], [0.6, 0.6, 1.7]])
    rest = np.zeros(4), np.array([0, 0, 5, 5]), np.ones(4), np.full((4, 4), np.nan)
    boxes = Boxes3D(center, size, *rest, CLASSES, Axes.BODY)
    ground = np.c_[rng.uniform(-12, 12, (3000, 2)), np.full(3000, -HEIGHT)]
    objects = (center[:, None] + rng.uniform(-0.5, 0.5, (4, 60, 3)) * size[:, None]).reshape(-1, 3)
    xyz = np.concatenate([ground, objects])
    points = np.c_[xyz, np.full(len(xyz), 0.5), np.zeros(len(xyz))].astype(np.float32)
    camera = Camera(np.array([[60.0, 0, 63.5], [0, 60, 31.5], [0, 0, 1]]), 128, 64)
    view = View("CAM_FRONT", rng.integers(0, 255, (64, 128, 3), np.uint8), camera, AHEAD)
    hits = np.full(4, 60)
    pose = np.eye(4)
    pose[:3, 3] = 0.5 * i, 0, HEIGHT
    return RigSample(str(i), points, HEIGHT, (view,), boxes, hits, stamp=100.0 + i / 10, world_from_lidar=pose)


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Six frames at 10 Hz."""
    write_rig_drive(tmp_path / "drive.mcap", [moment(i) for i in range(6)])
    return tmp_path / "drive.mcap"


def demo(*arguments: str) -> int:
    return cli.main(["demo", "--system", "point_detr3d", *arguments])


class TestWithTheNode:
    pytestmark = needs_node

    def test_frames_and_clicks_are_answered_and_shown(self, drive, models, tmp_path, capsys):
        out = tmp_path / "out"
        assert demo(str(drive), *models, "--out", str(out), "--lockstep", "--score-threshold", "1e-6") == 0
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["frames"] == {"in": 6, "out": 6, "dropped": 0}
        assert metrics["boxes"] > 0
        assert metrics["accuracy"]["frames"] == 6
        assert metrics["accuracy"]["objects"] == {"Car": 12, "Pedestrian": 12}
        assert metrics["notes"] == []
        clicks = metrics["clicks"]
        each = clicks["each"]
        assert len({click["stamp"] for click in each}) == 4
        for frame in (each[i : i + 4] for i in range(0, 16, 4)):
            assert sorted(click["at"] for click in frame) == ["Car", "Car", "Pedestrian", "Pedestrian"]
            assert [click["class"] or click["at"] for click in frame] == [click["at"] for click in frame]
            assert [bool(click["class"]) for click in frame] == [True, True, True, False]
            assert all(click["answer"].startswith(click["class"]) for click in frame)
        assert (each[16]["at"], each[16]["answer"]) == ("nothing", "place of a click")  # beyond this network's ground
        assert (clicks["asked"], clicks["answered"], clicks["accepted"]) == (17, 16, 16)
        assert clicks["mean_iou_3d"] > 0.1
        assert clicks["click_to_box_ms"]["count"] == metrics["latency_ms"]["click total"]["count"] == 17
        labels = read_label_file(out / "labels.jsonl").boxes
        assert {label.frame_id for label in labels} == {"lidar"}
        np.testing.assert_allclose([label.click for label in labels], [c["place"] for c in each[:16]], atol=1e-3)
        pictures = {f"clicks_{n}.png" for n in (1, 2, 3, 4)}
        assert {p.name for p in out.iterdir()} == FILES | pictures
        with Bag(out / "detections.mcap") as bag:
            counts = {t.name: t.count for t in bag.topics}
        assert counts["/lidar/points"] == counts["/detections"] == counts["/cam_front/image/compressed"] == 6
        assert counts["/assist/detections"] == 17
        assert counts["/clicked_point"] == 5
        page = (out / "report.html").read_text()
        assert "SPNDS" in page
        assert "clicked_point" in page
        said = capsys.readouterr().out
        assert "17 clicks: 16 answered with a box, 1 refused; 16 boxes accepted into labels.jsonl" in said

    def test_given_clicks_beyond_the_network_and_of_no_known_class_are_refused(self, drive, models, tmp_path):
        file, out = tmp_path / "clicks.csv", tmp_path / "out"
        file.write_text("frame,x,y,z,class\n1,8,2,-1,Car\n1,40,0,-1,Car\n1,8,2,-1,Tram\n")
        assert demo(str(drive), *models, "--out", str(out), "--limit", "2", "--clicks", str(file)) == 0
        clicks = json.loads((out / "metrics.json").read_text())["clicks"]
        answers = [click["answer"] for click in clicks["each"]]
        assert answers == ["Car 0.73", "place of a click", "nobody listens to /clicked_point/tram"]
        assert (clicks["asked"], clicks["answered"], clicks["accepted"]) == (3, 1, 1)

    def test_a_lidar_without_cameras_and_without_truth(self, models, tmp_path):
        alone = [replace(moment(i), views=(), boxes=None, hits=np.zeros(0, int)) for i in range(2)]
        write_rig_drive(tmp_path / "drive.mcap", alone)
        out = tmp_path / "out"
        arguments = [str(tmp_path / "drive.mcap"), *models, "--out", str(out), "--score-threshold", "1"]
        assert demo(*arguments) == 0
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["frames"]["out"] == 2
        assert (metrics["accuracy"], metrics["boxes"], metrics["cameras"]) == (None, 0, 0)
        assert [click["at"] for click in metrics["clicks"]["each"]] == ["nothing"]
        assert {p.name for p in out.iterdir()} == FILES - {"camera.png", "labels.jsonl"} | {"clicks_1.png"}

    @pytest.mark.data
    @pytest.mark.parametrize("name", ["kitti_raw_seq_2f_sqlite3", "nuscenes_sample_6cam_mcap"])
    def test_recorded_bags(self, name, models, tmp_path, shared_data):
        """The x of nuScenes' LiDAR is to the right: what is given in its own frame is drawn, and kept, where it is."""
        file, out = tmp_path / "clicks.csv", tmp_path / "out"
        file.write_text("frame,x,y,z,class\n0,3,-7,-1,Car\n")
        bag = str(shared_data / "ros2_bags" / name)
        arguments = [bag, *models, "--out", str(out), "--clicks", str(file), "--score-threshold", "1e-6"]
        assert demo(*arguments, "--limit", "1") == 0
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["frames"] == {"in": 1, "out": 1, "dropped": 0}
        assert metrics["boxes"] > 0
        assert metrics["clicks"]["each"][0]["answer"] == "Car 0.73"
        place = np.array(metrics["clicks"]["each"][0]["place"])
        (label,) = read_label_file(out / "labels.jsonl").boxes
        np.testing.assert_allclose(label.click, [3, -7, -1], atol=1e-6)
        assert np.linalg.norm(np.array(label.center) - label.click) < 0.5
        level = [-7, -3] if "nuscenes" in name else [3, -7]
        np.testing.assert_allclose(place[:2], level, atol=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--points-topic", "/nose"], "point cloud topic /nose"),
        (["--image-topic", "/cam"], "--image-topic is /cam; expected nothing with --system point_detr3d"),
        (["--clicks", "absent.csv"], "clicks absent.csv is unreadable"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(drive, tmp_path, capsys, arguments, message):
    assert demo(str(drive), "--out", str(tmp_path / "out"), *arguments) == 2
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["drive.mcap"]


def test_a_bag_without_lidar_is_refused(tmp_path, capsys):
    with new_bag(tmp_path / "b.mcap") as bag:
        bag.write("/image", IMAGE, 1, messages.image(1, "camera", np.zeros((4, 4, 3), np.uint8)))
    assert demo(str(tmp_path / "b.mcap"), "--out", str(tmp_path / "out")) == 2
    assert "expected a PointCloud2" in capsys.readouterr().err
