"""An augmented world is one world: points, boxes, prompts and pixels agree."""

import time
from dataclasses import replace

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.augment_cloud import CloudAugmentation, Transform, affine, returns_in_boxes
from voxbox_core.datasets.rig import Prompts, RigSample, View, points_in_boxes
from voxbox_core.errors import InputError

CLASSES = ("Car",)
CAMERA_FROM_BODY = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0.3], [1, 0, 0, -0.2], [0, 0, 0, 1]])


def cloud(count, seed=0):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(-40, 40, (count, 3)) * (1, 1, 0.05)
    return np.concatenate([xyz, rng.random((count, 1)), rng.integers(0, 2, (count, 1)) * 0.1], -1).astype(np.float32)


@pytest.fixture
def sample():
    rng = np.random.default_rng(1)
    center = rng.uniform(-25, 25, (8, 3)) * (1, 1, 0.02)
    size = rng.uniform(1, 6, (8, 3))
    nan = np.full((8, 4), np.nan)
    boxes = Boxes3D(center, size, rng.uniform(-3, 3, 8), np.zeros(8), np.ones(8), nan, CLASSES, Axes.BODY)
    points = cloud(20000)
    camera = Camera(np.array([[200.0, 0, 160], [0, 200, 90], [0, 0, 1]]), 320, 180)
    view = View("CAM", np.zeros((180, 320, 3), np.uint8), camera, CAMERA_FROM_BODY)
    pose = np.eye(4)
    pose[:2, 3] = 100, 200
    prompts = Prompts(center + 0.1, np.zeros(8, np.int64), CLASSES)
    hits = returns_in_boxes(points, boxes)
    return RigSample("a", points, 1.7, (view,), boxes, hits, prompts, world_from_lidar=pose)


STRONG = CloudAugmentation.strong()


@pytest.mark.parametrize("seed", range(12))
def test_pixels_and_the_world_do_not_move(sample, seed):
    seen = STRONG.draw(np.random.default_rng(seed)).apply(sample)

    def pixels(s, points):
        projected = np.concatenate([points, np.ones((len(points), 1))], -1) @ s.views[0].image_from_lidar.T
        return projected[:, :2] / projected[:, 2:], projected[:, 2]

    for before, after in ((sample.prompts.points, seen.prompts.points), (sample.boxes.center, seen.boxes.center)):
        for here, there in zip(pixels(sample, before), pixels(seen, after)):
            assert np.allclose(here, there, atol=1e-8)
        place = seen.world_from_lidar @ np.concatenate([after, np.ones((8, 1))], -1).T
        assert np.allclose(place[:3].T - (100, 200, 0), before)


@pytest.mark.parametrize("seed", range(12))
def test_points_stay_in_their_boxes(sample, seed):
    """Just so: a wrong yaw, size or centre would lose or gain some."""
    seen = STRONG.draw(np.random.default_rng(seed)).apply(sample)
    before, after = (points_in_boxes(s.points, s.boxes) for s in (sample, seen))
    assert before.sum() > 50 and (before != after).mean() < 1e-4
    assert np.array_equal(seen.points[:, 3:], sample.points[:, 3:])


def test_heading_follows_the_length_of_the_box(sample):
    for seed in range(12):
        transform = STRONG.draw(np.random.default_rng(seed))
        moved = transform.boxes(sample.boxes)
        front = sample.boxes.center + sample.boxes.rotation()[:, :, 0] * sample.boxes.size[:, :1] / 2
        there = front @ transform.matrix[:3, :3].T + transform.matrix[:3, 3]
        assert np.allclose(there, moved.center + moved.rotation()[:, :, 0] * moved.size[:, :1] / 2)


def test_the_matrix_flips_then_turns_then_scales_then_shifts():
    matrix = affine(np.array([-1.0, 1.0]), np.pi / 2, 2.0, np.array([10.0, 20.0, 30.0]))
    assert np.allclose(matrix @ [1, 3, 5, 1], [10 - 6, 20 - 2, 30 + 10, 1])  # (-1, 3) turns to (-3, -1)


def test_ground_stays_at_zero_but_for_the_lift(sample):
    for seed in range(5):
        transform = STRONG.draw(np.random.default_rng(seed))
        ground = transform.matrix @ [3.0, 4.0, -sample.height, 1.0]
        assert ground[2] + transform.apply(sample).height == pytest.approx(transform.matrix[2, 3])
        there = transform.apply(sample).grounded().prompts.points[:, :2]
        before = sample.grounded().prompts.points
        assert np.allclose(there, before[:, :2] @ transform.matrix[:2, :2].T + transform.matrix[:2, 3])


