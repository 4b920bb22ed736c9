"""The camera and the image transform agree with each other."""

import cv2
import numpy as np
import pytest

from voxbox_core import image
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError

K = np.array([[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]])
POINTS = np.array([[1.0, 1.5, 10], [-4, 0.3, 25], [0, 0, 5]])


def test_back_projection_inverts_projection():
    camera = Camera(K, 1242, 375)
    uv, depth = camera.project(POINTS)
    np.testing.assert_allclose(camera.back_project(uv, depth), POINTS, atol=1e-9)


def test_a_warped_camera_sees_the_warped_pixels():
    camera = Camera(K, 1242, 375)
    affine = image.letterbox(1242, 375, 640, 192)
    uv, _ = camera.project(POINTS)
    warped, _ = camera.warped(affine, 640, 192).project(POINTS)
    np.testing.assert_allclose(warped, image.apply(affine, uv), atol=1e-9)
    np.testing.assert_allclose(image.apply(image.invert(affine), warped), uv, atol=1e-9)


def test_a_flipped_camera_sees_the_mirrored_world():
    camera = Camera(K, 1242, 375)
    uv, _ = camera.project(POINTS)
    mirrored, _ = camera.flipped().project(POINTS * [-1, 1, 1])
    np.testing.assert_allclose(mirrored, np.stack([1241 - uv[:, 0], uv[:, 1]], -1), atol=1e-9)


def test_the_letterbox_is_a_centred_similarity():
    affine = image.letterbox(1242, 375, 1280, 384)
    assert affine[0, 0] == affine[1, 1] == pytest.approx(1280 / 1242)
    np.testing.assert_allclose(image.apply(affine, np.array([1241 / 2, 374 / 2])), [1279 / 2, 383 / 2])


def test_warp_moves_a_dot_where_the_affine_says():
    picture = np.zeros((375, 1242, 3), np.uint8)
    cv2.circle(picture, (800, 200), 12, (255, 255, 255), -1)
    affine = image.letterbox(1242, 375, 640, 192)
    ys, xs = np.nonzero(image.warp(picture, affine, 640, 192)[..., 0] > 127)
    np.testing.assert_allclose([xs.mean(), ys.mean()], image.apply(affine, np.array([800.0, 200])), atol=0.3)


def test_composition_applies_the_first_first():
    first, second = image.letterbox(100, 50, 640, 192), image.letterbox(640, 192, 33, 44)
    point = np.array([3.0, 7])
    np.testing.assert_allclose(
        image.apply(image.compose(second, first), point), image.apply(second, image.apply(first, point))
    )


@pytest.mark.parametrize(
    ("intrinsics", "width", "message"),
    [
        (np.zeros((3, 3)), 10, "fx > 0"),
        (K * np.nan, 10, "finite"),
        (np.eye(4), 10, r"\(3, 3\)"),
        (K * [[1], [1], [0]], 10, r"last row .* is \[0.0, 0.0, 0.0\]; expected \[0, 0, 1\]"),
        (K, 0, "positive"),
    ],
)
def test_unusable_calibration_is_refused(intrinsics, width, message):
    with pytest.raises(InputError, match=message):
        Camera(intrinsics, width, 10)
