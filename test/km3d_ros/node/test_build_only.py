"""The node as a builder of engines: it loads, says what it has built, and ends by itself."""

import signal
from pathlib import Path

import pytest
import rclpy

from km3d_ros.node import Km3dNode
from voxbox_core.ros.process import run
from voxbox_core.runtime import available, driver


@pytest.fixture(autouse=True)
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)


def build(model: Path | str, backend: str, *more: str) -> int:
    arguments = [f"model:={model}", f"backend:={backend}", "build_only:=true", *more]
    return run(Km3dNode, ["--ros-args", *(word for argument in arguments for word in ("-p", argument))])


def test_it_ends_well_and_says_so_where_no_engine_is_needed(
    known_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert build(known_model, "onnxruntime") == 0
    captured = capfd.readouterr()
    assert "build_only: engines built: 0; backend onnxruntime" in captured.out + captured.err
    assert not rclpy.ok()


def test_it_begins_by_itself_also_without_autostart(known_model: Path) -> None:
    assert build(known_model, "onnxruntime", "autostart:=false") == 0


def test_it_fails_with_the_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert build(tmp_path / "absent.onnx", "onnxruntime") == 1
    captured = capfd.readouterr()
    assert "model is" in captured.out + captured.err


@pytest.mark.skipif("tensorrt" not in available(), reason="no TensorRT is installed")
@pytest.mark.skipif(driver.has_driver(), reason="an NVIDIA GPU is here")
def test_without_a_driver_the_remedy_is_told(known_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert build(known_model, "tensorrt") == 1
    captured = capfd.readouterr()
    assert "ros2 run voxbox build_engine" in captured.out + captured.err
