"""The same picture whether an image is worked on as an array or as a tensor, on whatever device."""

import cv2
import numpy as np
import pytest
import torch
from devices import on_each_device

from voxbox_core import device_image
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.image import Remap, averaged, letterbox, on_host, require_seen_by, warp

# OpenCV 4 looks at positions to 1/32 px, so that between pixels of noise it is off by a 64th of their contrast per
# axis; OpenCV 5 rounds no position.
LEVELS = 1 if int(cv2.__version__.split(".")[0]) >= 5 else 1 + 2 * 255 // 64


@pytest.fixture
def noise() -> np.ndarray:
    """Where every error shows most."""
    return np.random.default_rng(0).integers(0, 256, (375, 1242, 3), np.uint8)


def levels_apart(tensor: torch.Tensor, array: np.ndarray) -> int:
    assert tensor.dtype == torch.uint8
    assert tuple(tensor.shape) == array.shape
    return int(np.abs(on_host(tensor).astype(int) - array).max())


AFFINES = {
    "smaller": letterbox(1242, 375, 640, 192),
    "larger, cropped": np.array([[1.7, 0.0, -200.3], [0.0, 1.7, -150.2]]),
    "turned, beyond the edges": np.array([[0.7, 0.1, 90.2], [-0.1, 0.7, 60.3]]),
    "as it is": np.eye(3)[:2],
}


@on_each_device
@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_warped_alike(device, noise, affine) -> None:
    found = warp(torch.from_numpy(noise).to(device), affine, 640, 192)
    assert found.device.type == device.type
    assert levels_apart(found, warp(noise, affine, 640, 192)) <= LEVELS


@on_each_device
@pytest.mark.parametrize(
    "affine",
    [
        np.array([[0.155, 0.0, 1.3], [0.0, 0.155, -8.9]]),
        np.array([[0.031, 0.0, 40.0], [0.0, 0.31, 0.0]]),
        np.array([[0.9, 0.0, -700.0], [0.0, 0.2, 2.5]]),
    ],
    ids=["about", "narrow", "cropped"],
)
def test_areas_averaged_alike(device, noise, affine) -> None:
    found = averaged(torch.from_numpy(noise).to(device), affine, 192, 96)
    expected = averaged(noise, affine, 192, 96)
    assert levels_apart(found, expected) <= 1
    assert (on_host(found) != expected).mean() < 1e-2  # only where the mean is half-way between levels


@on_each_device
def test_undistorted_alike(device, noise) -> None:
    lens = np.array([[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]])
    maps = cv2.initUndistortRectifyMap(
        lens, np.array([0.3, 0.1, 1e-3, -2e-3, 0]), None, lens, (1242, 375), cv2.CV_16SC2
    )
    remap = Remap(*maps)
    expected = remap(noise)
    assert (expected[0] == 0).any()  # it looks beyond the edges, too
    for _ in range(2):
        assert levels_apart(remap(torch.from_numpy(noise).to(device)), expected) <= LEVELS


@on_each_device
def test_the_same_bytes_each_time(device, noise) -> None:
    image = torch.from_numpy(noise).to(device)
    affine = AFFINES["smaller"]
    for step in (device_image.warp, device_image.averaged):
        assert torch.equal(step(image, affine, 640, 192), step(image, affine, 640, 192))


def test_an_image_is_judged_by_what_it_is_and_not_by_where() -> None:
    camera = Camera(np.array([[5.0, 0, 2], [0, 5, 1], [0, 0, 1]]), 5, 3)
    for image in (np.zeros((3, 5, 3), np.uint8), torch.zeros(3, 5, 3, dtype=torch.uint8)):
        require_seen_by(camera, image)
    for wrong in (np.zeros((3, 5, 3), np.int8), torch.zeros(3, 5, 3), torch.zeros(5, 3, 3, dtype=torch.uint8)):
        with pytest.raises(InputError, match=r"expected uint8 \(3, 5, 3\) as its camera says"):
            require_seen_by(camera, wrong)
