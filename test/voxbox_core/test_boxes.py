"""Boxes3D against what geometry says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxbox_core.boxes import Axes, Boxes3D, apart, iou_3d, iou_bev
from voxbox_core.errors import InputError

YAW = st.floats(-np.pi, np.pi)


def boxes(center, size, yaw, axes=Axes.OPTICAL):
    count = len(center)
    return Boxes3D(center, size, yaw, [0] * count, [1] * count, np.full((count, 4), np.nan), ("Car",), axes)


def test_unit_squares_turned_45_degrees_overlap_by_the_octagon():
    a, b = boxes([[0, 0, 0]], [[1, 1, 1]], [0]), boxes([[0, 0, 0]], [[1, 1, 1]], [np.pi / 4])
    octagon = 2 * (np.sqrt(2) - 1)
    assert iou_bev(a, b)[0, 0] == pytest.approx(octagon / (2 - octagon))


@pytest.mark.parametrize("axes", list(Axes))
def test_shifted_boxes_have_the_analytic_iou(axes):
    up = [0, -1, 0] if axes is Axes.OPTICAL else [0, 0, 1]
    a = boxes([[0, 0, 0]], [[4, 2, 1]], [0.0], axes)
    along = boxes([[1, 0, 0]], [[4, 2, 1]], [0.0], axes)
    above = boxes([0.25 * np.array(up)], [[4, 2, 1]], [0.0], axes)
    assert iou_3d(a, along)[0, 0] == pytest.approx(3 / 5)
    assert iou_3d(a, above)[0, 0] == pytest.approx(0.75 / 1.25)
    assert iou_bev(a, above)[0, 0] == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(yaw=YAW, x=st.floats(-2, 2), z=st.floats(-2, 2))
def test_iou_is_symmetric_bounded_and_one_with_itself(yaw, x, z):
    a, b = boxes([[0, 0, 0]], [[4, 1.6, 1.5]], [yaw]), boxes([[x, 0.1, z]], [[3.5, 1.8, 1.7]], [2 * yaw])
    assert iou_3d(a, b)[0, 0] == pytest.approx(iou_3d(b, a)[0, 0])
    assert 0 <= iou_3d(a, b)[0, 0] <= 1
    assert iou_3d(a, a)[0, 0] == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(yaw=YAW)
@pytest.mark.parametrize("axes", list(Axes))
def test_corners_stand_on_the_bottom_and_lead_along_the_heading(axes, yaw):
    box = boxes([[1, 2, 3]], [[4, 2, 1.5]], [yaw], axes)
    corners = box.corners()[0]
    np.testing.assert_allclose(corners[:4].mean(0), box.bottom_center()[0], atol=1e-9)
    heading = [np.cos(yaw), 0, -np.sin(yaw)] if axes is Axes.OPTICAL else [np.cos(yaw), np.sin(yaw), 0]
    np.testing.assert_allclose(corners[:2].mean(0) - corners[2:4].mean(0), 4 * np.array(heading), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(box.rotation()), 1)


def test_the_first_corner_is_kitti_s():
    """At rotation_y = 0 the first keypoint lies at (+l/2, bottom, +w/2)."""
    corner = boxes([[0, 0, 0]], [[4, 2, 1]], [0]).corners()[0, 0]
    np.testing.assert_allclose(corner, [2, 0.5, 1])


@settings(max_examples=30, deadline=None)
@given(yaw=YAW)
def test_a_change_of_frame_and_back_changes_nothing(yaw):
    optical_to_body = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    box = boxes([[1, 2, 13]], [[4, 2, 1.5]], [yaw])
    body = box.transformed(optical_to_body, np.array([1.0, 0, 1.6]), Axes.BODY)
    np.testing.assert_allclose(body.corners(), box.corners() @ optical_to_body.T + [1.0, 0, 1.6], atol=1e-9)
    back = body.transformed(optical_to_body.T, -optical_to_body.T @ [1.0, 0, 1.6], Axes.OPTICAL)
    np.testing.assert_allclose(back.corners(), box.corners(), atol=1e-9)


def test_arrays_that_do_not_agree_are_refused():
    with pytest.raises(InputError, match=r"shape of Boxes3D.size is \(1, 3\); expected \(2, 3\)"):
        boxes([[0, 0, 0], [1, 1, 1]], [[1, 1, 1]], [0, 0])
    with pytest.raises(InputError, match="one kind"):
        Boxes3D.concatenate([Boxes3D.empty(("Car",)), Boxes3D.empty(("Van",))])


def test_select_and_concatenate_are_inverse():
    both = boxes([[0, 0, 0], [5, 0, 0]], [[1, 1, 1], [2, 2, 2]], [0, 1])
    joined = Boxes3D.concatenate([both[:1], both[np.array([False, True])]])
    np.testing.assert_array_equal(joined.center, both.center)
    assert len(Boxes3D.empty(("Car",))) == 0 and joined.names() == ["Car", "Car"]


def test_of_boxes_in_one_place_the_best_stays() -> None:
    """Best first, along x: the second stands half in the first, the third half in the second, and so on."""
    center = np.array([[0.0, 0, 20], [2, 0, 20], [4, 0, 20], [4, 0, 20], [40, 0, 20]])
    label = np.array([0, 0, 0, 1, 0])
    size, blank = np.tile([4.0, 2.0, 1.5], (5, 1)), np.zeros((5, 4))
    boxes = Boxes3D(center, size, np.zeros(5), label, np.linspace(0.9, 0.5, 5), blank, ("Car", "Van"))
    assert apart(boxes, 0.2).tolist() == [0, 2, 3, 4]
    assert apart(boxes, 0.5).tolist() == [0, 1, 2, 3, 4]
    assert apart(Boxes3D.empty(("Car",)), 0.2).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_of_a_crowd_none_that_stays_overlaps_a_better_one_that_stays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, blank = 60, np.zeros((60, 4))
    center = np.stack([rng.uniform(-8, 8, n), np.zeros(n), rng.uniform(10, 26, n)], 1)
    size, yaw = rng.uniform(1, 5, (n, 3)), rng.uniform(-np.pi, np.pi, n)
    crowd = Boxes3D(center, size, yaw, rng.integers(0, 2, n), np.linspace(1, 0, n), blank, ("Car", "Van"))
    overlap, kept = iou_bev(crowd, crowd), []
    for i in range(n):
        if not any(overlap[i, k] > 0.2 and crowd.label[i] == crowd.label[k] for k in kept):
            kept.append(i)
    assert 5 < len(kept) < n - 5
    assert apart(crowd, 0.2).tolist() == kept
