"""The view of an image follows everything that it hangs on, and is not made anew for nothing."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from msgs.camera_view import CameraView, frame_doubt
from voxbox_core.errors import InputError


def info(focal: float = 100.0, seconds: int = 1, distortion: float = 0.0) -> CameraInfo:
    matrix = [focal, 0.0, 31.5, 0.0, focal, 23.5, 0.0, 0.0, 1.0]
    d = [distortion, 0.0, 0.0, 0.0, 0.0]
    message = CameraInfo(width=64, height=48, distortion_model="plumb_bob", d=d, k=matrix)
    message.header.frame_id, message.header.stamp.sec = "camera", seconds
    return message


@pytest.fixture
def view() -> CameraView:
    made = CameraView()
    made.calibrations.add(info())
    return made


def test_without_calibration_there_is_none() -> None:
    assert CameraView().of(Header().stamp, 64, 48, "undistort") is None


def test_it_is_made_once(view: CameraView) -> None:
    first = view.of(Header().stamp, 64, 48, "undistort")
    view.calibrations.add(info(seconds=2))
    assert view.of(Header().stamp, 64, 48, "undistort") is first


def test_it_follows_focal_length_size_and_parameter(view: CameraView) -> None:
    stamp = Header().stamp
    assert view.of(stamp, 64, 48, "undistort").camera.intrinsics[0, 0] == 100
    half = view.of(stamp, 32, 24, "undistort")
    assert (half.camera.intrinsics[0, 0], half.camera.width) == (50, 32)
    assert (half.scaled.width, half.calibration.width) == (32, 64)
    view.calibrations.add(info(130.0, seconds=2, distortion=-0.3))
    bent = view.of(stamp, 64, 48, "undistort")
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert bent.camera.intrinsics[0, 0] == 130
    assert (bent.rectify(image) != image).any()
    assert view.of(stamp, 64, 48, "rectified").rectify(image) is image
    with pytest.raises(InputError, match="camera_info D"):
        view.of(stamp, 64, 48, "refuse")


def test_another_frame_is_doubted(view: CameraView) -> None:
    seen = view.of(Header().stamp, 64, 48, "undistort")
    assert frame_doubt(Header(frame_id="camera"), seen) is None
    assert "frame_id of the image is 'lidar'; expected camera_info's 'camera'" in str(
        frame_doubt(Header(frame_id="lidar"), seen)
    )
