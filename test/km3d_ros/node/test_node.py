"""What comes out of each kind of input, over real DDS, and that bad input is named and leaves the node alive."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import LabelInfo
from visualization_msgs.msg import MarkerArray

from msgs.boxes import read_detections
from msgs.images import read_image

FOCAL = 250.0  # px, of the vehicle's camera
RED = np.full((96, 320, 3), [255, 0, 0], np.uint8)  # what it sees: moves every box of the known model by 1 m in x
CENTERS = np.array([[3, 1.5, 20], [-3, 1.6, 30]])
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
Drive = Callable[..., Any]  # parameters of the node -> the vehicle of conftest.py


def test_boxes_arrive_as_the_model_gives_them(drive: Drive) -> None:
    car = drive()
    car.calibrate()
    sent = car.image()
    message = car.detect(sent)
    assert message.header == sent.header
    boxes = read_detections(message, classes=("Car", "Pedestrian", "Cyclist"))
    assert np.allclose(boxes.center, CENTERS, atol=1e-4)
    assert np.allclose(boxes.yaw, FOCAL / 1000, atol=1e-6)
    assert boxes.names() == ["Car", "Pedestrian"]
    assert np.allclose(boxes.score, [0.9, 0.4])


@pytest.mark.parametrize("topic", ["image", "image/compressed"])
def test_compressed_images_are_found_and_read(drive: Drive, topic: str) -> None:
    car = drive()
    car.calibrate()
    boxes = read_detections(car.detect(car.jpeg(), topic), classes=("Car", "Pedestrian", "Cyclist"))
    assert np.allclose(boxes.center, CENTERS, atol=0.02)


def test_markers_labels_overlay_and_latency_on_demand(drive: Drive) -> None:
    car = drive()
    markers, overlays = car.hear(MarkerArray, "markers"), car.hear(Image, "overlay")
    labels, latencies = car.hear(LabelInfo, "label_info", LATCHED), car.hear(DiagnosticArray, "latency")
    car.calibrate()
    outputs = (car.node._markers_out, car.node._overlay_out, car.node._latency)
    assert car.until(lambda: all(output.get_subscription_count() for output in outputs))
    sent = car.image()
    car.detect(sent)
    assert car.until(lambda: markers and overlays and labels and latencies)
    assert [m.text for m in markers[-1].markers if m.text] == ["Car 0.90", "Pedestrian 0.40"]
    assert read_image(overlays[-1]).shape == RED.shape
    assert (read_image(overlays[-1]) != RED).any()
    assert [c.class_name for c in labels[-1].class_map] == ["Car", "Pedestrian", "Cyclist"]
    stages = {pair.key: float(pair.value) for pair in latencies[-1].status[0].values}
    assert set(stages) == {
        "queue", "decode", "preprocess", "inference", "postprocess", "publish", "show", "total", "age"
    }  # fmt: skip
    parts = sum(stages[name] for name in stages if name not in ("total", "age"))
    assert 0.5 * stages["total"] < parts <= stages["total"]
    assert latencies[-1].header.stamp == sent.header.stamp


def test_target_frame_moves_boxes_through_tf(drive: Drive) -> None:
    car = drive(target_frame="base_link")
    car.calibrate()
    car.show(car.image())
    assert car.says("transform from 'camera' to 'base_link' is unknown")
    mount = TransformStamped()
    mount.header.frame_id, mount.child_frame_id = "base_link", "camera"
    mount.transform.translation.x, mount.transform.translation.z = 1.0, 1.6
    q = mount.transform.rotation
    q.x, q.y, q.z, q.w = -0.5, 0.5, -0.5, 0.5  # optical x right, y down, z forward -> body x forward, y left, z up
    car.peer.create_publisher(TFMessage, "/tf_static", LATCHED).publish(TFMessage(transforms=[mount]))
    message = car.detect(car.image())
    assert message.header.frame_id == message.detections[0].header.frame_id == "base_link"
    place = message.detections[0].bbox.center.position
    assert (place.x, place.y, place.z) == pytest.approx((20 + 1, -3, -1.5 + 1.6), abs=1e-3)


# -- what is missing or wrong ----------------------------------------------------------------------------------------


def test_says_what_it_waits_for(drive: Drive) -> None:
    car = drive(image_transport="raw")
    assert car.says("waiting for image on /image, because it has 0 publishers")
    assert car.says("waiting for camera_info on /camera_info, because its 1 publisher sent nothing")
    car.show(car.image())
    assert car.says(
        "camera_info is missing; expected one before the first image. waiting for camera_info on /camera_info"
    )
    car.calibrate()
    assert car.detect(car.image())


def test_says_that_it_waits_for_simulated_time(drive: Drive) -> None:
    car = drive(use_sim_time=True)
    assert car.says("waiting for time on /clock, because it has 0 publishers and use_sim_time is set")


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (lambda car: car.image(encoding="8UC3"), "image encoding is '8UC3'; expected one of rgb8, bgr8"),
        (lambda car: car.image(RED[:, :100], encoding="bgr8"), "image size is 100x96; expected camera_info's 320x96"),
        (lambda car: _cut(car.image()), "length of the data of an rgb8 image is 1000 bytes; expected 92160"),
        (lambda car: car.image(stamp=car.now(3)), "age of the frame is 3."),
    ],
)
def test_a_bad_frame_is_named_and_the_next_one_works(drive: Drive, bad: Callable[[Any], Any], text: str) -> None:
    car = drive()
    car.calibrate()
    car.detect(car.image())
    count = len(car.detections)
    car.show(bad(car))
    assert car.says(text)
    assert len(car.detections) == count
    assert car.detect(car.image())


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        (lambda car: car.image(stamp=Time()), "stamp of the frame is 0; expected the time of capture"),
        (lambda car: car.image(stamp=car.now(-5)), "s in the future; expected the past"),
        (
            lambda car: car.image(stamp=car.now(1e6)),
            "behind the node's clock; expected the same clock. Replaying a bag?",
        ),
        (lambda car: car.image(frame="other"), "frame_id of the image is 'other'; expected camera_info's 'camera'"),
    ],
)
def test_an_odd_frame_is_used_with_a_complaint(drive: Drive, odd: Callable[[Any], Any], text: str) -> None:
    car = drive()
    car.calibrate()
    assert car.detect(odd(car))
    assert car.says(text)


@pytest.mark.parametrize(
    ("info", "text"),
    [
        (lambda car: car.camera_info(k=[0.0] * 9), "camera_info K is all zeros; expected focal lengths above 0"),
        (lambda car: car.camera_info(k=[float("nan")] * 9), "camera_info K is [nan"),
        (lambda car: car.camera_info(width=0), "camera_info size is 0x96"),
        (lambda car: car.camera_info(d=[-0.3, 0.1, 0.0, 0.0, 0.0]), "camera_info D is plumb_bob [-0.3"),
    ],
)
def test_a_bad_camera_info_is_named_and_the_next_one_works(drive: Drive, info: Callable[[Any], Any], text: str) -> None:
    car = drive(unrectified="refuse")
    car.calibrate(info(car))
    car.show(car.image())
    assert car.says(text)
    assert not car.detections
    car.calibrate()
    assert car.detect(car.image())


def test_image_size_may_change_in_mid_stream(drive: Drive) -> None:
    car = drive()
    car.calibrate()
    full = read_detections(car.detect(car.image()))
    half = read_detections(car.detect(car.image(RED[::2, ::2])))
    assert np.allclose(full.yaw, FOCAL / 1000, atol=1e-6)
    assert np.allclose(half.yaw, FOCAL / 2000, atol=1e-6)  # the model was given the matrix of the half image


def test_an_image_is_seen_with_its_own_calibration_even_when_later_ones_have_come(drive: Drive) -> None:
    car = drive()
    waiting, later = car.image(), car.image()
    for image, focal in ((waiting, 400.0), (later, 500.0)):
        own = car.camera_info(k=[focal, 0.0, 160.0, 0.0, focal, 48.0, 0.0, 0.0, 1.0])
        own.header.stamp = image.header.stamp
        car.calibrate(own)
    for image, focal in ((waiting, 400.0), (later, 500.0), (car.image(), 500.0)):
        assert np.allclose(read_detections(car.detect(image)).yaw, focal / 1000, atol=1e-6)


def test_an_engine_that_fails_is_reported_and_tried_again(drive: Drive) -> None:
    car = drive()
    car.calibrate()
    car.detect(car.image())
    run, car.node._detector.run = car.node._detector.run, _broken
    car.show(car.image())
    assert car.says("processing a frame is failing (RuntimeError: device lost); expected success")
    car.node._detector.run = run
    assert car.detect(car.image())


def _broken(inputs: Any) -> Any:
    raise RuntimeError("device lost")


def _cut(message: Image) -> Image:
    message.data = message.data[:1000]
    return message
