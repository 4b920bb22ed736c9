"""Voxels as messages are where the voxels are, as large, of their classes, and no more than was asked for."""

from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Point
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray, MeshFile
from voxel_scene import street

from msgs.clouds import read_points
from msgs.voxels import POINT, VoxelMarkers, alike, thinned, voxel_cloud
from voxbox_core.fruxel import PAPER, STREET, Fruxel
from voxbox_core.voxels import CLASSES, COLOURS, Voxels

GRID = Fruxel(2.0, 20.0, 16, 24, 32, 60.0, "log")
HEADER = Header(frame_id="camera")
POSE = Rotation.from_euler("zyx", [0.7, -0.2, 1.1]).as_matrix(), np.array([3.0, -2.0, 1.5])


@pytest.fixture
def voxels() -> Voxels:
    return street(GRID, [("car", (-1, 0, 6), (1, 1.5, 9)), ("person", (2, 0, 5), (3, 1.8, 6))])


def points_of(message) -> np.ndarray:
    """The structured array that the fields describe."""
    types = {7: "<f4", 2: "u1"}
    formats, offsets = [types[f.datatype] for f in message.fields], [f.offset for f in message.fields]
    names = [f.name for f in message.fields]
    layout = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": message.point_step})
    return np.frombuffer(message.data, layout)


def xyz(points) -> np.ndarray:
    return np.stack([points[name] for name in "xyz"], -1)


@pytest.mark.parametrize("kind", ["surface", "occupied"])
def test_the_cloud_has_every_cell_at_its_centre(voxels, kind) -> None:
    cells = getattr(voxels, kind)
    message = voxel_cloud(voxels, cells, HEADER)
    points = points_of(message)
    assert points.dtype.names == ("x", "y", "z", "label", "probability")
    assert (message.header, message.height, message.width) == (HEADER, 1, cells.sum())
    assert message.row_step == len(message.data) == message.width * POINT.itemsize
    found, inside = GRID.locate(xyz(points))
    assert inside.all()
    np.testing.assert_array_equal(found, np.argwhere(cells))
    np.testing.assert_array_equal(points["label"], voxels.labels[cells])
    np.testing.assert_allclose(points["probability"], 0.8, atol=1e-6)


def test_the_cloud_is_read_as_any_other(voxels) -> None:
    message = voxel_cloud(voxels, voxels.surface, HEADER)
    np.testing.assert_array_equal(read_points(message)[:, :3], xyz(points_of(message)))


def test_the_cloud_moves_to_another_frame(voxels) -> None:
    here = xyz(points_of(voxel_cloud(voxels, voxels.surface, HEADER)))
    there = xyz(points_of(voxel_cloud(voxels, voxels.surface, HEADER, POSE)))
    np.testing.assert_allclose(there, here @ POSE[0].T + POSE[1], atol=1e-4)


def test_a_probability_that_nobody_said_is_not_a_number(voxels) -> None:
    message = voxel_cloud(Voxels(voxels.labels, GRID), voxels.surface, HEADER)
    assert np.isnan(points_of(message)["probability"]).all()
    assert not message.is_dense


def test_an_empty_cloud_is_a_cloud(voxels) -> None:
    message = voxel_cloud(voxels, np.zeros(GRID.shape, bool), HEADER)
    assert (message.width, len(message.data), message.point_step) == (0, 0, POINT.itemsize)


def read(data: bytes) -> list[Any]:
    """The markers of a serialized array, as ROS reads them."""
    return read_array(data).markers


def read_array(data: bytes) -> MarkerArray:
    return deserialize_message(data, MarkerArray)


def test_cubes_are_the_cells(voxels) -> None:
    markers = read(VoxelMarkers(10_000, 0.5).of(voxels, voxels.surface, HEADER))
    cells = []
    for marker in markers:
        assert (marker.type, marker.action, marker.ns, marker.header) == (
            Marker.CUBE_LIST,
            Marker.ADD,
            "voxels",
            HEADER,
        )
        assert len(marker.points) == len(marker.colors) > 0
        own, inside = GRID.locate(np.array([[p.x, p.y, p.z] for p in marker.points]))
        assert inside.all()
        for k in np.unique(own[:, 0]):
            assert marker.scale.x == marker.scale.y == pytest.approx(GRID.lateral[k], rel=0.08)
            assert marker.scale.z == pytest.approx(GRID.thickness[k], rel=0.08)
        shown = np.array([[c.r, c.g, c.b] for c in marker.colors]) * 255
        expected = [COLOURS[CLASSES[label]] for label in voxels.labels[tuple(own.T)]]
        np.testing.assert_allclose(shown, expected, atol=0.01)
        cells.append(own)
    np.testing.assert_array_equal(np.concatenate(cells), np.argwhere(voxels.surface))
    assert len({marker.id for marker in markers}) == len(markers)


