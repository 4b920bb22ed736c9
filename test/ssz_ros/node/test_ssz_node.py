"""What comes out of each kind of input, over real DDS."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import OccupancyGrid
from vehicle import LATCHED
from vision_msgs.msg import LabelInfo
from visualization_msgs.msg import MarkerArray

from msgs.voxels import POINT
from voxbox_core.voxels import CLASSES

Drive = Callable[..., Any]  # parameters of the node -> the vehicle of conftest.py
OPTICAL_TO_BODY = (-0.5, 0.5, -0.5, 0.5)  # x right, y down, z forward -> x forward, y left, z up


def points_of(message: Any) -> np.ndarray:
    return np.frombuffer(message.data, POINT)


def places_of(message: Any) -> np.ndarray:
    points = points_of(message)
    return np.stack([points[name] for name in "xyz"], -1)


def test_the_cloud_arrives_as_the_model_gives_it(drive: Drive, scene: Any) -> None:
    car = drive()
    car.calibrate()
    sent = car.image()
    message = car.see(sent)
    assert message.header == sent.header
    np.testing.assert_allclose(places_of(message), scene.fruxel.centers(np.argwhere(scene.surface)), atol=1e-5)
    np.testing.assert_array_equal(points_of(message)["label"], scene.labels[scene.surface])
    np.testing.assert_allclose(points_of(message)["probability"], 0.8, atol=1e-6)
    assert car.set("cells", "occupied").successful
    assert car.see(car.image()).width == scene.occupied.sum()


@pytest.mark.parametrize("topic", ["image", "image/compressed"])
def test_compressed_images_are_found_and_read(drive: Drive, scene: Any, topic: str) -> None:
    car = drive()
    car.calibrate()
    assert car.see(car.jpeg(), topic).width == scene.surface.sum()


def test_cubes_ground_labels_and_latency_on_demand(drive: Drive, scene: Any) -> None:
    car = drive(max_cubes=100)
    cubes, grounds = car.hear(MarkerArray, "voxel_markers"), car.hear(OccupancyGrid, "ground", LATCHED)
    labels, latencies = car.hear(LabelInfo, "label_info", LATCHED), car.hear(DiagnosticArray, "latency")
    car.calibrate()
    sent = car.image()
    car.see(sent)
    assert car.until(lambda: cubes and grounds and labels and latencies)
    assert sum(len(m.points) for m in cubes[-1].markers) == 100
    assert all(m.header == sent.header and m.ns == "voxels" for m in cubes[-1].markers)
    assert [c.class_name for c in labels[-1].class_map] == list(CLASSES)
    assert grounds[-1].header == sent.header
    assert grounds[-1].info.map_load_time == sent.header.stamp
    assert set(grounds[-1].data) == {-1, 0, 100}
    stages = {pair.key: float(pair.value) for pair in latencies[-1].status[0].values}
    assert set(stages) == {
        "queue", "decode", "preprocess", "inference", "postprocess", "publish", "show", "total", "age"
    }  # fmt: skip
    late = car.hear(OccupancyGrid, "ground", LATCHED)
    assert car.until(lambda: late == grounds[-1:])  # as for Nav2, which may start later


def test_what_nobody_listens_to_is_not_made(drive: Drive) -> None:
    car = drive()
    car.calibrate()
    car.see(car.image())
    assert not car.node._markers._shown
    assert car.node._ground.height is None


def test_live_parameters_change_the_ground(drive: Drive) -> None:
    car = drive()
    grounds = car.hear(OccupancyGrid, "ground", LATCHED)
    car.calibrate()
    before = car.answer(grounds, "image", car.image()).info
    assert before.origin.position.y == pytest.approx(1.6, abs=0.15)
    for name, value in (("ground_resolution", 0.5), ("camera_height", 1.2), ("vehicle_height", 1.0)):
        assert car.set(name, value).successful
    after = car.answer(grounds, "image", car.image()).info
    assert (after.resolution, after.origin.position.y) == pytest.approx((0.5, 1.2))
    assert after.width < before.width


def test_target_frame_moves_everything_through_tf(drive: Drive) -> None:
    car = drive(target_frame="base_link")
    cubes, grounds = car.hear(MarkerArray, "voxel_markers"), car.hear(OccupancyGrid, "ground", LATCHED)
    car.calibrate()
    car.show(car.image())
    assert car.says("transform from 'camera' to 'base_link' is unknown")
    car.mount("camera", "base_link", (1.0, 0.0, 1.3), OPTICAL_TO_BODY)
    message = car.see(car.image())
    assert message.header.frame_id == "base_link"
    cars = places_of(message)[points_of(message)["label"] == CLASSES.index("car")]
    assert cars.min(0) == pytest.approx((1 + 7, -3, 1.3 - 1.6), abs=0.5)
    assert car.until(lambda: cubes and grounds)
    marker, ground = cubes[-1].markers[0], grounds[-1]
    assert marker.header.frame_id == ground.header.frame_id == "base_link"
    place, turn = marker.pose.position, marker.pose.orientation
    assert (place.x, place.y, place.z) == pytest.approx((1, 0, 1.3))
    assert np.abs(np.dot((turn.x, turn.y, turn.z, turn.w), OPTICAL_TO_BODY)) == pytest.approx(1)
    assert ground.info.origin.orientation.w == 1
    assert ground.info.origin.position.z == pytest.approx(1.3 - 1.6, abs=0.15)


def test_a_target_frame_that_is_not_upright_has_voxels_but_no_ground(drive: Drive) -> None:
    car = drive(target_frame="other_camera")
    grounds = car.hear(OccupancyGrid, "ground", LATCHED)
    car.calibrate()
    assert car.until(lambda: car.node._transforms is not None)
    car.mount("camera", "other_camera", (0.5, 0.0, 0.0))
    assert car.see(car.image()).header.frame_id == "other_camera"
    assert car.says("the camera's up in the frame of the ground is [0.0, -1.0, 0.0]; expected about z")
    assert not grounds


def test_the_focal_length_and_the_principal_point_may_change_in_mid_stream(drive: Drive, scene: Any) -> None:
    """Half of the image is red: what is there is to the left of where the optical axis meets it."""
    car = drive()
    half = np.where(np.arange(320)[:, None] < 160, [255, 0, 0], [0, 0, 0])[None].repeat(320, 0).astype(np.uint8)
    focal = scene.fruxel.focal
    for info, edge in ((car.camera_info(), 0.0), (car.camera_info(x=120.0), 40 / 250), (car.camera_info(400.0), 0.0)):
        car.calibrate(info)
        seen = places_of(car.see(car.image(half)))
        assert (seen[:, 0] / seen[:, 2]).max() == pytest.approx(edge - 0.5 / focal, abs=1.01 / focal)
