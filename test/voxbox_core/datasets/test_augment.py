"""Augmented pixels and augmented truth stay one geometry."""

import numpy as np
import pytest

from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.augment import (
    Augmentation,
    mirror,
    mirrored_boxes,
    random_affine,
    shade,
    vary_appearance,
    view,
)
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.image import apply, letterbox

WIDTH, HEIGHT = 160, 64


@pytest.fixture
def sample():
    camera = Camera(np.array([[180.0, 0, 150.0], [0, 180.0, 44.0], [0, 0, 1]]), 310, 94)
    center = np.array([[2.0, 1.0, 14.0], [-6.0, 0.8, 25.0]])
    yaw = np.array([0.4, -2.9])
    corners = Boxes3D(center, np.full((2, 3), 2.0), yaw, [0, 0], [1, 1], np.zeros((2, 4)), ("Car",)).corners()
    uv, _ = camera.project(corners)
    box2d = np.concatenate([uv.min(1), uv.max(1)], -1)
    boxes = Boxes3D(center, np.full((2, 3), 2.0), yaw, [0, 0], [1, 1], box2d, ("Car",))
    y, x = np.mgrid[:94, :310]
    image = np.stack([x * 0.8, y * 2.5, 0 * x], -1).astype(np.uint8)  # a pixel tells where it came from
    return Sample("a", image, camera, boxes, np.zeros(2), np.zeros(2, np.int64), np.array([[10.0, 5, 30, 9]]))


def test_shade_is_dark_at_the_feet_of_vehicles_and_nowhere_else(sample):
    bright = np.full((94, 310, 3), 200, np.uint8)
    dark = shade(bright, sample.boxes, sample.camera, np.eye(2, 3), 1.0)
    uv, _ = sample.camera.project(sample.boxes.bottom_center())
    for u, v in np.rint(uv).astype(int):
        assert dark[v, u].max() < 100
    changed = np.argwhere((dark != bright).any(-1))[:, ::-1]
    reach = sample.boxes.box2d + np.array([-5, -5, 5, 5])
    assert all(((p >= reach[:, :2]) & (p <= reach[:, 2:])).all(1).any() for p in changed)
    people = Boxes3D(**{**vars(sample.boxes), "classes": ("Pedestrian",)})
    assert shade(bright, people, sample.camera, np.eye(2, 3), 1.0) is bright


def test_a_near_object_hides_the_shade_of_a_far_one(sample):
    boxes = sample.boxes[[0, 0]]
    center, box2d = boxes.center.copy(), boxes.box2d.copy()
    center[1] *= 2.0
    uv, _ = sample.camera.project(Boxes3D(**{**vars(boxes), "center": center}).corners()[1])
    box2d[1] = np.concatenate([uv.min(0), uv.max(0)])
    both = Boxes3D(**{**vars(boxes), "center": center, "box2d": box2d})
    bright = np.full((94, 310, 3), 200, np.uint8)
    together, alone = (shade(bright, b, sample.camera, np.eye(2, 3), 1.0) for b in (both, boxes[[0]]))
    x1, y1, x2, y2 = np.rint(box2d[0]).astype(int) + np.array([4, 4, -4, -4])
    np.testing.assert_array_equal(together[y1:y2, x1:x2], alone[y1:y2, x1:x2])


def geometry_only(flip):
    return Augmentation(**{**vars(Augmentation.none()), "scale_min": 0.6, "scale_max": 1.6, "shift": 0.1, "flip": flip})


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_corners_of_a_view_are_the_warped_corners_of_the_sample(sample, flip):
    for seed in range(10):
        seen = view(sample, WIDTH, HEIGHT, geometry_only(flip), np.random.default_rng(seed))
        stored, _ = sample.camera.project(sample.boxes.corners())
        if flip:
            stored = apply(mirror(sample.camera.width), stored)[:, [1, 0, 3, 2, 5, 4, 7, 6]]  # left and right swap
        here, _ = seen.camera.project(seen.boxes.corners())
        assert np.allclose(apply(seen.affine, here), apply(seen.affine, stored), atol=1e-9)
        assert np.allclose(seen.boxes.box2d, np.concatenate([here.min(1), here.max(1)], -1))


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_pixels_move_as_points_do(sample, flip):
    for seed in range(5):
        seen = view(sample, WIDTH, HEIGHT, geometry_only(flip), np.random.default_rng(seed))
        source = np.array([[100.0, 40.0], [160.0, 50.0], [200.0, 60.0]])
        camera_pixel = apply(mirror(sample.camera.width), source) if flip else source
        for (u, v), (x, y) in zip(apply(seen.affine, camera_pixel), source, strict=True):
            if 2 < u < WIDTH - 3 and 2 < v < HEIGHT - 3:
                red, green, _ = seen.image[round(v), round(u)]
                assert abs(red / 0.8 - x) < 4 and abs(green / 2.5 - y) < 3


def test_two_flips_are_no_flip(sample):
    twice = mirrored_boxes(mirrored_boxes(sample.boxes, 310), 310)
    assert np.allclose(twice.center, sample.boxes.center)
    assert np.allclose(np.exp(1j * twice.yaw), np.exp(1j * sample.boxes.yaw))
    assert np.allclose(twice.box2d, sample.boxes.box2d)
    assert np.allclose(sample.camera.flipped().flipped().intrinsics, sample.camera.intrinsics)


def test_without_augmentation_a_view_is_the_letterbox(sample):
    seen = view(sample, WIDTH, HEIGHT, Augmentation.none(), np.random.default_rng(0))
    assert np.allclose(seen.affine, letterbox(310, 94, WIDTH, HEIGHT))
    assert np.array_equal(seen.boxes.center, sample.boxes.center)


def test_zooming_in_never_looks_past_the_image_without_shift(sample):
    strength = Augmentation(**{**vars(Augmentation.none()), "scale_min": 2.5, "scale_max": 3.0})
    for seed in range(20):
        affine = random_affine(sample.camera, WIDTH, HEIGHT, strength, np.random.default_rng(seed))
        left_top, right_bottom = apply(affine, np.array([[-0.5, -0.5], [309.5, 93.5]]))
        assert (left_top <= -0.5 + 1e-9).all() and (right_bottom >= np.array([WIDTH, HEIGHT]) - 0.5 - 1e-9).all()


def test_appearance_changes_values_and_nothing_else():
    image = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    before = image.copy()
    always = Augmentation(blur=1, noise=1, jpeg=1, cutout=1, grey=0)
    seen = [vary_appearance(image, always, np.random.default_rng(s)) for s in (5, 5, 6)]
    assert np.array_equal(image, before)
    assert seen[0].dtype == np.uint8 and seen[0].shape == image.shape
    assert np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0], seen[2])


def test_a_grey_image_has_equal_channels():
    image = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    strength = Augmentation(**{**vars(Augmentation.none()), "grey": 1.0})
    grey = vary_appearance(image, strength, np.random.default_rng(0)).astype(int)
    assert np.ptp(grey, axis=-1).max() <= 1
    assert np.abs(grey[..., 0] - image @ [0.299, 0.587, 0.114]).max() <= 1


@pytest.mark.parametrize(("name", "value"), [("flip", 1.5), ("scale_min", 0.0), ("scale_min", 2.0), ("noise", -0.1)])
def test_a_strength_out_of_range_is_refused(name, value):
    with pytest.raises(InputError, match="expected"):
        Augmentation(**{name: value})
