"""Real recordings: rclpy and rosbags read the same bytes, and both give the same picture and camera."""

from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from msgs.cameras import read_calibration, rectified
from msgs.images import read_image

IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
BAGS = ("kitti_raw_seq_8f_mcap", "kitti_raw_seq_2f_sqlite3", "nuscenes_sample_6cam_mcap")


@pytest.mark.data
@pytest.mark.parametrize("bag", BAGS)
def test_rclpy_and_rosbags_messages_are_alike(shared_data: Path, bag: str) -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    sensor_msgs = pytest.importorskip("sensor_msgs.msg")
    read = set()
    with AnyReader([shared_data / "ros2_bags" / bag]) as reader:
        for connection, _, raw in reader.messages():
            kind, topic = connection.msgtype, connection.topic
            if topic in read or kind not in (*IMAGES, "sensor_msgs/msg/CameraInfo"):
                continue
            read.add(topic)
            bare = reader.deserialize(raw, kind)
            live = serialization.deserialize_message(bytes(raw), getattr(sensor_msgs, kind.rsplit("/", 1)[-1]))
            if kind in IMAGES:
                picture = read_image(bare)
                assert np.array_equal(picture, read_image(live))
                assert picture.std() > 20  # a street, not a grey field
            else:
                assert read_calibration(bare) == read_calibration(live)
                assert rectified(read_calibration(bare))[0].width == bare.width
    assert len(read) >= 2
