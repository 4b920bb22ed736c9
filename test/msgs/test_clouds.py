"""PointCloud2 -> arrays, of whatever layout drivers choose."""

from types import SimpleNamespace

import numpy as np
import pytest

from msgs.clouds import read_points
from voxbox_core.errors import InputError

DATATYPES = {"f4": 7, "f8": 8, "u2": 4, "u1": 2}


def cloud(rows, layout, step, big=False, padding=0, height=1):
    """rows: column name -> values.  layout: (name, type, offset)."""
    count = len(next(iter(rows.values())))
    order = ">" if big else "<"
    dtype = np.dtype(
        {
            "names": [n for n, _, _ in layout],
            "formats": [order + t for _, t, _ in layout],
            "offsets": [o for _, _, o in layout],
            "itemsize": step,
        }
    )
    points = np.zeros(count, dtype)
    for name, values in rows.items():
        points[name] = values
    width = count // height
    lines = points.view(np.uint8).reshape(height, width * step)
    return SimpleNamespace(
        height=height,
        width=width,
        fields=[SimpleNamespace(name=n, offset=o, datatype=DATATYPES[t], count=1) for n, t, o in layout],
        is_bigendian=big,
        point_step=step,
        row_step=width * step + padding,
        data=np.hstack([lines, np.full((height, padding), 7, np.uint8)]).tobytes(),
    )


XYZ = {"x": [1.0, 2, 3, 4], "y": [0.0, -1, -2, -3], "z": [5.0, 6, 7, 8]}


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_order_types_gaps_and_padding_do_not_matter(big, kind):
    layout = [("y", kind, 24), ("intensity", "u2", 2), ("x", kind, 4), ("z", kind, 12), ("ring", "u1", 1)]
    rows = {**XYZ, "intensity": [10, 20, 30, 40], "ring": [1, 2, 3, 4]}
    found = read_points(cloud(rows, layout, 40, big, padding=5, height=2))
    np.testing.assert_array_equal(found, np.array([*XYZ.values(), [10, 20, 30, 40]], np.float32).T)


@pytest.mark.parametrize("address", range(4))
@pytest.mark.parametrize("intensity", [True, False])
def test_floats_are_read_from_the_message_at_any_address(address, intensity):
    names = ("x", "y", "z", "intensity") if intensity else ("x", "y", "z")
    rows = {**XYZ, "intensity": [10, np.nan, 30, 40], "ring": [1, 2, 3, 4]}
    layout = [(name, "f4", 4 * i) for i, name in enumerate(names)] + [("ring", "u2", 16)]
    message = cloud({name: rows[name] for name, _, _ in layout}, layout, 20, padding=8, height=2)
    memory = np.zeros(len(message.data) + address, np.uint8)
    memory[address:] = np.frombuffer(message.data, np.uint8)
    message.data = memory[address:]
    expected = [10, 0, 30, 40] if intensity else [0, 0, 0, 0]
    np.testing.assert_array_equal(read_points(message), np.array([*XYZ.values(), expected], np.float32).T)


def test_without_intensity_it_is_zero_and_nan_points_go():
    rows = {**XYZ, "y": [0.0, np.nan, -2, np.inf]}
    found = read_points(cloud(rows, [("x", "f4", 0), ("y", "f4", 4), ("z", "f4", 8)], 12))
    np.testing.assert_array_equal(found, [[1, 0, 5, 0], [3, -2, 7, 0]])


def test_missing_coordinates_and_short_data_are_refused_by_name():
    whole = cloud(XYZ, [("x", "f4", 0), ("y", "f4", 4), ("z", "f4", 8)], 12)
    with pytest.raises(InputError, match="fields of a point cloud"):
        read_points(SimpleNamespace(**{**vars(whole), "fields": whole.fields[:2]}))
    with pytest.raises(InputError, match="length of a point cloud's data is 47 bytes"):
        read_points(SimpleNamespace(**{**vars(whole), "data": whole.data[:-1]}))
    odd = [SimpleNamespace(name="x", offset=0, datatype=12, count=1), *whole.fields[1:]]
    with pytest.raises(InputError, match="type of field x is unknown"):
        read_points(SimpleNamespace(**{**vars(whole), "fields": odd}))