def test_draws_have_the_published_distribution():
    rng = np.random.default_rng(0)
    matrices = np.array([STRONG.draw(rng).matrix for _ in range(2000)])
    scale = np.linalg.norm(matrices[:, :3, 2], axis=-1)
    assert scale.min() == pytest.approx(0.85, abs=0.01) and scale.max() == pytest.approx(1.15, abs=0.01)
    assert np.allclose(matrices[:, :3, 3].std(0), 0.5, atol=0.03)
    determinant = np.sign(np.linalg.det(matrices[:, :2, :2]))
    assert abs((determinant < 0).mean() - 0.5) < 0.04
    turned = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])
    from_axis = np.minimum(np.abs(turned), np.pi - np.abs(turned))
    assert from_axis.max() == pytest.approx(0.3925, abs=0.01)
    assert abs((np.abs(turned) > np.pi / 2).mean() - 0.5) < 0.04


def test_weak_changes_nothing(sample):
    transform = CloudAugmentation.weak().draw(np.random.default_rng(0))
    seen = transform.apply(sample)
    assert np.array_equal(transform.matrix, np.eye(4)) and np.array_equal(seen.points, sample.points)
    assert np.array_equal(seen.boxes.center, sample.boxes.center) and np.allclose(seen.boxes.yaw, sample.boxes.yaw)
    assert seen.height == sample.height and np.array_equal(seen.hits, sample.hits)


def test_dropout_leaves_out_points_and_counts_what_is_left(sample):
    seen = Transform(dropout=0.4, seed=3).apply(sample)
    assert len(seen.points) == pytest.approx(0.6 * len(sample.points), rel=0.05)
    assert np.array_equal(seen.points, Transform(dropout=0.4, seed=3).points(sample.points))
    newest = seen.points[seen.points[:, 4] == 0]
    assert np.array_equal(seen.hits, points_in_boxes(newest, seen.boxes).sum(1)) and (seen.hits < sample.hits).any()


def test_thinning_keeps_whole_rings():
    elevation = np.radians(np.arange(-20, 5) + 0.5)
    azimuth = np.linspace(0, 6, 50)
    direction = np.stack([np.cos(azimuth), np.sin(azimuth)], -1)
    xyz = np.array([[*(d * np.cos(e)), np.sin(e)] for e in elevation for d in direction]) * 20
    points = np.concatenate([xyz, np.zeros((len(xyz), 2))], -1).astype(np.float32)
    for phase in range(3):
        kept = Transform(ring_width=np.radians(1.0), ring_stride=3, ring_phase=phase).points(points)
        found = np.floor(np.degrees(np.arctan2(kept[:, 2], np.linalg.norm(kept[:, :2], axis=-1))))
        assert len(kept) in (8 * 50, 9 * 50)
        assert set(found) == {ring for ring in range(-20, 5) if ring % 3 == phase}


def test_thinning_happens_as_often_as_it_should():
    rng = np.random.default_rng(0)
    strides = [CloudAugmentation(thinning=0.5).draw(rng).ring_stride for _ in range(1000)]
    assert set(strides) == {1, 2, 3, 4} and abs(np.mean(np.array(strides) == 1) - 0.5) < 0.05


def test_intensity_is_scaled_within_its_range_or_off():
    points = cloud(1000)
    rng = np.random.default_rng(0)
    for _ in range(20):
        seen = CloudAugmentation(intensity=0.8).draw(rng).points(points)
        assert seen[:, 3].min() >= 0 and seen[:, 3].max() <= 1 and not np.allclose(seen[:, 3], points[:, 3])
    assert not CloudAugmentation(intensity_off=1.0).draw(rng).points(points)[:, 3].any()


def test_a_seed_draws_the_same():
    draws = [STRONG.draw(np.random.default_rng(seed)).matrix for seed in (1, 1, 2)]
    assert np.array_equal(draws[0], draws[1]) and not np.allclose(draws[0], draws[2])


def test_clouds_without_points_or_boxes_are_fine(sample):
    bare = RigSample("bare", np.zeros((0, 5), np.float32), 1.7)
    seen = replace(STRONG, dropout=0.5, thinning=1.0).draw(np.random.default_rng(0)).apply(bare)
    assert seen.points.shape == (0, 5) and seen.boxes is None and seen.prompts is None


def test_a_large_cloud_takes_less_than_ten_milliseconds():
    points = cloud(120_000)
    transform = replace(STRONG, dropout=0.2, thinning=1.0, intensity=0.3).draw(np.random.default_rng(0))
    transform.points(points)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        transform.points(points)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.010


@pytest.mark.parametrize(
    ("name", "value"), [("flip_x", 1.2), ("scale_min", 0.0), ("scale_min", 1.5), ("lift", -1.0), ("dropout", np.nan)]
)
def test_a_strength_out_of_range_is_refused(name, value):
    with pytest.raises(InputError, match="expected"):
        CloudAugmentation(**{name: value})
