"""What voxbox expects of tf2_ros: holds for the real package and for the stand-in alike."""

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from tf2_ros import Buffer, ConnectivityException, ExtrapolationException, LookupException, TransformException


def stamped(parent, child, seconds, xyz=(0.0, 0.0, 0.0), yaw=0.0):
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = Time(seconds=seconds).to_msg()
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = map(float, xyz)
    rotation.z, rotation.w = float(np.sin(yaw / 2)), float(np.cos(yaw / 2))
    return message


def position(message):
    t = message.transform.translation
    return [t.x, t.y, t.z]


def yaw_of(message):
    q = message.transform.rotation
    return 2.0 * np.arctan2(q.z, q.w)


@pytest.fixture
def driving():
    """A car that drives 10 m along x while it turns by 90 degrees, with a camera 2 m in front of its centre."""
    buffer = Buffer()
    buffer.set_transform(stamped("map", "base", 10, (0, 0, 0), 0.0), "test")
    buffer.set_transform(stamped("map", "base", 12, (10, 0, 0), np.pi / 2), "test")
    buffer.set_transform_static(stamped("base", "camera", 0, (2, 0, 1)), "test")
    return buffer


def test_a_static_transform_holds_at_any_time(driving):
    for seconds in (0, 3, 1000):
        found = driving.lookup_transform("base", "camera", Time(seconds=seconds))
        assert position(found) == [2, 0, 1]


def test_between_two_stamps_it_interpolates(driving):
    found = driving.lookup_transform("map", "base", Time(seconds=11))
    np.testing.assert_allclose(position(found), [5, 0, 0], atol=1e-9)
    assert yaw_of(found) == pytest.approx(np.pi / 4)
    assert (found.header.frame_id, found.child_frame_id) == ("map", "base")
    assert found.header.stamp == Time(seconds=11).to_msg()


def test_a_chain_is_composed_in_order(driving):
    found = driving.lookup_transform("map", "camera", Time(seconds=12))
    np.testing.assert_allclose(position(found), [10, 2, 1], atol=1e-9)


def test_the_way_back_is_the_inverse(driving):
    found = driving.lookup_transform("camera", "map", Time(seconds=12))
    np.testing.assert_allclose(position(found), [-2, 10, -1], atol=1e-9)
    assert yaw_of(found) == pytest.approx(-np.pi / 2)


def test_siblings_meet_at_their_parent(driving):
    driving.set_transform_static(stamped("base", "lidar", 0, (0, 1, 2)), "test")
    found = driving.lookup_transform("lidar", "camera", Time())
    np.testing.assert_allclose(position(found), [2, -1, -1], atol=1e-9)


def test_time_zero_is_the_latest_that_all_links_have(driving):
    driving.set_transform(stamped("camera", "box", 11, (0, 0, 5)), "test")
    found = driving.lookup_transform("map", "box", Time())
    assert found.header.stamp == Time(seconds=11).to_msg()


def test_a_frame_in_itself_is_where_it_is(driving):
    found = driving.lookup_transform("base", "base", Time(seconds=11))
    assert position(found) == [0, 0, 0]


@pytest.mark.parametrize("seconds", [9, 13])
def test_outside_of_the_stamps_it_refuses(driving, seconds):
    with pytest.raises(
        ExtrapolationException, match="extrapolation into the " + ("past" if seconds < 10 else "future")
    ):
        driving.lookup_transform("map", "base", Time(seconds=seconds))
    assert not driving.can_transform("map", "base", Time(seconds=seconds))


def test_an_unknown_frame_is_named(driving):
    with pytest.raises(LookupException, match="nowhere"):
        driving.lookup_transform("map", "nowhere", Time())


def test_two_trees_have_no_connection(driving):
    driving.set_transform_static(stamped("moon", "crater", 0), "test")
    with pytest.raises(ConnectivityException, match="not part of the same tree"):
        driving.lookup_transform("map", "crater", Time())


def test_every_failure_is_a_transform_exception():
    for kind in (LookupException, ConnectivityException, ExtrapolationException):
        assert issubclass(kind, TransformException)


def test_what_is_older_than_the_cache_is_forgotten():
    buffer = Buffer(cache_time=Duration(seconds=2))
    for seconds in range(10):
        buffer.set_transform(stamped("map", "base", seconds, (seconds, 0, 0)), "test")
    assert position(buffer.lookup_transform("map", "base", Time(seconds=8))) == [8, 0, 0]
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform("map", "base", Time(seconds=4))


def test_transforms_may_arrive_out_of_order(driving):
    driving.set_transform(stamped("map", "base", 11, (8, 0, 0), np.pi / 4), "test")
    found = driving.lookup_transform("map", "base", Time(seconds=10.5))
    np.testing.assert_allclose(position(found), [4, 0, 0], atol=1e-9)
