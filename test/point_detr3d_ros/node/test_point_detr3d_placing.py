"""How a LiDAR stands by what tf knows, and what is said where it does not know enough."""

import numpy as np
import pytest
from std_msgs.msg import Header

from point_detr3d_ros.parameters import Parameters
from point_detr3d_ros.placing import Placing
from voxbox_core.errors import InputError

CLOUD = np.zeros((0, 5), np.float32)
UPSIDE_DOWN = np.diag([1.0, -1.0, -1.0])
GIVEN = Parameters(sensor_height=1.7)


class Tf:
    """Knows some frames, all at 2 m below a LiDAR that hangs upside down."""

    def __init__(self, *frames):
        self.frames, self.told = set(frames), []
        self.placing = Placing(self.transform, self.told.append)

    def transform(self, target, source, stamp, timeout):
        if target not in self.frames:
            raise InputError("transform", "unknown", "one", "Publish it.")
        return UPSIDE_DOWN, np.array([0.0, 0.0, 2.0])

    def mount(self, clouds, frame="lidar", parameters=GIVEN):
        for _ in range(clouds):
            mount = self.placing.mount(Header(frame_id=frame), CLOUD, parameters)
        return mount


@pytest.mark.parametrize(("parameters", "height"), [(GIVEN, 1.7), (Parameters(), 2.0)])
def test_a_known_frame_levels_and_nothing_is_said(parameters, height):
    tf = Tf("base_footprint")
    mount = tf.mount(20, parameters=parameters)
    np.testing.assert_array_equal(mount.rotation, UPSIDE_DOWN)
    assert mount.height == height
    assert tf.placing.levelled_by == "base_footprint" and not tf.told


@pytest.mark.parametrize(
    ("known", "remedy"),
    [
        ((), "Publish it where the LiDAR is tilted"),
        (("base_link", "ego_vehicle"), "Set ground_frame:=base_link"),
        (("ego_vehicle",), "Set ground_frame:=ego_vehicle"),
    ],
)
def test_an_unknown_frame_is_named_once_with_one_that_is_known(known, remedy):
    tf = Tf(*known)
    tf.mount(4)
    assert not tf.told  # tf may come yet
    assert tf.mount(30).level
    (told,) = map(str, tf.told)
    assert "ground_frame is 'base_footprint'" in told and remedy in told
    assert tf.placing.levelled_by == "nothing"


def test_a_frame_that_comes_late_or_is_not_wanted_or_not_needed_is_not_missed():
    late = Tf()
    late.mount(4)
    late.frames.add("base_footprint")
    assert not late.mount(1).level
    unwanted, body = Tf(), Tf()
    unwanted.mount(9, parameters=Parameters(sensor_height=1.7, ground_frame=""))
    body.mount(9, frame="base_link")
    assert not (late.told or unwanted.told or body.told)


def test_another_unknown_frame_is_named_too():
    tf = Tf()
    tf.mount(9)
    tf.mount(9, parameters=Parameters(sensor_height=1.7, ground_frame="floor"))
    assert ["base_footprint" in str(tf.told[0]), "floor" in str(tf.told[1])] == [True, True]
