"""Drawn boxes land where projection says, whatever is behind the lens."""

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.draw import BirdsEye, colour_of, draw_boxes
from voxbox_core.errors import InputError

CAMERA = Camera(np.array([[700.0, 0, 620], [0, 700, 187], [0, 0, 1]]), 1242, 375)
BLACK = np.zeros((375, 1242, 3), np.uint8)


def _box(x: float, y: float, z: float, yaw: float = 0.0, size: tuple[float, float, float] = (4.0, 1.6, 1.5)) -> Boxes3D:
    return Boxes3D(
        np.array([[x, y, z]]), np.array([size]), np.array([yaw]), [0], [1.0], np.full((1, 4), np.nan), ("Car",)
    )


def _ink_bounds(image: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(image.any(-1))
    return np.array([columns.min(), rows.min(), columns.max(), rows.max()])


@pytest.mark.parametrize("yaw", [0.0, 0.7, -1.5, 3.0])
def test_a_box_is_drawn_where_its_corners_project(yaw: float) -> None:
    box = _box(-3.0, 0.8, 15.0, yaw)
    uv, _ = CAMERA.project(box.corners()[0])
    expected = np.concatenate([uv.min(0), uv.max(0)])
    assert np.abs(_ink_bounds(draw_boxes(BLACK, box, CAMERA)) - expected).max() < 3  # the line is two pixels wide


def test_a_box_half_behind_the_lens_keeps_to_its_side() -> None:
    """A long truck beside the camera reaches behind it: without clipping its lines cross the whole image."""
    drawn = draw_boxes(BLACK, _box(3.0, 0.5, 4.0, -np.pi / 2, (12.0, 2.5, 3.0)), CAMERA)
    assert drawn[:, 700:].any() and not drawn[:, : int(CAMERA.intrinsics[0, 2])].any()


@pytest.mark.parametrize("place", [(0.0, 0.0, -10.0), (80.0, 0.0, 10.0)])
def test_a_box_out_of_sight_leaves_no_mark(place: tuple[float, float, float]) -> None:
    assert not draw_boxes(BLACK, _box(*place), CAMERA, ["Car"]).any()


def test_the_image_given_is_not_changed() -> None:
    image = BLACK.copy()
    assert draw_boxes(image, _box(0, 1, 10), CAMERA, ["Car 1.00"]).any()
    assert not image.any()


def test_the_front_is_tinted() -> None:
    """A box that comes shows its tinted front; one that goes shows less of it, farther away."""
    coming, going = (draw_boxes(BLACK, _box(0.0, 0.0, 10.0, yaw), CAMERA) for yaw in (np.pi / 2, -np.pi / 2))
    both, near = (187 + 20, 620 + 30), (187 + 40, 620 + 60)  # inside both end faces; inside the near one alone
    assert coming[near].any() and not going[near].any()
    assert coming[both].sum() > going[both].sum()


def test_captions_stay_in_the_image() -> None:
    drawn = draw_boxes(BLACK, _box(-9.5, -2.5, 11.0), CAMERA, ["Car 0.97 11 m"])
    assert (drawn == colour_of("Car")).all(-1).sum() > 300


def test_wrong_image_or_frame_is_refused() -> None:
    with pytest.raises(InputError, match="camera of this image"):
        draw_boxes(BLACK[:100], _box(0, 0, 9), CAMERA)
    body = Boxes3D.empty(("Car",), Axes.BODY)
    with pytest.raises(InputError, match="OPTICAL"):
        draw_boxes(BLACK, body, CAMERA)


@pytest.mark.parametrize("yaw", [0.0, 0.9, -2.0])
def test_from_above_both_frames_draw_the_same(yaw: float) -> None:
    view = BirdsEye()
    optical = _box(4.0, 1.0, 20.0, yaw)
    to_body = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], float)
    body = optical.transformed(to_body, np.zeros(3), Axes.BODY)
    picture = view.draw(optical)
    assert np.array_equal(picture, view.draw(body))
    x, y = view.pixels(np.array([20.0, -4.0])).astype(int)
    assert picture.shape == (view.size[1], view.size[0], 3)
    assert (picture[y, x] != view.draw(Boxes3D.empty(("Car",)))[y, x]).any()


def test_points_outside_of_the_view_are_left_out() -> None:
    view = BirdsEye(forward=20, aside=10, scale=5)
    nothing = Boxes3D.empty(("Car",))
    points = np.array([[10.0, 0.3, 0.0, 1.0], [500.0, 0.0, 0.0, 1.0], [-50.0, -90.0, 0.0, 1.0]])
    changed = (view.draw(nothing, points=points) != view.draw(nothing)).any(-1)
    assert changed.sum() == 1
