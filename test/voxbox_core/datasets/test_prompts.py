"""Simulated clicks lie where the settings say, and stay there."""

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.prompts import PromptSettings, nearest_surface, simulate
from voxbox_core.datasets.rig import RigSample
from voxbox_core.errors import InputError

CLASSES = ("Car", "Pedestrian")
HEIGHTS = (1.5, 1.8)
HEIGHT = 1.7  # of the LiDAR, m


def boxes_of(count):
    rng = np.random.default_rng(0)
    center = np.stack([rng.uniform(5, 40, count), rng.uniform(-30, 30, count), np.full(count, -0.9)], -1)
    label, yaw = np.arange(count) % 2, rng.uniform(-np.pi, np.pi, count)
    size = np.array([[4.0, 1.7, 1.5], [0.7, 0.5, 1.7]])[label]
    return Boxes3D(center, size, yaw, label, np.ones(count), np.full((count, 4), np.nan), CLASSES, Axes.BODY)


def sample_of(boxes, points=None, name="frame"):
    points = np.zeros((0, 5), np.float32) if points is None else points
    return RigSample(name, points, HEIGHT, boxes=boxes, hits=np.zeros(len(boxes), np.int64))


def local(points, boxes):
    """Points in the axes of their boxes, as parts of the half extents."""
    return np.einsum("nji,nj->ni", boxes.rotation(), points - boxes.center) / (boxes.size / 2)


def test_points_follow_the_truncated_normal_along_the_axes_of_the_box():
    boxes = boxes_of(3000)
    found = simulate(sample_of(boxes), PromptSettings.paper(), HEIGHTS, 1)
    part = local(found.points, boxes) * 3  # of the central third
    assert np.abs(part).max() <= 1 + 1e-9 and (np.abs(part).max(0) > 0.98).all()
    grid = np.linspace(-1, 1, 20001)
    density = np.exp(-(grid**2) / (2 * 0.6**2))
    deviation = np.sqrt((density * grid**2).sum() / density.sum())
    assert np.allclose(part.std(0), deviation, atol=0.02) and np.allclose(part.mean(0), 0, atol=0.03)
    assert np.array_equal(found.label, boxes.label) and found.classes == CLASSES


def test_a_seed_gives_every_object_its_point_for_ever():
    boxes = boxes_of(6)
    first = simulate(sample_of(boxes), PromptSettings.paper(), HEIGHTS, 3).points
    assert np.array_equal(first, simulate(sample_of(boxes), PromptSettings.paper(), HEIGHTS, 3).points)
    assert np.array_equal(first[:4], simulate(sample_of(boxes[:4]), PromptSettings.paper(), HEIGHTS, 3).points)
    assert not np.isclose(first, simulate(sample_of(boxes), PromptSettings.paper(), HEIGHTS, 4).points).any()
    other = simulate(sample_of(boxes, name="other"), PromptSettings.paper(), HEIGHTS, 3).points
    assert not np.isclose(first, other).any()
    rng = np.random.default_rng(3)
    again = [simulate(sample_of(boxes), PromptSettings.paper(), HEIGHTS, rng).points for _ in range(2)]
    assert not np.isclose(*again).any()


def test_the_published_points_are_these():
    """A change of these numbers changes every published split's weak labels."""
    part = local(simulate(sample_of(boxes_of(2)), PromptSettings.paper(1.0), HEIGHTS, 0).points, boxes_of(2))
    assert np.allclose(part, [[0.3266, 0.4514, 0.0627], [0.6550, 0.5417, -0.6322]], atol=1e-4)


def test_noise_scales_the_same_points():
    boxes = boxes_of(5)
    parts = [local(simulate(sample_of(boxes), PromptSettings.paper(s), HEIGHTS, 0).points, boxes) for s in (0, 0.5, 1)]
    assert np.allclose(parts[0], 0) and np.allclose(2 * parts[1], parts[2]) and np.abs(parts[2]).max() > 0.5


def test_a_surface_click_is_a_return_of_the_object_in_the_newest_sweep():
    boxes = boxes_of(2)
    offsets = np.array([[0.2, 0.1, 0.3], [-0.1, 0.2, 0.1], [0.0, -0.2, 0.6], [50.0, 0.0, 0.0]])
    points = np.zeros((4, 5), np.float32)
    points[:, :3] = boxes.center[0] + offsets
    points[2, 4] = 0.1  # of an older sweep
    settings = PromptSettings(surface=1.0, ground=0.0)
    clicks = [simulate(sample_of(boxes, points), settings, HEIGHTS, seed).points for seed in range(30)]
    chosen = {int(np.abs(points[:, :3] - click[0]).sum(-1).argmin()) for click in clicks}
    assert chosen == {0, 1}
    assert all(np.abs(points[:2, :3] - click[0]).sum(-1).min() < 1e-6 for click in clicks)
    without = np.array([click[1] for click in clicks]) - nearest_surface(boxes)[1]
    assert np.abs(without).max() < 0.5 and 0.07 < without.std() < 0.13


def test_the_nearest_surface_point_is_on_the_box_and_nearer_than_any_other():
    boxes = boxes_of(20)
    found = nearest_surface(boxes)
    assert np.allclose(np.abs(local(found, boxes)).max(-1), 1)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3), -1).reshape(-1, 3) * boxes.size[:, None] / 2
    everywhere = boxes.center[:, None] + np.einsum("nij,nkj->nki", boxes.rotation(), grid)
    assert (np.linalg.norm(found, axis=-1) <= np.linalg.norm(everywhere, axis=-1).min(1) + 1e-9).all()


def test_a_birds_eye_click_stands_on_the_ground():
    boxes = boxes_of(400)
    with_z = simulate(sample_of(boxes), PromptSettings(ground=0.0, surface=0.0), HEIGHTS, 0).points
    found = simulate(sample_of(boxes), PromptSettings(ground=0.25, surface=0.0), HEIGHTS, 0).points
    lost = found[:, 2] != with_z[:, 2]
    assert np.array_equal(found[:, :2], with_z[:, :2]) and 0.15 < lost.mean() < 0.35
    assert np.allclose(found[lost, 2], np.array(HEIGHTS)[boxes.label[lost]] / 2 - HEIGHT)


def test_a_frame_without_objects_has_no_points():
    assert len(simulate(sample_of(boxes_of(0)), PromptSettings(), HEIGHTS, 0)) == 0


def test_what_cannot_be_clicked_is_refused():
    unlabelled = RigSample("frame", np.zeros((0, 5), np.float32), HEIGHT)
    with pytest.raises(InputError, match="boxes of frame is absent"):
        simulate(unlabelled, PromptSettings(), HEIGHTS, 0)
    with pytest.raises(InputError, match="mean heights is 1 numbers"):
        simulate(sample_of(boxes_of(1)), PromptSettings(), (1.5,), 0)
    for settings in ({"surface": 1.1}, {"spread": -0.1}, {"ground": np.nan}):
        with pytest.raises(InputError, match="prompt setting"):
            PromptSettings(**settings)
