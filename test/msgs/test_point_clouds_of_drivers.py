"""Whole sweeps: what drivers write where there is nothing to see, and intensities of any scale."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from msgs.clouds import Cloud, Intensity, read_cloud
from voxbox_core.errors import InputError

FIELDS = tuple(SimpleNamespace(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(("x", "y", "z")))


def message(rows, fields=FIELDS, step=None, **changes):
    """rows: structured or (P, 3) float32."""
    rows = np.ascontiguousarray(rows)
    data = rows.tobytes()
    width = len(rows)
    step = len(data) // max(width, 1) if step is None else step
    parts = {
        "height": 1,
        "width": width,
        "fields": fields,
        "is_bigendian": False,
        "point_step": step,
        "row_step": step * width,
        "data": np.frombuffer(data, np.uint8),
    }
    return SimpleNamespace(**(parts | changes))


def test_invalid_points_and_the_lidars_own_place_are_left_out_and_counted():
    rows = np.array([[1, 2, 3], [np.nan, 0, 0], [0, 0, 0], [0.02, 0, -0.03], [5, -np.inf, 0], [0, 0, 0.5]], np.float32)
    cloud = read_cloud(message(rows))
    np.testing.assert_array_equal(cloud.points, [[1, 2, 3, 0, 0], [0, 0, 0.5, 0, 0]])
    assert (cloud.invalid, cloud.at_origin) == (2, 2)


@pytest.mark.parametrize("count", [0, 7])
def test_a_cloud_without_a_valid_point_is_empty(count):
    cloud = read_cloud(message(np.full((count, 3), np.nan, np.float32), step=12))
    assert cloud.points.shape == (0, 5)
    assert cloud.points.dtype == np.float32
    assert cloud.invalid == count


def test_an_organised_cloud_of_no_width_is_empty():
    empty = message(np.zeros((0, 3), np.float32), step=12, height=64, width=0, row_step=0)
    assert len(read_cloud(empty).points) == 0


def test_intensity_that_is_no_number_is_none():
    fields = (*FIELDS, SimpleNamespace(name="intensity", offset=12, datatype=7, count=1))
    cloud = read_cloud(message(np.array([[1, 2, 3, np.nan], [1, 2, 4, 9]], np.float32), fields))
    assert cloud.points[:, 3].tolist() == [0, 9]


def test_coordinates_beyond_float32_are_invalid():
    fields = [SimpleNamespace(name=f.name, offset=2 * f.offset, datatype=8, count=1) for f in FIELDS]
    cloud = read_cloud(message(np.array([[1e300, 0, 0], [1, 2, 3]]), fields))
    assert (len(cloud.points), cloud.invalid) == (1, 1)


def test_a_field_outside_of_the_point_is_refused_by_name():
    with pytest.raises(InputError, match="place of field z is byte 8; expected within the 8 bytes"):
        read_cloud(message(np.zeros((3, 2), np.float32)))
    with pytest.raises(InputError, match="place of field x is byte 0; expected within the 0 bytes"):
        read_cloud(message(np.zeros((3, 3), np.float32), point_step=0))


def test_the_message_is_not_written_to():
    rows = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    sent = message(rows)
    read_cloud(sent).points[:] = 0
    np.testing.assert_array_equal(np.frombuffer(sent.data, np.float32).reshape(2, 3), rows)


def points(*intensities):
    rows = np.ones((len(intensities), 5), np.float32)
    rows[:, 3] = intensities
    return rows


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((0.25, 1.0), (0.25, 1)),
        ((51, 255), (0.2, 1)),
        ((1000, 4095), (1000 / 4095, 1)),
        ((65535, 0), (1, 0)),
        ((-3, 0.5), (0, 0.5)),
        ((1e6, 5e5), (1, 0.5)),
    ],
)
def test_the_scale_of_intensities_is_found(seen, expected):
    rows = points(*seen)
    Intensity().scale(rows)
    np.testing.assert_allclose(rows[:, 3], expected, rtol=1e-6)


def test_the_scale_stays_when_a_cloud_is_darker_or_is_given():
    found, given = Intensity(), Intensity(100.0)
    for rows in (points(200), points(0.5)):
        found.scale(rows)
    assert rows[0, 3] == pytest.approx(0.5 / 255)
    rows = points(50, 200)
    given.scale(rows)
    assert rows[:, 3].tolist() == [0.5, 1]
    given.scale(points())
    rows = points(0, 200)
    Intensity(1e-50).scale(rows)  # which is 0 in float32
    assert rows[:, 3].tolist() == [0, 1]


def test_a_cloud_is_a_value():
    cloud = read_cloud(message(np.ones((2, 3), np.float32)))
    assert isinstance(replace(cloud, invalid=3), Cloud)
