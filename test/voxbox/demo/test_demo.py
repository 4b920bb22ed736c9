"""The whole way: a bag into the real node over DDS, and what is left behind."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from km3d_ros.contract import Contract
from km3d_ros.detector import load_deployed
from km3d_ros.network import KM3DNet
from voxbox import cli
from voxbox.export.onnx_graph import write_onnx
from voxbox_core import weights
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, messages, new_bag, write_drive
from voxbox_core.datasets.bag.types import IMAGE
from voxbox_core.datasets.sample import Sample

FILES = {"video.mp4", "camera.png", "birds_eye.png", "detections.mcap", "metrics.json", "report.html"}
TINY = Contract(input_width=128, input_height=64, width=0.125, neck="skip", head_channels=8, max_detections=10)
needs_node = [
    pytest.mark.processes,
    pytest.mark.skipif(
        not (shutil.which("ros2") or Path(sys.executable).with_name("ros2").is_file()),
        reason="no ros2 command: neither ROS 2 nor the environment of make setup",
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """An untrained network: what it finds means nothing, but it finds."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    weights.save(folder / "weights.pt", KM3DNet(TINY).state_dict(), TINY.to_json())
    deployed = load_deployed(folder / "weights.pt")
    module, file = deployed.module, folder / "model.onnx"
    write_onnx(module, module.example(), module.INPUTS, module.OUTPUTS, deployed.metadata, file)
    return file


@pytest.fixture
def drive(tmp_path) -> Path:
    """Five labelled frames at 10 Hz."""
    rng = np.random.default_rng(2)
    camera = Camera(np.array([[80.0, 0, 63.5], [0, 80, 31.5], [0, 0, 1]]), 128, 64)
    truth = Boxes3D([[0.5, 0.8, 9.0]], [[3.9, 1.6, 1.5]], [0.4], [0], [1.0], [[40, 20, 90, 60]], ("Car",))
    samples = [
        Sample(str(i), rng.integers(0, 255, (64, 128, 3), np.uint8), camera, truth, np.zeros(1), np.zeros(1, int))
        for i in range(5)
    ]
    write_drive(tmp_path / "drive.mcap", samples)
    return tmp_path / "drive.mcap"


def stamps(path: Path, topic: str) -> list[int]:
    with Bag(path) as bag:
        return sorted(m.stamp for m in bag.messages([topic]))


class TestWithTheNode:
    pytestmark = needs_node

    def test_every_frame_is_answered_and_shown(self, drive, model, tmp_path, capsys):
        out = tmp_path / "out"
        arguments = [str(drive), "--model", str(model), "--out", str(out), "--score-threshold", "1e-6", "--limit", "3"]
        assert cli.main(["demo", *arguments, "--lockstep"]) == 0
        assert {p.name for p in out.iterdir()} == FILES
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["frames"] == {"in": 3, "out": 3, "dropped": 0}
        assert metrics["boxes"] > 0
        assert metrics["node"]["backend"] in ("openvino", "onnxruntime", "tensorrt")
        assert metrics["latency_ms"]["end_to_end"]["count"] == 3
        assert metrics["latency_ms"]["inference"]["p50"] < metrics["latency_ms"]["end_to_end"]["max"]
        assert metrics["accuracy"]["frames"] == 3
        assert metrics["accuracy"]["objects"]["Car/easy"] + metrics["accuracy"]["objects"]["Car/moderate"] > 0
        recorded = out / "detections.mcap"
        images = stamps(recorded, "/camera/image/compressed")
        assert stamps(recorded, "/detections") == images == stamps(recorded, "/ground_truth/boxes")
        assert len(images) == 3
        page = (out / "report.html").read_text()
        assert "data:video/mp4;base64," in page
        assert "Car, 3D, IoU" in page
        assert str(out / "video.mp4") in capsys.readouterr().out

    def test_a_node_that_cannot_start_ends_the_demo_with_one_line(self, drive, tmp_path, capsys):
        out = tmp_path / "out"
        (tmp_path / "model.onnx").write_bytes(b"not a model")
        assert cli.main(["demo", str(drive), "--model", str(tmp_path / "model.onnx"), "--out", str(out)]) == 2
        error = capsys.readouterr().err.strip()
        assert error.count("\n") == 0
        assert error.startswith("voxbox demo: node km3d is not running (")
        assert "model.onnx" in error
        assert sorted(p.name for p in tmp_path.iterdir()) == ["drive.mcap", "model.onnx"]

    def test_ctrl_c_ends_all_processes_and_leaves_nothing(self, drive, model, tmp_path):
        command = [sys.executable, "-m", "voxbox.cli", "demo", str(drive), "--model", str(model), "--rate", "0.2"]
        demo = subprocess.Popen(
            [*command, "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        children: list[Path] = []
        deadline = time.monotonic() + 60
        while len(children) < 2 and time.monotonic() < deadline:  # launch, and the node below it
            time.sleep(0.2)
            children = descendants(demo.pid)
        demo.terminate()
        _, error = demo.communicate(timeout=30)
        assert demo.returncode == cli.INTERRUPTED
        assert error.splitlines()[-1] == "voxbox demo: interrupted"
        assert len(children) == 2
        assert not [c for c in children if c.exists()]
        assert [p.name for p in tmp_path.iterdir()] == ["drive.mcap"]


def descendants(pid: int) -> list[Path]:
    """The entries in /proc of all processes below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [Path("/proc", child), *descendants(int(child))]
    return found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate", "0"], "--rate is 0"),
        (["--limit", "-1"], "--limit is -1"),
        (["--image-topic", "/nose"], "topic /nose of .* is absent; expected one of: /camera/image"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(drive, tmp_path, capsys, arguments, message):
    assert cli.main(["demo", str(drive), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert [p.name for p in tmp_path.iterdir()] == ["drive.mcap"]


def test_a_bag_without_calibration_is_refused_before_anything_starts(tmp_path, capsys):
    with new_bag(tmp_path / "b.mcap") as bag:
        bag.write("/image", IMAGE, 1, messages.image(1, "camera", np.zeros((4, 4, 3), np.uint8)))
    assert cli.main(["demo", str(tmp_path / "b.mcap"), "--out", str(tmp_path / "out")]) == 2
    assert "camera_info for /image" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
