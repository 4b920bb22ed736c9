"""Bad clouds, sensors and models: each is named, and life goes on."""

import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import PointCloud2, PointField

from msgs.boxes import read_detections
from point_detr3d_ros.contract import CLASSES
from voxbox_core.boxes import Axes

Drive = Callable[..., Any]  # parameters of the node -> the vehicle of conftest.py


def renamed(cloud: PointCloud2) -> PointCloud2:
    cloud.fields[2].name = "w"
    return cloud


def retyped(cloud: PointCloud2, datatype: int) -> PointCloud2:
    cloud.fields[0].datatype = datatype
    return cloud


def cut(cloud: PointCloud2) -> PointCloud2:
    cloud.data = cloud.data[:1000]
    return cloud


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (
            lambda car: renamed(car.cloud()),
            "fields of a point cloud is ['intensity', 'w', 'x', 'y']; expected x, y and z",
        ),
        (lambda car: car.cloud(fields=[]), "fields of a point cloud is []"),
        (lambda car: retyped(car.cloud(), 99), "type of field x is unknown; expected a PointField datatype 1..8"),
        (lambda car: car.cloud(point_step=8), "place of field z is byte 8; expected within the 8 bytes of a point"),
        (lambda car: cut(car.cloud()), "length of a point cloud's data is 1000 bytes"),
    ],
)
def test_a_bad_cloud_is_named_and_the_next_one_works(drive: Drive, bad: Callable[[Any], Any], text: str) -> None:
    car = drive(sensor_height=1.7)
    car.publish("points", bad(car))
    assert car.says(text)
    assert not car.detections
    assert len(car.detect(car.cloud()).detections) == 2


def test_a_cloud_that_comes_late_is_dropped_and_the_next_one_works(drive: Drive) -> None:
    car = drive(sensor_height=1.7, max_age=2.0)
    assert car.until(lambda: car.node._doing == "running")  # loading the model may take as long on a busy machine
    car.publish("points", car.cloud(stamp=car.now(3)))
    assert car.says("s; expected at most 2 s. Speed up what comes before, or raise max_age.")
    assert not car.detections
    assert len(car.detect(car.cloud()).detections) == 2


@pytest.mark.parametrize(
    "points",
    [np.zeros((0, 4)), np.full((50, 4), np.nan), np.zeros((50, 4)), np.full((50, 4), np.inf)],
    ids=["empty", "all NaN", "all at the origin", "infinite"],
)
def test_a_cloud_without_any_point_has_no_boxes_and_says_so(drive: Drive, points: np.ndarray) -> None:
    car = drive(mode="both", sensor_height=1.7)
    sent = car.cloud(points)
    answer = car.detect(sent)
    assert answer.header == sent.header
    assert not answer.detections
    assert car.says(f"points with a place is 0 of {len(points)}; expected a cloud")
    assert len(car.detect(car.cloud()).detections) == 2


@pytest.mark.parametrize(("mode", "named"), [("detect", "model"), ("assist", "assist_model")])
def test_more_sweeps_than_the_model_learned_from_are_named_once_and_used(drive: Drive, mode: str, named: str) -> None:
    car = drive(mode=mode, sweeps=2)
    assert car.until(lambda: car.node._doing == "running")
    for _ in range(2):
        car.display(car.cloud())
    assert car.node.problems.counts()[f"sweeps for the {named}"] == 1


def test_points_without_a_place_are_left_out_and_counted(drive: Drive) -> None:
    car = drive(sensor_height=1.7)
    rows = np.array([[np.nan, 1, 1, 9], [0, 0, 0, 9], [3, 3, 0, 0.5], [1, np.inf, 2, 9]], np.float32)
    boxes = read_detections(car.detect(car.cloud(rows)), Axes.BODY, CLASSES)
    assert boxes.center[0, 0] == pytest.approx(5.5)  # of the intensities only the third's counts
    assert car.until(lambda: car.tells("points not finite")() == "2" and car.tells("points at the origin")() == "1")


def test_big_endian_organised_padded_float64(drive: Drive) -> None:
    car = drive(sensor_height=1.7)
    fields = [
        PointField(name=n, offset=o, datatype=PointField.FLOAT64, count=1) for n, o in (("z", 0), ("y", 8), ("x", 16))
    ]
    fields.append(PointField(name="intensity", offset=24, datatype=PointField.UINT16, count=1))
    point = np.dtype({"names": ["z", "y", "x", "i"], "formats": [">f8", ">f8", ">f8", ">u2"], "itemsize": 28})
    rows = np.zeros((2, 3), point)
    rows["x"], rows["y"], rows["i"] = 3, np.arange(3), 32768
    rows["x"][1, 2], rows["i"][0, 0] = np.nan, 65535
    lines = np.hstack([rows.view(np.uint8).reshape(2, -1), np.full((2, 5), 7, np.uint8)])
    message = car.cloud(height=2, width=3, fields=fields, is_bigendian=True, point_step=28, row_step=3 * 28 + 5)
    message.data = array.array("B", lines.tobytes())
    boxes = read_detections(car.detect(message), Axes.BODY, CLASSES)
    assert boxes.center[0, 0] == pytest.approx(6.0)  # an intensity of 1
    assert car.until(lambda: car.tells("points not finite")() == "1")


