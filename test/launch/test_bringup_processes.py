"""Several nodes in one process: each lives by itself, and what they share is received and decoded once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import known_boxes
import known_voxels
import pytest
import rclpy
import vehicle
from diagnostic_msgs.msg import DiagnosticArray
from launched import shared_memory
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from vision_msgs.msg import Detection3DArray

from voxbox import bringup
from voxbox_core.ros.process import run_all

LIMIT = 60.0  # s on a busy machine


class Camera(vehicle.CameraVehicle):
    """Its messages alone."""

    WIDTH, HEIGHT = 320, 96


class Peer:
    """Another participant, which sends images to the nodes and hears them."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("peer", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard: dict[str, list[Any]] = {}
        self.hear(DiagnosticArray, "/diagnostics")
        self.image = self.node.create_publisher(Image, "image", vehicle.RELIABLE)
        self.info = self.node.create_publisher(CameraInfo, "camera_info", vehicle.RELIABLE)

    def hear(self, kind: type, topic: str) -> None:
        self.node.create_subscription(kind, topic, self.heard.setdefault(topic, []).append, 100)

    def until(self, holds: Callable[[], object]) -> bool:
        end = time.monotonic() + LIMIT
        while not holds():
            if time.monotonic() > end:
                return False
            self.executor.spin_once(timeout_sec=0.05)
        return True

    def doing(self, name: str) -> str:
        """What a node says that it is doing."""
        statuses = [m.status[0] for m in self.heard["/diagnostics"] if m.status[0].name == f"/{name}"]
        return next((p.value for p in statuses[-1].values if p.key == "doing"), "") if statuses else ""

    def change(self, name: str, transition: int) -> None:
        client = self.node.create_client(ChangeState, f"{name}/change_state")
        assert self.until(client.service_is_ready)
        client.call_async(ChangeState.Request(transition=Transition(id=transition)))

    def send(self) -> Any:
        """An image with its calibration; its stamp."""
        image = Camera.image()
        self.info.publish(Camera.camera_info())
        self.image.publish(image)
        return image.header.stamp

    def answered(self, topic: str, stamp: Any) -> bool:
        return any(message.header.stamp == stamp for message in self.heard[topic])

    def both_answer(self, stamp: Any) -> bool:
        """Whether both nodes answer the image of this stamp, within a few seconds."""
        end = time.monotonic() + 3.0
        topics = ("km3d/detections", "voxels")
        while not all(self.answered(topic, stamp) for topic in topics) and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)
        return all(self.answered(topic, stamp) for topic in topics)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    models = {
        "km3d": known_boxes.write(tmp_path / "boxes.onnx"),
        "ssz": known_voxels.write(tmp_path / "voxels.onnx"),
    }
    words = ["--ros-args", "-p", "backend:=onnxruntime", "-p", "threads:=1", "-p", "reliability:=reliable"]
    for name, model in models.items():
        words += ["-p", f"{name}:model:={model}"]
    return words


_RUN = """
import sys
import msgs.images
from voxbox import bringup

def counted(read):
    def unpack(message):
        print("decoded", message.header.stamp.sec, message.header.stamp.nanosec, flush=True)
        return read(message)
    return unpack

msgs.images._unpack = counted(msgs.images._unpack)
bringup.main()
"""


@pytest.mark.processes
def test_two_nodes_share_the_image_and_live_and_end_by_themselves(
    arguments: list[str], peer: Peer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    peer.hear(Detection3DArray, "km3d/detections")
    peer.hear(PointCloud2, "voxels")
    before = shared_memory()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, "km3d", "ssz", *arguments], stdout=output, stderr=output
        )
    try:
        assert peer.until(lambda: peer.doing("km3d") == peer.doing("ssz") == "running"), log.read_text()
        assert peer.until(lambda: peer.image.get_subscription_count() and peer.info.get_subscription_count())
        assert {i.node_name for i in peer.node.get_subscriptions_info_by_topic("/image")} == {bringup.HOST}
        assert peer.image.get_subscription_count() == 1

        assert peer.until(lambda: peer.both_answer(peer.send())), log.read_text()  # both know the camera now
        alone = peer.send()
        assert peer.until(lambda: peer.both_answer(alone)), log.read_text()
        assert log.read_text().splitlines().count(f"decoded {alone.sec} {alone.nanosec}") == 1

        peer.change("ssz", Transition.TRANSITION_DEACTIVATE)
        assert peer.until(lambda: peer.doing("ssz") == "inactive")
        later = peer.send()
        assert peer.until(lambda: peer.answered("km3d/detections", later))
        assert not peer.answered("voxels", later)

        held = shared_memory(process.pid) - before
        assert held
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
        assert not [path for path in held if path.exists()]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("names", "words", "text"),
    [
        (["km3d", "radar"], [], "node is radar; expected of km3d, point_detr3d, ssz"),
        (["ssz", "km3d"], ["-p", "km3d:threads:=-1"], "parameter threads is -1; expected int of 0 to 256"),
    ],
)
def test_bad_arguments_make_no_nodes(
    names: list[str],
    words: list[str],
    text: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    before = shared_memory(os.getpid())
    assert run_all(lambda: bringup.nodes(names), bringup.arguments(["bringup", "--ros-args", *words])) == 2
    assert text in capfd.readouterr().err
    assert not rclpy.ok()
    assert shared_memory(os.getpid()) <= before
