"""Clicks and prompts on the frame on display, over real DDS: one box each, in time, accepted or withdrawn."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, Pose
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesis, ObjectHypothesisWithPose
from visualization_msgs.msg import MarkerArray

from msgs.boxes import read_detections
from point_detr3d_ros.contract import CLASSES, Contract
from voxbox_core.boxes import Axes, Boxes3D

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MEAN_SIZES = Contract().mean_sizes
Drive = Callable[..., Any]  # parameters of the node -> the vehicle of conftest.py


def boxes_of(message: Any) -> Boxes3D:
    return read_detections(message, Axes.BODY, CLASSES)


def prompt(x: float, y: float, name: str | None, id: str = "") -> Detection3D:
    place = BoundingBox3D(center=Pose(position=Point(x=float(x), y=float(y), z=-1.0)))
    known = [] if name is None else [ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=name, score=1.0))]
    return Detection3D(bbox=place, results=known, id=id)


def prompts(car: Any, *each: Detection3D) -> Detection3DArray:
    message = Detection3DArray(detections=list(each))
    message.header.frame_id = "lidar"
    return message


def test_a_click_is_a_box_of_the_cloud_on_display(drive: Drive) -> None:
    car = drive(mode="assist", sensor_height=1.7, click_class="Bus")
    shown = car.hear(PointCloud2, "assist/points", LATCHED)
    sent = car.cloud(stamp=car.now(0.5))
    car.display(sent)
    answer = car.ask(car.click(4, -3))
    assert answer.header == sent.header  # not the click's: RViz stamps by the wall clock
    boxes = boxes_of(answer)
    np.testing.assert_allclose(boxes.center, [[4, -3, -0.8]], atol=1e-5)
    np.testing.assert_allclose(boxes.size, [MEAN_SIZES[3]], atol=1e-5)
    assert boxes.names() == ["Bus"]
    assert boxes.score == pytest.approx([0.2])
    assert car.until(lambda: shown and shown[-1].header == sent.header)


def test_a_click_without_a_class_finds_the_one_most_sure_of_itself(drive: Drive) -> None:
    car = drive(mode="assist")
    car.display(car.cloud())
    assert boxes_of(car.ask(car.click(4, -3))).names() == ["Pedestrian"]
    assert car.set("click_class", "Van").successful
    assert boxes_of(car.ask(car.click(4, -3))).names() == ["Van"]


@pytest.mark.parametrize("name", ["Car", "Cyclist"])
def test_the_topic_of_a_click_may_name_its_class(drive: Drive, name: str) -> None:
    car = drive(mode="assist", click_class="Bus")
    car.display(car.cloud())
    assert boxes_of(car.ask(car.click(4, -3), f"clicked_point/{name.lower()}")).names() == [name]


def test_prompts_of_several_classes_are_answered_in_their_order_with_their_ids(drive: Drive) -> None:
    car = drive(mode="assist")
    car.display(car.cloud())
    asked = [prompt(4, -3, "Truck", "a"), prompt(-2, 5, None, "b"), prompt(1, 1, "Car", "c")]
    answer = car.ask(prompts(car, *asked), "prompts")
    assert boxes_of(answer).names() == ["Truck", "Pedestrian", "Car"]
    assert [d.id for d in answer.detections] == ["a", "b", "c"]
    assert not car.ask(prompts(car), "prompts").detections


def test_a_click_in_another_frame_goes_through_tf_at_the_time_of_the_cloud(drive: Drive) -> None:
    car = drive(mode="assist", click_class="Car", max_age=0.0, sensor_height=1.7)
    car.mount("lidar", "map", (100, 0, 2))
    car.display(car.cloud(stamp=car.now(0.8)))
    boxes = boxes_of(car.ask(car.click(104, -3, 1, frame="map")))
    np.testing.assert_allclose(boxes.center, [[4, -3, -0.8]], atol=1e-4)


def test_a_click_is_on_the_newest_cloud(drive: Drive) -> None:
    car = drive(mode="both")
    car.detect(car.cloud(stamp=car.now(0.6)))
    newest = car.cloud(stamp=car.now(0.3))
    car.display(newest)
    assert car.ask(car.click(4, -3)).header == newest.header


def test_clicks_are_answered_within_a_tenth_of_a_second_while_clouds_come(drive: Drive) -> None:
    car = drive(mode="both", click_class="Car")
    latencies = car.hear(DiagnosticArray, "latency")
    assert car.until(lambda: car.node._doing == "running" and car.node._latency.get_subscription_count())
    car.display(car.cloud())
    busy = car.node._session.assist.encode

    def slow(*arguments: Any) -> Any:
        time.sleep(0.4)  # as a large model on a small computer
        return busy(*arguments)

    car.node._session.assist.encode = slow
    for _ in range(5):
        car.publish("points", car.cloud())
        car.ask(car.click(4, -3))
    answered = [d for d in latencies if d.status[0].name.endswith("click")]
    assert car.until(lambda: len([d for d in latencies if d.status[0].name.endswith("click")]) == 5), answered
    times = [
        float(p.value)
        for d in latencies
        for p in d.status[0].values
        if p.key == "total" and "click" in d.status[0].name
    ]
    assert sorted(times)[2] < 100


def test_boxes_are_accepted_into_the_label_file(drive: Drive, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    car = drive(mode="assist", label_file=str(file), click_class="Car", sensor_height=1.7)
    sent = car.cloud()
    car.display(sent)
    assert not car.call(Trigger, "assist/accept", Trigger.Request()).success
    for x in (4, -4, 8):
        car.ask(car.click(x, -3))
    car.ask(car.click(8.5, -3))  # corrects the one before
    assert car.call(Trigger, "assist/reject", Trigger.Request()).success
    answer = car.call(Trigger, "assist/accept", Trigger.Request())
    assert answer.success
    assert "2 boxes accepted" in answer.message
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["click"] for line in lines] == [[4, -3, -1], [-4, -3, -1]]
    assert lines[0]["center"] == pytest.approx([4, -3, -0.8], abs=1e-5)
    assert lines[0]["stamp"] == pytest.approx(sent.header.stamp.sec + 1e-9 * sent.header.stamp.nanosec, abs=1e-6)
    assert (lines[0]["frame_id"], lines[0]["class_name"]) == ("lidar", "Car")


def test_auto_accept_and_a_file_that_cannot_be_written(drive: Drive, tmp_path: Path) -> None:
    car = drive(mode="assist", label_file=str(tmp_path / "labels.jsonl"), auto_accept=True, click_class="Car")
    car.display(car.cloud())
    car.ask(car.click(4, -3))
    assert car.until(lambda: (tmp_path / "labels.jsonl").exists())
    assert car.set("label_file", str(tmp_path)).successful
    car.ask(car.click(-4, -3))
    assert car.says(f"label file {tmp_path} is not writable")
    assert car.set("label_file", str(tmp_path / "other.jsonl")).successful
    assert car.call(Trigger, "assist/accept", Trigger.Request()).success  # it still waited


def test_markers_show_what_is_kept_and_go_with_the_frame(drive: Drive) -> None:
    car = drive(mode="assist", click_class="Car")
    markers = car.hear(MarkerArray, "assist/markers")
    assert car.until(lambda: car.node._doing == "running" and car.node._answer_markers_out.get_subscription_count())

    def texts() -> list[str]:
        return [m.text for m in markers[-1].markers if m.text] if markers else []

    car.display(car.cloud())
    car.ask(car.click(4, -3))
    car.ask(car.click(-4, -3))
    assert car.until(lambda: texts() == ["Car 0.50"] * 2)
    assert car.call(Trigger, "assist/reject", Trigger.Request()).success
    assert car.until(lambda: texts() == ["Car 0.50"])
    car.display(car.cloud())
    assert car.until(lambda: texts() == [])


# -- cameras ---------------------------------------------------------------------------------------------------------


def with_camera(drive: Drive, **more: object) -> Any:
    car = drive(mode="assist", images="/front/image", click_class="Car", sensor_height=1.7, **more)
    # Optical: x right, y down, z forward.
    car.mount("camera", "lidar", (0, 0, 0), (-0.5, 0.5, -0.5, 0.5))
    car.publish("/front/camera_info", car.camera_info())
    assert car.until(lambda: car.node._streams[0].calibrations._recent)
    return car


def seen(car: Any, stamp: Any) -> None:
    kept = len(car.node._streams[0]._images)
    car.publish("/front/image", car.image(stamp))
    assert car.until(lambda: len(car.node._streams[0]._images) > kept)


def test_cameras_take_part_and_may_drop_out_and_come_back(drive: Drive) -> None:
    car = with_camera(drive)
    for skew, cameras in ((0.05, 1), (0.4, 0), (-0.02, 1)):
        stamp = car.now(0.1)
        seen(car, car.now(0.1 + skew))
        if not cameras:
            car.node._streams[0]._images.popleft()
        car.display(car.cloud(stamp=stamp))
        boxes = boxes_of(car.ask(car.click(4, -3)))
        assert boxes.score == pytest.approx([0.5 + 0.01 * cameras])
    assert car.says("skew of /front to the LiDAR is -0.4")
    assert car.until(lambda: car.tells("skew of /front ms")() is not None)


def test_a_click_in_an_image_is_one_on_what_it_shows(drive: Drive) -> None:
    car = with_camera(drive)
    stamp = car.now(0.1)
    seen(car, stamp)
    points = np.array([[6, 0, 0, 0.5], [6.2, 0.1, 0, 0.5]], np.float32)
    car.display(car.cloud(points, stamp=stamp))
    boxes = boxes_of(car.ask(Point(x=32.0, y=24.0), "/front/image_mouse_left"))
    np.testing.assert_allclose(boxes.center, [[6.1, 0, 0.2]], atol=0.01)
    refused = car.ask(Point(x=2.0, y=2.0), "/front/image_mouse_left")
    assert not refused.detections
    assert (refused.header.stamp, refused.header.frame_id) == (stamp, "lidar")
    assert car.says("click in an image is at (2, 2), above the horizon")


# -- what is wrong ---------------------------------------------------------------------------------------------------


def test_a_click_before_the_first_cloud_is_named(drive: Drive) -> None:
    car = drive(mode="assist")
    car.publish("clicked_point", car.click(4, -3))
    assert car.says("frame for a click is missing; expected a cloud that was encoded")


@pytest.mark.parametrize(
    ("bad", "topic", "text"),
    [
        (
            lambda car: car.click(4, -3, frame="nowhere"),
            "clicked_point",
            "transform from 'nowhere' to 'lidar' is unknown",
        ),
        (lambda car: car.click(400, 3), "clicked_point", "place of a click is (400.0, 3.0, -1.0); expected x in"),
        (lambda car: car.click(4, 12), "clicked_point", "way from a click to its Car is 40.0 m; expected at most"),
        (lambda car: car.click(-10, 3), "clicked_point", "score of a click on a Car is 0.00 at (-10.0, 3.0, -1.0)"),
        (lambda car: car.click(float("nan"), 3), "clicked_point", "place of a click is (nan"),
        (
            lambda car: prompts(car, prompt(4, -3, "Unicorn")),
            "prompts",
            "class of a click is 'Unicorn'; expected one of Car",
        ),
    ],
)
def test_a_bad_click_is_refused_with_its_reason_and_the_next_one_answered(
    drive: Drive, bad: Callable[[Any], Any], topic: str, text: str
) -> None:
    car = drive(mode="assist", click_class="Car", sensor_height=1.7)
    car.display(car.cloud())
    car.publish(topic, bad(car))
    assert car.says(text)
    assert not any(answer.detections for answer in car.answers)
    assert car.until(lambda: len(car.ask(car.click(4, -3)).detections) == 1)


def test_one_bad_prompt_does_not_spoil_the_others(drive: Drive) -> None:
    car = drive(mode="assist")
    car.display(car.cloud())
    bad = [prompt(4, -3, "Unicorn", "a"), prompt(float("nan"), -3, "Car", "c"), prompt(1e30, -3, "Car", "d")]
    answer = car.ask(prompts(car, *bad, prompt(4, -3, "Car", "b")), "prompts")
    assert [d.id for d in answer.detections] == ["b"]


def test_a_click_class_that_is_none_is_named(drive: Drive) -> None:
    car = drive(mode="assist", click_class="Unicorn")
    car.display(car.cloud())
    car.publish("clicked_point", car.click(4, -3))
    assert car.says("class of a click is 'Unicorn'")


def test_an_engine_that_fails_on_a_click_is_reported_and_tried_again(drive: Drive) -> None:
    car = drive(mode="assist", click_class="Car")
    car.display(car.cloud())
    assist = car.node._session.assist
    decoder, assist._decoder = assist._decoder, _broken
    car.publish("clicked_point", car.click(4, -3))
    assert car.says("answering a click is failing (RuntimeError: device lost)")
    assist._decoder = decoder
    assert car.ask(car.click(4, -3)).detections


def _broken(inputs: Any) -> Any:
    raise RuntimeError("device lost")
