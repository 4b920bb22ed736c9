"""Numbers of a replay, from messages whose answers are known."""

import os
from pathlib import Path

import numpy as np
import pytest

from voxbox.demo.artefacts import Artefacts
from voxbox.demo.isolation import own_domain
from voxbox.demo.km3d import Accuracy, detection_rows, make_artefacts, verdict
from voxbox.demo.outcome import END_TO_END, boxes_of, stages_of, summary
from voxbox.demo.replay import Replay
from voxbox.demo.summary import metrics_of, text_of
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, Message, find_topics, messages, new_bag
from voxbox_core.datasets.bag.types import CAMERA_INFO, DETECTIONS, IMAGE, new, typestore
from voxbox_core.datasets.sample import Sample

CAMERA = Camera(np.array([[700.0, 0, 600], [0, 700, 180], [0, 0, 1]]), 1242, 375)
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"


def cars(*positions, score=1.0) -> Boxes3D:
    count = len(positions)
    blank = np.zeros((count, 4))
    return Boxes3D(positions, [[3.9, 1.6, 1.5]] * count, [0.3] * count, [0] * count, [score] * count, blank, ("Car",))


def detections(stamp, boxes, frame="camera") -> Message:
    raw = typestore().serialize_cdr(messages.detections(stamp, frame, boxes), DETECTIONS)
    return Message("/detections", DETECTIONS, stamp, bytes(raw))


def latency(stamp, name="", **stages) -> Message:
    pairs = [new("diagnostic_msgs/msg/KeyValue", key=k, value=str(v)) for k, v in stages.items()]
    status = new("diagnostic_msgs/msg/DiagnosticStatus", level=0, name=name, message="", hardware_id="", values=pairs)
    array = new(DIAGNOSTICS, header=messages.header(stamp, ""), status=[status])
    return Message("/latency", DIAGNOSTICS, stamp, bytes(typestore().serialize_cdr(array, DIAGNOSTICS)))


def test_frames_without_answer_have_no_latency():
    replay = Replay(sent={1: 10.0, 2: 10.1, 3: 10.2}, answered={1: 10.05, 3: 10.22})
    assert stages_of(replay)[END_TO_END] == pytest.approx([50.0, 20.0])


def test_stages_are_those_of_the_node_but_for_its_age_on_the_replays_clock():
    replay = Replay(outputs=[latency(1, inference=5.5, age=9), latency(2, inference=6.5, age=9)])
    assert stages_of(replay) == {"inference": [5.5, 6.5], END_TO_END: []}


def test_the_stages_of_clicks_are_told_apart_from_those_of_frames():
    replay = Replay(outputs=[latency(1, total=5), latency(1, name="/point_detr3d: click", total=3)])
    assert stages_of(replay) == {"total": [5], "click total": [3], END_TO_END: []}


def test_a_summary_is_of_what_is_there():
    assert summary([]) is None
    found = summary([float(i) for i in range(101)])
    assert (found["p50"], found["p95"], found["p99"], found["max"], found["count"]) == (50, 95, 99, 100, 101)


def test_boxes_are_found_by_stamp_and_only_in_the_cameras_frame():
    replay = Replay(outputs=[detections(5, cars([1, 1, 9])), detections(6, cars([1, 1, 9]), frame="map")])
    found = boxes_of(replay, "camera", Axes.OPTICAL)
    assert list(found) == [5]
    np.testing.assert_allclose(found[5].center, [[1, 1, 9]])
    np.testing.assert_allclose(found[5].yaw, [0.3])


def labelled(*positions) -> Sample:
    boxes = cars(*positions)
    rows = detection_rows(boxes, CAMERA)
    boxes = Boxes3D(boxes.center, boxes.size, boxes.yaw, boxes.label, boxes.score, rows.box2d, boxes.classes)
    image = np.zeros((375, 1242, 3), np.uint8)
    return Sample("0", image, CAMERA, boxes, np.zeros(len(boxes)), np.zeros(len(boxes), int))


def test_perfect_detections_score_everything_and_unanswered_frames_do_not_count():
    accuracy = Accuracy()
    for i in range(30):  # 60 objects: the rules need more than 40 to tell 40 recalls apart
        positions = ([-3.0, 1.0, 9.0 + i / 3], [4.0, 1.0, 15.0 + i / 3])
        accuracy.add(labelled(*positions), cars(*positions, score=0.5 + 0.01 * i))
        accuracy.add(labelled(*positions), None)
    result = accuracy.evaluation()
    assert result.frames == 30
    assert result.average_precision["Car/3d/0.7/easy"] == pytest.approx(100)


def test_without_truth_there_is_no_accuracy():
    accuracy = Accuracy()
    accuracy.add(Sample("0", np.zeros((375, 1242, 3), np.uint8), CAMERA), cars([0, 1, 9]))
    assert accuracy.evaluation() is None


def test_two_demos_have_two_domains_and_the_environment_is_put_back(monkeypatch):
    pytest.importorskip("ament_index_python")
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml")
    with own_domain() as first, own_domain(profile=False) as second:
        assert first != second
        assert "<profiles" in Path(os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text()
        assert os.environ["ROS_DOMAIN_ID"] == str(second)
        assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert os.environ["ROS_DOMAIN_ID"] == "7"
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    assert os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] == "mine.xml"


def test_what_the_node_did_with_dropped_frames_is_said(tmp_path):
    values = {"model": "m", "frames superseded": "2", "frames refused": "0", "count of: camera_info K": "3"}
    replay = Replay(sent={1: 1.0, 2: 1.1, 3: 1.2}, answered={1: 1.05}, values=values)
    result = Artefacts(4, verdict(None))
    metrics = metrics_of({"rate_hz": 30.0, "unit": "image", "found": "boxes"}, replay, result)
    assert metrics["frames"] == {"in": 3, "out": 1, "dropped": 2}
    said = text_of(metrics, tmp_path, result)
    assert "3 images in at 30 Hz, 1 answered, 2 dropped; 4 boxes" in said
    assert "frames superseded 2, camera_info K 3\n" in said
    assert "no ground truth" in said


def test_a_frame_that_cannot_be_read_costs_only_itself(tmp_path):
    path = tmp_path / "drive.mcap"
    with new_bag(path) as bag:
        for i in range(3):
            now = 10**9 + i * 10**8
            picture = messages.image(now, "camera", np.zeros((375, 1242, 3), np.uint8))
            if i == 1:
                picture.encoding = "32FC1"
            bag.write("/camera/camera_info", CAMERA_INFO, now, messages.camera_info(now, "camera", CAMERA))
            bag.write("/camera/image", IMAGE, now, picture)
    times = [10**9 + i * 10**8 for i in range(3)]
    outputs = [detections(stamp, cars([1, 1, 12])) for stamp in (times[0], times[2])]
    replay = Replay(sent=dict.fromkeys(times, 1.0), answered={times[0]: 1.02, times[2]: 1.02}, outputs=outputs)
    with Bag(path) as bag:
        made = make_artefacts(tmp_path, bag, find_topics(bag), replay, rate=10)
    assert made.found == 2
    assert len(made.unreadable) == 1
    assert made.unreadable[0].startswith("frame 2: image encoding is '32FC1'")
    with Bag(tmp_path / "detections.mcap") as bag:
        assert {t.name: t.count for t in bag.topics}["/camera/image/compressed"] == 2
