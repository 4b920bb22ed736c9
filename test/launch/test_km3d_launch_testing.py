"""launch_testing, where it is installed: the launch file as a vehicle runs it, an image in, its boxes out, the end."""

import array
import os
import time
import unittest

import pytest

launch_testing = pytest.importorskip("launch_testing", reason="launch_testing comes with an installed ROS 2")

import rclpy  # noqa: E402
from ament_index_python.packages import get_package_share_directory  # noqa: E402
from launch import LaunchDescription  # noqa: E402
from launch.actions import IncludeLaunchDescription  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from launch_testing.actions import ReadyToTest  # noqa: E402
from launch_testing.asserts import assertExitCodes  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from vision_msgs.msg import Detection3DArray  # noqa: E402

SHARE = get_package_share_directory("voxbox")
WIDTH, HEIGHT, FRAME = 640, 192, "camera_optical"

if not os.path.isfile(os.path.join(SHARE, "models", "km3d-street", "manifest.yaml")):
    pytest.skip("the released model km3d-street is not installed", allow_module_level=True)


@pytest.mark.launch_test
def generate_test_description():
    source = PythonLaunchDescriptionSource(os.path.join(SHARE, "launch", "km3d.launch.py"))
    arguments = {"image": "/front/image_raw", "camera_info": "/front/camera_info", "score_threshold": "0.1"}
    return LaunchDescription(
        [IncludeLaunchDescription(source, launch_arguments=list(arguments.items())), ReadyToTest()]
    )


def camera_info(stamp):
    message = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header.frame_id, message.header.stamp = FRAME, stamp
    message.k = [400.0, 0.0, WIDTH / 2, 0.0, 400.0, HEIGHT / 2, 0.0, 0.0, 1.0]
    message.p = [400.0, 0.0, WIDTH / 2, 0.0, 0.0, 400.0, HEIGHT / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    return message


def grey_image(stamp):
    message = Image(width=WIDTH, height=HEIGHT, encoding="rgb8", step=3 * WIDTH)
    message.header.frame_id, message.header.stamp = FRAME, stamp
    message.data = array.array("B", bytes([128]) * (3 * WIDTH * HEIGHT))
    return message


class TestImageToBoxes(unittest.TestCase):
    def setUp(self):
        rclpy.init()
        self.node = rclpy.create_node("camera")

    def tearDown(self):
        self.node.destroy_node()
        rclpy.shutdown()

    def test_every_answer_bears_the_header_of_an_image(self):
        images = self.node.create_publisher(Image, "/front/image_raw", 1)
        infos = self.node.create_publisher(CameraInfo, "/front/camera_info", 1)
        answers = []
        self.node.create_subscription(Detection3DArray, "/detections", answers.append, 10)
        sent = []
        deadline = time.monotonic() + 60
        while not answers and time.monotonic() < deadline:
            sent.append(self.node.get_clock().now().to_msg())
            infos.publish(camera_info(sent[-1]))
            images.publish(grey_image(sent[-1]))
            rclpy.spin_once(self.node, timeout_sec=0.2)
        assert answers, "no detections within a minute"
        assert answers[0].header.frame_id == FRAME
        assert answers[0].header.stamp in sent


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_the_node_ends_in_good_order(self, proc_info):
        assertExitCodes(proc_info)
