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


def shaded(boxes, camera, seed=0):
    bright = np.full((camera.height, camera.width, 3), 200, np.uint8)
    return bright, shade(bright, boxes, camera, np.eye(2, 3), np.random.default_rng(seed))


@pytest.mark.parametrize("kind", ["Car", "Bus"])
def test_shade_is_dark_at_the_feet_of_vehicles_and_nowhere_else(sample, kind):
    boxes = Boxes3D(**{**vars(sample.boxes), "classes": (kind,)})
    reach = boxes.box2d + np.array([-12, -5, 12, 12])
    for seed in range(5):
        bright, dark = shaded(boxes, sample.camera, seed)
        changed = np.argwhere((dark != bright).any(-1))[:, ::-1]
        assert len(changed) > 50
        assert all(((p >= reach[:, :2]) & (p <= reach[:, 2:])).all(1).any() for p in changed)
        x1, y1, x2, y2 = np.rint(boxes.box2d[0]).astype(int)
        assert (dark[(y1 + y2) // 2 - 2, x1:x2] == 200).all()  # the body stays as it is
    people = Boxes3D(**{**vars(sample.boxes), "classes": ("Pedestrian",)})
    bright, dark = shaded(people, sample.camera)
    assert dark is bright


def test_edges_of_the_shade_do_not_tell_the_footprint(sample):
    lowest = set()
    for seed in range(12):
        bright, dark = shaded(sample.boxes, sample.camera, seed)
        lowest.add(int(np.argwhere((bright - dark > 20).any(-1))[:, 0].max()))
    assert len(lowest) > 2


@pytest.mark.parametrize("distance", [3.0, 1.2])
def test_a_near_object_hides_the_shade_of_a_far_one(sample, distance):
    """One that is too near to cast a shade of its own, too."""
    far, near = sample.boxes[[0]], sample.boxes[[0]]
    center = near.center * distance / near.center[:, 2]
    covering = Boxes3D(**{**vars(near), "center": center, "box2d": far.box2d + np.array([-15, -15, 15, 15])})
    columns = ("center", "size", "yaw", "score", "box2d")
    both = {name: np.concatenate([getattr(far, name), getattr(covering, name)]) for name in columns}
    boxes = Boxes3D(**both, label=np.array([0, 1]), classes=("Car", "Pedestrian"))
    bright, dark = shaded(boxes, sample.camera)
    assert dark is bright


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