@pytest.mark.parametrize("frame", ["", "c", "cam", "camera", "camera_optical_frame"])
def test_the_bytes_are_those_that_ros_makes_of_the_same_markers(voxels, frame) -> None:
    header, maker = Header(frame_id=frame), VoxelMarkers(50, 1.25)
    maker.of(voxels, voxels.surface, header)
    near = voxels.surface.copy()
    near[8:] = False
    for data in (maker.of(voxels, near, header, POSE), maker.of(voxels, near & False, header)):
        own, of_ros = (np.frombuffer(raw, np.uint8) for raw in (data, serialize_message(read_array(data))))
        assert len(own) == len(of_ros)
        assert not own[own != of_ros].any()  # what fills up to a multiple is zero here, and anything there
        for marker in read(data):
            assert (marker.texture, marker.mesh_file) == (CompressedImage(), MeshFile())
            assert not (marker.text or marker.uv_coordinates or marker.frame_locked or marker.mesh_resource)
            assert (marker.lifetime.sec, marker.lifetime.nanosec) == ((0, 0) if marker.action else (1, 250_000_000))


def test_markers_stay_in_the_cameras_frame_with_its_pose(voxels) -> None:
    here, there = (read(VoxelMarkers(10_000, 0.5).of(voxels, voxels.surface, HEADER, *pose)) for pose in ((), (POSE,)))
    for a, b in zip(here, there, strict=True):
        assert a.points == b.points
        q, p = b.pose.orientation, b.pose.position
        np.testing.assert_allclose(Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), POSE[0], atol=1e-9)
        assert p == Point(x=3.0, y=-2.0, z=1.5)
        assert (a.pose.position, a.pose.orientation.w) == (Point(), 1.0)


def test_groups_that_become_empty_are_deleted_once_and_ids_stay(voxels) -> None:
    maker = VoxelMarkers(10_000, 0.5)
    full = {m.id for m in read(maker.of(voxels, voxels.surface, HEADER))}
    near = voxels.surface.copy()
    near[8:] = False
    fewer = read(maker.of(voxels, near, HEADER))
    kept = {m.id for m in fewer if m.action == Marker.ADD}
    assert {m.id for m in fewer if m.action == Marker.DELETE} == full - kept
    assert 0 < len(kept) < len(full)
    assert all(m.action == Marker.ADD for m in read(maker.of(voxels, near, HEADER)))
    gone = read(maker.of(voxels, np.zeros(GRID.shape, bool), HEADER))
    assert {(m.id, m.action) for m in gone} == {(number, Marker.DELETE) for number in kept}


@pytest.mark.parametrize("most", [1, 2, 100, 401])
def test_of_too_many_cubes_the_near_ones_stay(voxels, most) -> None:
    markers = read(VoxelMarkers(most, 0.5).of(voxels, voxels.occupied, HEADER))
    points = np.array([[p.x, p.y, p.z] for m in markers for p in m.points])
    assert len(points) == most < voxels.occupied.sum()
    cells = np.argwhere(voxels.occupied)
    np.testing.assert_allclose(points[: most // 2], GRID.centers(cells[: most // 2]))
    if most > 2:
        assert GRID.locate(points[-1:])[0][0, 0] == cells[-1, 0]  # the farthest are not all gone


def test_thinning_takes_each_cell_once() -> None:
    chosen = np.arange(1000)
    for most in (1, 7, 500, 999):
        kept = thinned(chosen, most)
        assert len(kept) == most
        assert (np.diff(kept) > 0).all()
    assert thinned(chosen, 1000) is chosen


@pytest.mark.parametrize("fruxel", [STREET, PAPER, Fruxel(1.0, 50.0, 40, 8, 8, 90.0, "inverse")])
def test_slices_of_a_group_are_alike(fruxel) -> None:
    groups = alike(fruxel)
    assert groups[0] == 0
    assert set(np.diff(groups)) <= {0, 1}
    for group in range(groups[-1] + 1):
        for size in (fruxel.lateral, fruxel.thickness):
            own = size[groups == group]
            assert own.max() / own.min() < 1.15**2
