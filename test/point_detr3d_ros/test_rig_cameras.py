"""The image nearest to a cloud, and what is said when there is none."""

import time
from types import SimpleNamespace as Message

import numpy as np
import pytest

from point_detr3d_ros.cameras import CameraStream, await_images, camera_topics
from voxbox_core.errors import InputError


def header(stamp):
    return Message(stamp=Message(sec=int(stamp), nanosec=round(stamp % 1 * 1e9)), frame_id="camera")


def image(stamp, value=0):
    data = np.full(4 * 6 * 3, value, np.uint8)
    return Message(header=header(stamp), encoding="rgb8", width=6, height=4, step=18, is_bigendian=0, data=data)


def info(stamp=0.0):
    roi = Message(width=0, height=0, x_offset=0, y_offset=0)
    k = [5.0, 0, 3, 0, 5, 2, 0, 0, 1]
    return Message(
        header=header(stamp), width=6, height=4, distortion_model="", d=[], k=k, p=[0.0] * 12, r=[0.0] * 9, roi=roi,
        binning_x=0, binning_y=0,
    )  # fmt: skip


@pytest.fixture
def stream():
    (topics,) = camera_topics("/front/image_raw", "")
    stream = CameraStream(topics)
    stream.calibrations.add(info())
    return stream


def test_the_nearest_image_is_looked_at_and_its_skew_told(stream):
    for i, stamp in enumerate((10.0, 10.1, 10.2)):
        stream.on_image(image(stamp, i))
    look = stream.look(10.13, 0.1, "undistort")
    assert look.image[0, 0, 0] == 1
    assert look.skew == pytest.approx(-0.03)
    assert stream.skew == pytest.approx(-0.03)
    assert look.camera.intrinsics[0, 0] == 5


@pytest.mark.parametrize("stamp", [9.7, 10.5])
def test_an_image_of_another_time_is_refused(stream, stamp):
    stream.on_image(image(10.0))
    with pytest.raises(InputError, match=r"skew of /front to the LiDAR is .* s; expected at most 0.1 s"):
        stream.look(stamp, 0.1, "undistort")


def test_a_camera_that_is_silent_or_unknown_is_named():
    stream = CameraStream(camera_topics("/front/image_raw", "")[0])
    with pytest.raises(InputError, match="image of /front is missing"):
        stream.look(10.0, 0.1, "undistort")
    stream.on_image(image(10.0))
    with pytest.raises(InputError, match="camera_info of /front is missing; expected one on /front/camera_info"):
        stream.look(10.0, 0.1, "undistort")


def test_only_images_that_are_about_to_come_are_waited_for(stream):
    begun = time.monotonic()
    await_images([stream], 10.0, 0.05, 5.0)  # none has ever come
    stream.on_image(image(9.99))
    await_images([stream], 10.0, 0.05, 5.0)  # near enough
    stream.on_image(image(10.2))
    await_images([stream], 10.1, 0.05, 5.0)  # later ones are there already
    assert time.monotonic() - begun < 1.0
    await_images([stream], 10.4, 0.05, 0.2)
    assert time.monotonic() - begun >= 0.2


def test_topics_are_lists_and_calibrations_are_beside_images():
    found = camera_topics("/a/image_raw, /b/image/compressed", "")
    assert [(t.name, t.image, t.camera_info) for t in found] == [
        ("/a", "/a/image_raw", "/a/camera_info"),
        ("/b", "/b/image", "/b/camera_info"),
    ]
    assert camera_topics("image, other", "x,y")[1].camera_info == "y"
    assert camera_topics("", "") == []
    with pytest.raises(InputError, match="camera_infos is 1; expected 2"):
        camera_topics("/a/image, /b/image", "/a/camera_info")
