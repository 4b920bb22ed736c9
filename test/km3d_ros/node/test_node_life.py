"""The node's life: transitions, parameters and counts, and what is left when it is over."""

import dataclasses
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from km3d_ros.detector import KM3D

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LIMIT = 10.0  # s that anything may take on a busy machine
Drive = Callable[..., Any]  # parameters of the node -> the vehicle of conftest.py


def test_parameters_answer_during_inference_and_frames_in_between_are_superseded(drive: Drive) -> None:
    car = drive()
    car.calibrate()
    car.detect(car.image())
    run, begun, go_on = car.node._detector.run, threading.Event(), threading.Event()

    def slow(inputs: Any) -> Any:
        begun.set()
        go_on.wait(LIMIT)
        return run(inputs)

    car.node._detector.run = slow
    received = car.node.counts.received
    car.show(car.image())
    assert begun.wait(LIMIT)
    for _ in range(3):
        car.show(car.image())
    assert car.until(lambda: car.node.counts.received == received + 4)
    heard = len(car.diagnostics)
    assert car.set("score_threshold", 0.5).successful
    assert car.until(lambda: len(car.diagnostics) > heard)
    go_on.set()
    assert car.until(lambda: car.node.counts.processed == received + 2)
    assert car.node.counts.superseded == 2
    assert car.node.counts.received == car.node.counts.processed + car.node.counts.superseded


def test_threshold_acts_at_once_and_is_told(drive: Drive) -> None:
    car = drive()
    labels = car.hear(LabelInfo, "label_info", LATCHED)
    car.calibrate()
    assert len(car.detect(car.image()).detections) == 2
    assert car.set("score_threshold", 0.05).successful
    assert len(car.detect(car.image()).detections) == 3
    assert car.until(lambda: labels and labels[-1].threshold == pytest.approx(0.05))
    assert not car.set("score_threshold", 2.0).successful
    answer = car.set("model", "another")
    assert not answer.successful
    assert "parameter model is fixed while the node is configured" in answer.reason


def test_a_threshold_changed_while_the_model_loads_acts(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    car, load = drive(autostart=False), KM3D.open

    def slow(*arguments: Any) -> KM3D:
        detector = load(*arguments)
        assert car.node.set_parameters([Parameter("score_threshold", value=0.05)])[0].successful
        return detector

    monkeypatch.setattr(KM3D, "open", slow)
    assert car.change(Transition.TRANSITION_CONFIGURE)
    assert car.change(Transition.TRANSITION_ACTIVATE)
    car.calibrate()
    assert len(car.detect(car.image()).detections) == 3


def test_a_bad_model_leaves_the_node_unconfigured_until_a_good_one(
    drive: Drive, known_model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(known_model.read_bytes()[:500])
    car = drive(model=str(broken))
    assert car.says("broken.onnx is refused by")
    assert car.state() == "unconfigured"
    assert car.set("model", str(known_model)).successful
    assert car.change(Transition.TRANSITION_CONFIGURE)
    assert car.state() == "inactive"


def test_nothing_is_heard_or_said_while_inactive(drive: Drive) -> None:
    car = drive(autostart=False)
    assert car.state() == "unconfigured"
    assert car.change(Transition.TRANSITION_CONFIGURE)
    assert car.change(Transition.TRANSITION_ACTIVATE)
    car.calibrate()
    car.detect(car.image())
    assert car.change(Transition.TRANSITION_DEACTIVATE)
    assert car.until(lambda: car.peer.count_subscribers("/camera_info") == 0)
    assert car.change(Transition.TRANSITION_CLEANUP)
    assert car.until(lambda: car.peer.count_publishers("/detections") == 0)
    assert car.node._detector is None
    assert car.change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert car.state() == "finalized"


def test_counts_are_in_the_diagnostics(drive: Drive) -> None:
    car = drive()
    car.calibrate()
    car.detect(car.image())
    expected = {f"frames {f.name.replace('_', ' ')}" for f in dataclasses.fields(car.node.counts)}
    assert car.until(
        lambda: any(
            pair.key == "frames processed" and pair.value != "0" for d in car.diagnostics for pair in d.status[0].values
        )
    )
    values = {pair.key: pair.value for pair in car.diagnostics[-1].status[0].values}
    assert expected <= set(values)
    assert values["backend"] == "onnxruntime"
    assert values["image"] == "/image (sensor_msgs/msg/Image, reliable)"


def test_twenty_lives_leave_nothing_behind(drive: Drive) -> None:
    car = drive(autostart=False)
    publisher = car.peer.create_publisher(Image, "image", 1)
    flow = car.peer.create_timer(0.01, lambda: publisher.publish(car.image()))  # transitions happen under traffic
    cycle = (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
    )

    def live(times: int) -> tuple[int, int, int]:
        for _ in range(times):
            assert [car.change(transition) for transition in cycle] == [True] * 4
        return len(os.listdir("/proc/self/fd")), threading.active_count(), _resident()

    live(5)  # libraries settle
    files, threads, memory = live(5)
    files_later, threads_later, memory_later = live(15)
    flow.cancel()
    assert files_later <= files
    assert threads_later <= threads
    assert memory_later - memory < 10e6  # bytes; a model kept each time would be more


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
