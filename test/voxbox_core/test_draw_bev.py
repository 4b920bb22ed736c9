"""The view all around: the sensor in the middle, forward up, left left."""

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.draw import colour_of
from voxbox_core.draw_bev import draw_bev
from voxbox_core.errors import InputError

NONE = Boxes3D.empty(("Car",), Axes.BODY)


def _car(x: float, y: float) -> Boxes3D:
    nowhere = np.full((1, 4), np.nan)
    return Boxes3D(
        np.array([[x, y, 0.8]]), np.array([[4.0, 2.0, 1.6]]), [0.3], [0], [1.0], nowhere, ("Car",), Axes.BODY
    )


@pytest.mark.parametrize(("x", "y"), [(20.0, 0.0), (-20.0, 0.0), (0.0, 15.0), (-12.0, -18.0)])
def test_a_box_stands_where_it_is_ahead_behind_and_aside(x: float, y: float) -> None:
    empty, drawn = draw_bev(np.zeros((0, 5)), NONE, reach=25), draw_bev(np.zeros((0, 5)), _car(x, y), reach=25)
    rows, columns = np.nonzero((drawn == colour_of("Car")).all(-1) & (drawn != empty).any(-1))
    middle = 400 - 16 * np.array([x, y])  # rows fall with x, columns with y
    assert abs(rows.mean() - middle[0]) < 16 and abs(columns.mean() - middle[1]) < 16  # within 1 m


def test_points_and_truth_show() -> None:
    points = np.array([[10.2, 5.2, 0.0, 0.5, 0.0], [400.0, 0.0, 0.0, 0.5, 0.0]])
    empty, drawn = draw_bev(np.zeros((0, 5)), NONE), draw_bev(points, NONE, _car(-30.0, 3.0), size_px=800)
    assert drawn.shape == (800, 800, 3) and drawn.dtype == np.uint8
    scale = 800 / 102.4
    row, column = int((51.2 - 10.2) * scale), int((51.2 - 5.2) * scale)
    assert (drawn[row, column] != empty[row, column]).any()
    assert drawn[600:].max() > 200 > empty[600:].max()  # truth is nearly white


@pytest.mark.parametrize(("reach", "size_px"), [(0.0, 800), (-1.0, 800), (50.0, 0)])
def test_a_view_of_nothing_is_refused(reach: float, size_px: int) -> None:
    with pytest.raises(InputError, match="positive"):
        draw_bev(np.zeros((0, 5)), NONE, reach=reach, size_px=size_px)
