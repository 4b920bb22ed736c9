"""The node as its own process: it answers, refuses arguments that make no node, and ends in order."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy

from point_detr3d_ros.node import PointDetr3dNode
from voxbox_core.ros.process import run

LIMIT = 120.0  # s for a process to start or end on a busy machine


@pytest.mark.parametrize("mode", ["detect", "both"])
def test_a_signal_ends_it_in_order(known_model: Path, known_assist: Path, tmp_path: Path, mode: str) -> None:
    given = {"mode": mode, "model": known_model, "assist_model": known_assist, "backend": "onnxruntime"}
    arguments = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-c", "from point_detr3d_ros.node import main; main()", "--ros-args", *arguments]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, "RCUTILS_COLORIZED_OUTPUT": "0"}
        )
    deadline = time.monotonic() + LIMIT
    while "running; listening to /points" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT) == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("mode:=guess", "parameter mode is 'guess'; expected str of detect, assist, both"),
        ("sensor_hight:=2.0", "parameter sensor_hight is unknown"),
        ("sweeps:=0", "parameter sweeps is 0; expected int of 1 to 20"),
    ],
)
def test_bad_arguments_make_no_node(
    argument: str, text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    assert run(PointDetr3dNode, ["--ros-args", "-p", argument]) == 2
    assert text in capfd.readouterr().err
    assert not rclpy.ok()