def test_five_million_points(drive: Drive) -> None:
    car = drive()
    rng = np.random.default_rng(0)
    rows = rng.uniform(-12, 12, (5_000_000, 4)).astype(np.float32)
    rows[:, 2] = rng.uniform(-1.7, 0, len(rows))
    rows[:, 3] = 0.5
    message = car.detect(car.cloud(rows))
    assert len(message.detections) == 2
    assert car.says("occupied cells of the cloud is 501 too many; expected at most 400")
    assert car.until(lambda: int(car.tells("points left out")() or 0) > 4_900_000)


def test_without_ground_in_sight_a_usual_height_is_taken(drive: Drive) -> None:
    car = drive()
    boxes = read_detections(car.detect(car.cloud(np.full((9, 4), 3.0, np.float32))), Axes.BODY, CLASSES)
    assert boxes.center[0, 2] == pytest.approx(0.8 - 1.8)
    assert car.says("height of the LiDAR is unknown; expected ground around it; 1.8 m is taken. Set sensor_height.")


def test_a_camera_without_tf_or_calibration_is_left_out(drive: Drive) -> None:
    car = drive(mode="assist", images="/front/image", click_class="Car")
    car.publish("points", car.cloud())
    assert car.says("image of /front is missing")
    for text, prepare in (
        ("camera_info of /front is missing; expected one on /front/camera_info", lambda: None),
        ("transform from 'lidar' to 'camera' is unknown", lambda: car.publish("/front/camera_info", car.camera_info())),
    ):
        prepare()
        stamp = car.now()
        images = car.node._streams[0]._images
        images.clear()
        car.publish("/front/image", car.image(stamp))
        assert car.until(lambda images=images: images)
        car.display(car.cloud(stamp=stamp))
        assert car.says(text)
        assert car.ask(car.click(4, -3)).detections


def test_a_motion_that_tf_does_not_know_is_named(drive: Drive) -> None:
    car = drive(sweeps=2, fixed_frame="odom", sensor_height=1.7)
    assert car.detect(car.cloud()).detections
    assert car.says("transform from 'lidar' to 'odom' is unknown at the stamp of the frame")


@pytest.mark.parametrize(("mode", "name"), [("detect", "model"), ("assist", "assist_model")])
def test_a_corrupt_model_leaves_the_node_unconfigured_until_a_good_one(
    drive: Drive, known_model: Path, known_assist: Path, tmp_path: Path, mode: str, name: str
) -> None:
    good = known_model if name == "model" else known_assist
    if mode == "detect":
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(known_model.read_bytes()[:500])
        text = "broken.onnx is refused by ONNX Runtime"
    else:
        broken = tmp_path / "broken"
        for file in known_assist.rglob("*.*"):
            copy = broken / file.relative_to(known_assist)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes()[:-1])
        text = "model.onnx is"
    car = drive(mode=mode, **{name: str(broken)})
    assert car.says(text)
    assert car.state() == "unconfigured"
    assert car.set(name, str(good)).successful
    assert car.change(Transition.TRANSITION_CONFIGURE)
    assert car.change(Transition.TRANSITION_ACTIVATE)
    car.display(car.cloud())


def test_the_model_of_another_system_is_refused(drive: Drive, tmp_path: Path, known_model: Path) -> None:
    import onnx

    model = onnx.load(known_model)
    onnx.helper.set_model_props(model, {"system": "km3d"})
    onnx.save(model, tmp_path / "other.onnx")
    car = drive(model=str(tmp_path / "other.onnx"))
    assert car.says("other.onnx is km3d; expected point_detr3d")


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"images": "/a/image, /b/image", "camera_infos": "/a/camera_info"},
            "topics in the parameter camera_infos is 1",
        ),
        ({"images": ", ".join(f"/c{i}/image" for i in range(7))}, "parameter images is 7 topics; expected at most 6"),
    ],
)
def test_cameras_that_cannot_be_are_refused(drive: Drive, parameters: dict[str, object], text: str) -> None:
    assert drive(mode="assist", **parameters).says(text)
