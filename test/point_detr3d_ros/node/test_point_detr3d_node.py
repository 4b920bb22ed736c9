"""What comes out of each kind of cloud, over real DDS."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile
from vision_msgs.msg import LabelInfo
from visualization_msgs.msg import MarkerArray

from msgs.boxes import read_detections
from point_detr3d_ros.contract import CLASSES
from voxbox_core.boxes import Axes, Boxes3D

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
CENTERS = np.array([[5.5, 2, 0.8 - 1.7], [-5.5, 1, 0.9 - 1.7]])  # the known model's, with intensity 0.5 and height 1.7
Drive = Callable[..., Any]  # parameters of the node -> the vehicle of conftest.py


def boxes_of(message: Any) -> Boxes3D:
    return read_detections(message, Axes.BODY, CLASSES)


def test_boxes_arrive_in_the_lidars_frame(drive: Drive) -> None:
    car = drive()
    sent = car.cloud()
    message = car.detect(sent)
    assert message.header == sent.header
    boxes = boxes_of(message)
    np.testing.assert_allclose(boxes.center, CENTERS, atol=0.02)  # the height is seen in the cloud
    np.testing.assert_allclose(boxes.yaw, np.pi / 2, atol=1e-6)
    assert boxes.names() == ["Car", "Pedestrian"]
    np.testing.assert_allclose(boxes.score, [0.9, 0.4])
    assert car.until(lambda: "seen in the clouds" in (car.tells("sensor height m")() or ""))


def test_markers_labels_and_latency_on_demand(drive: Drive) -> None:
    car = drive()
    markers, latencies = car.hear(MarkerArray, "markers"), car.hear(DiagnosticArray, "latency")
    labels = car.hear(LabelInfo, "label_info", LATCHED)
    assert car.until(lambda: hasattr(car.node, "_markers_out") and car.node._markers_out.get_subscription_count())
    assert car.until(lambda: car.node._latency.get_subscription_count())
    car.detect(car.cloud())
    assert car.until(lambda: markers and latencies and labels)
    assert [m.text for m in markers[-1].markers if m.text] == ["Car 0.90", "Pedestrian 0.40"]
    assert [c.class_name for c in labels[-1].class_map] == list(CLASSES)
    stages = {pair.key for pair in latencies[-1].status[0].values}
    assert stages == {"queue", "convert", "pillars", "inference", "postprocess", "publish", "show", "total", "age"}


@pytest.mark.parametrize("scale", [1.0, 255.0, 65535.0])
def test_intensities_of_any_scale_become_0_to_1(drive: Drive, scale: float) -> None:
    car = drive(sensor_height=1.7)
    points = np.array([[3, 3, 0, 0.5 * scale], [3, 4, 0, scale]], np.float32)
    assert boxes_of(car.detect(car.cloud(points))).center[0, 0] == pytest.approx(5 + 1, abs=1e-4)


@pytest.mark.parametrize("given", [0.0, 2.5])
def test_height_by_parameter_before_tf_before_the_cloud(drive: Drive, given: float) -> None:
    car = drive(sensor_height=given)
    car.detect(car.cloud())
    car.mount("lidar", "base_footprint", (1, 0, 2.1))
    height = boxes_of(car.detect(car.cloud())).center[0, 2] - 0.8
    assert height == pytest.approx(-(given or 2.1), abs=1e-4)


def test_a_lidar_that_hangs_upside_down_is_levelled_by_tf(drive: Drive) -> None:
    car = drive()
    car.publish("points", car.cloud())
    car.mount("lidar", "base_footprint", (0, 0, 1.7), (1, 0, 0, 0))  # half a turn about x
    points = np.array([[3, 3, 0.5, 0.5]], np.float32)
    boxes = boxes_of(car.detect(car.cloud(points)))
    np.testing.assert_allclose(boxes.center[0], [5.5, -2, 1.7 - 0.8], atol=1e-3)


def test_the_diagnostics_tell_what_levels_the_clouds(drive: Drive) -> None:
    car = drive()
    car.detect(car.cloud())
    assert car.until(lambda: car.tells("levelled by")() == "nothing")
    car.mount("lidar", "base_link", (0, 0, 1.0))
    for _ in range(5):
        car.detect(car.cloud())
    assert car.says(
        "to which tf does not lead from 'lidar' at the stamps of its clouds; expected a tf frame that makes"
    )
    assert car.says("Set ground_frame:=base_link")
    assert car.set("ground_frame", "base_link").successful
    car.detect(car.cloud())
    assert car.until(lambda: car.tells("levelled by")() == "base_link")


def test_target_frame_moves_boxes_through_tf(drive: Drive) -> None:
    car = drive(target_frame="map", sensor_height=1.7)
    car.publish("points", car.cloud())
    assert car.says("transform from 'lidar' to 'map' is unknown")
    car.mount("lidar", "map", (10, 0, 1.7))
    message = car.detect(car.cloud())
    assert message.header.frame_id == "map"
    assert boxes_of(message).center[0] == pytest.approx([15.5, 2, 0.8], abs=1e-3)


def test_a_transform_that_comes_late_is_waited_for(drive: Drive) -> None:
    car = drive(target_frame="map", sensor_height=1.7, transform_timeout=5.0)
    car.publish("points", car.cloud())
    car.mount("lidar", "map", (10, 0, 1.7))
    assert car.until(lambda: car.detections)
    assert not car.node.counts.refused


def test_sweeps_are_put_together_by_odometry(drive: Drive) -> None:
    car = drive(sweeps=2, sensor_height=1.7, max_age=0.0)
    car.mount("lidar", "base_link", (0, 0, 0))
    stamps = [car.now(0.3), car.now(0.2)]
    for i, stamp in enumerate(stamps):
        motion = Odometry(child_frame_id="base_link")
        motion.header.frame_id, motion.header.stamp = "odom", stamp
        motion.pose.pose.position.x, motion.pose.pose.orientation.w = 2.0 * i, 1.0
        car.publish("odometry", motion)
    assert car.until(lambda: car.node._placing._track and len(car.node._placing._track[1]._poses) == 2)
    car.detect(car.cloud(stamp=stamps[0]))
    boxes = boxes_of(car.detect(car.cloud(stamp=stamps[1])))
    assert boxes.center[0, 1] == pytest.approx(2 + 0.1, abs=0.01)  # the age of the earlier
    assert car.until(lambda: car.tells("sweeps")() == "2")


def test_sweeps_without_motion_are_one(drive: Drive) -> None:
    car = drive(sweeps=3, sensor_height=1.7)
    for _ in range(2):
        boxes = boxes_of(car.detect(car.cloud()))
    assert boxes.center[0, 1] == pytest.approx(2)
    assert car.until(lambda: car.tells("sweeps")() == "1")


def test_thresholds_act_at_once(drive: Drive) -> None:
    car = drive()
    assert len(car.detect(car.cloud()).detections) == 2
    assert car.set("score_threshold", 0.03).successful
    assert len(car.detect(car.cloud()).detections) == 3
    assert not car.set("mode", "assist").successful


def test_detect_mode_hears_no_clicks(drive: Drive) -> None:
    car = drive()
    car.detect(car.cloud())
    assert car.peer.count_subscribers("clicked_point") == 0
    assert car.node._session is None
