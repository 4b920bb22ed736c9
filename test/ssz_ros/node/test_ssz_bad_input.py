"""Bad input is named, and the node lives on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nav_msgs.msg import OccupancyGrid
from vehicle import LATCHED

Drive = Callable[..., Any]  # parameters of the node -> the vehicle of conftest.py
RED = np.full((320, 320, 3), [255, 0, 0], np.uint8)


def test_says_what_it_waits_for(drive: Drive) -> None:
    car = drive(image_transport="raw")
    assert car.says("waiting for image on /image, because it has 0 publishers")
    car.show(car.image())
    assert car.says("camera_info is missing; expected one before the first image. waiting for camera_info")
    car.calibrate()
    assert car.see(car.image())


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (lambda car: car.image(encoding="8UC3"), "image encoding is '8UC3'; expected one of rgb8, bgr8"),
        (lambda car: car.image(RED[:, :100]), "image size is 100x320; expected camera_info's 320x320"),
        (lambda car: car.image(stamp=car.now(3)), "age of the frame is 3."),
    ],
)
def test_a_bad_frame_is_named_and_the_next_one_works(drive: Drive, bad: Callable[[Any], Any], text: str) -> None:
    car = drive()
    car.calibrate()
    car.see(car.image())
    count = len(car.voxels)
    car.show(bad(car))
    assert car.says(text)
    assert len(car.voxels) == count
    assert car.see(car.image())


def test_an_image_of_another_frame_is_used_with_a_complaint(drive: Drive) -> None:
    car = drive()
    car.calibrate()
    assert car.see(car.image(frame="other")).header.frame_id == "other"
    assert car.says("frame_id of the image is 'other'; expected camera_info's 'camera'")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"k": [0.0] * 9}, "camera_info K is all zeros; expected focal lengths above 0"),
        ({"width": 0}, "camera_info size is 0x320"),
        ({"d": [-0.3, 0.1, 0.0, 0.0, 0.0]}, "camera_info D is plumb_bob [-0.3"),
        ({"x": 5000.0}, "image is 320x320, all outside of the grid, about the principal point (5000, 160)"),
    ],
)
def test_a_bad_camera_info_is_named_and_the_next_one_works(drive: Drive, change: dict[str, Any], text: str) -> None:
    car = drive(unrectified="refuse")
    car.calibrate(car.camera_info(**change))
    car.show(car.image())
    assert car.says(text)
    assert not car.voxels
    car.calibrate()
    assert car.see(car.image())


@pytest.mark.parametrize(
    ("camera", "text"),
    [
        ({"focal": 1500.0}, "field of view is 12 x 12 deg about (160, 160) of 320x320; expected the model's 60 x 60"),
        ({"width": 2000, "height": 40}, "field of view is 152 x 9 deg"),
        ({"width": 20, "height": 1500}, "field of view is 5 x 143 deg"),
        ({"x": 10.0}, "% of the grid is outside of the image, and stays unknown"),
    ],
    ids=["narrow", "flat", "upright", "off"],
)
def test_an_image_smaller_than_the_grid_is_used_with_a_complaint(drive: Drive, camera: dict, text: str) -> None:
    car = drive()
    car.calibrate()
    whole = car.see(car.image()).width
    info = car.camera_info(**camera)
    pixels = np.full((info.height, info.width, 3), [255, 0, 0], np.uint8)
    car.calibrate(info)
    assert 0 < car.see(car.image(pixels)).width < whole
    assert car.says(text)
    assert car.tells("grid outside of the image")() != "0%"
    car.calibrate()
    assert car.see(car.image()).width == whole


def test_ground_that_was_never_seen_leaves_the_voxels(drive: Drive) -> None:
    car = drive()
    grounds = car.hear(OccupancyGrid, "ground", LATCHED)
    car.calibrate()
    assert car.see(car.image(0 * RED)).width == 0  # air in all of the grid
    assert car.says("ground in the image is missing")
    assert not grounds
    assert car.answer(grounds, "image", car.image())


def test_an_engine_that_fails_is_reported_and_tried_again(drive: Drive) -> None:
    def broken(inputs: Any) -> Any:
        raise RuntimeError("device lost")

    car = drive()
    car.calibrate()
    car.see(car.image())
    run, car.node._reconstructor.run = car.node._reconstructor.run, broken
    car.show(car.image())
    assert car.says("processing a frame is failing (RuntimeError: device lost); expected success")
    car.node._reconstructor.run = run
    assert car.see(car.image())
