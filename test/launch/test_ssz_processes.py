"""The real node and a real player, in their own processes, started and ended by `ros2 launch`."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import known_voxels
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import PointCloud2

pytestmark = pytest.mark.processes

PATIENCE = 90  # s; nobody waits that long unless the machine is busy with something else
DRIVE = Path(__file__).resolve().parents[2] / "voxbox" / "demo" / "street_drive.mcap"


def launched(log: Path, *arguments: str) -> subprocess.Popen:
    ros2 = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
    if not Path(ros2).is_file():
        pytest.skip("no ros2 command: neither ROS 2 nor the environment of make setup")
    with log.open("wb") as file:
        return subprocess.Popen(
            [ros2, "launch", "voxbox", "ssz.launch.py", *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_LOGGING_USE_STDOUT": "1"},
        )


def test_a_bag_becomes_voxels_and_ctrl_c_ends_all_processes(tmp_path: Path) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node, heard = rclpy.create_node("listener", context=context), []
    node.create_subscription(PointCloud2, "/voxels", heard.append, 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    model, log = known_voxels.write(tmp_path / "known.onnx"), tmp_path / "log"
    given = {"model": model, "backend": "onnxruntime", "bag": DRIVE}
    given |= {"image": "/camera/image", "camera_info": "/camera/camera_info"}
    process = launched(log, *(f"{name}:={value}" for name, value in given.items()))
    try:
        deadline = time.monotonic() + PATIENCE
        while not heard:
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            executor.spin_once(timeout_sec=0.05)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        node.destroy_node()
        context.try_shutdown()
    assert heard[0].point_step == 20
    pids = re.findall(r"process started with pid \[(\d+)\]", log.read_text())
    assert len(pids) == 2  # the node and the player
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert re.search(r"ssz-1\]?: process has finished cleanly", log.read_text())


def test_cells_that_are_none_end_the_launch(tmp_path: Path) -> None:
    process = launched(tmp_path / "log", "cells:=inside")
    process.wait(PATIENCE)
    said = (tmp_path / "log").read_text()
    assert "parameter cells is 'inside'; expected str of surface, occupied" in said
    assert "process has died" in said
