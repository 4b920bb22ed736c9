"""Closed meshes are known as such, open ones are refused or filled as their rays agree."""

import numpy as np
import pytest

from voxbox_core import analytic_solids
from voxbox_core.analytic_solids import Box
from voxbox_core.datasets.street.mesh import box, ellipsoid
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxelize import occupancy
from voxbox_core.watertight import filled, open_edges

GRID = Fruxel(2.0, 12.0, 32, 24, 28, 50.0, "log", (13.0, 12.5))
CENTER = (0.1, -0.2, 6.0)


def cube(size=(2.0, 1.5, 3.0), center=CENTER):
    """(12, 3, 3): faces 2 n and 2 n + 1 are a side's."""
    triangles = box(size, center, (1, 1, 1)).triangles().astype(np.float64)
    return triangles[np.arange(12).reshape(2, 6).T.ravel()]


def ball(radii=(1.5, 1.2, 2.5), center=CENTER):
    return ellipsoid(radii, center, (1, 1, 1), rings=12, sides=16).triangles().astype(np.float64)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_closed_meshes_have_no_open_edges():
    for mesh in (cube(), ball(), np.concatenate([cube(), ball()]), np.zeros((0, 3, 3))):
        assert open_edges(mesh) == 0


@pytest.mark.parametrize("missing", range(12))
def test_each_missing_face_leaves_its_three_edges_open(missing):
    assert open_edges(np.delete(cube(), missing, 0)) == 3
    assert open_edges(np.delete(cube(), [missing, missing ^ 1], 0)) == 4


def test_corners_that_hardly_differ_are_welded_and_others_are_not():
    rng = np.random.default_rng(0)
    mesh = ball()
    assert open_edges(mesh + rng.uniform(-1e-8, 1e-8, mesh.shape)) == 0
    assert open_edges(mesh + rng.uniform(-1e-3, 1e-3, mesh.shape)) > 100
    assert open_edges(mesh + rng.uniform(-1e-3, 1e-3, mesh.shape), weld=4e-3) == 0


def test_faces_without_area_open_nothing():
    mesh = cube()
    a, b, c = mesh[0]
    assert open_edges(np.concatenate([mesh, [[a, a, b]], [[c, c, c]]])) == 0


@pytest.mark.parametrize("holes", ["refuse", "vote", "surface"])
def test_closed_meshes_are_filled_whichever_way_they_turn(holes):
    first, second = cube(), ball((1.0, 1.0, 1.0), (0.8, 0.3, 6.5))
    union = occupancy(first, GRID) | occupancy(second, GRID)
    assert union.sum() > 300
    np.testing.assert_array_equal(filled(np.concatenate([first, second]), GRID, holes), union)
    np.testing.assert_array_equal(filled(np.concatenate([first, second[:, ::-1]]), GRID, holes), union)
    confused = second.copy()
    confused[::3] = confused[::3, ::-1]
    np.testing.assert_array_equal(filled(np.concatenate([first, confused]), GRID, holes), union)
    assert not filled(np.zeros((0, 3, 3)), GRID, holes).any()


def test_open_meshes_are_refused_with_a_remedy():
    message = "a mesh is not watertight: 3 of its edges .* expected a closed one. .*'vote' or 'surface'"
    with pytest.raises(InputError, match=message):
        filled(cube()[1:], GRID)
    with pytest.raises(InputError, match="holes is guess; expected"):
        filled(cube(), GRID, "guess")


@pytest.mark.parametrize("side", range(6))
def test_a_box_without_a_side_is_filled_as_a_whole_one(side):
    """Two of the rays of each cell still agree; the surface adds cells that the box only touches."""
    found = filled(np.delete(cube(), [2 * side, 2 * side + 1], 0), GRID, "vote")
    inside = analytic_solids.occupancy(Box(CENTER, [2.0, 1.5, 3.0]), GRID, 1)
    around = analytic_solids.occupancy(Box(CENTER, [2.3, 1.8, 4.2]), GRID, 1)
    assert inside.sum() > 300
    assert found[inside].all() and not (found & ~around).any()


def test_a_ball_with_many_holes_stays_a_ball():
    mesh = ball()
    kept = np.random.default_rng(0).permutation(len(mesh))[: int(0.93 * len(mesh))]
    assert open_edges(mesh[kept]) > 30
    assert iou(filled(mesh[kept], GRID, "vote"), occupancy(mesh, GRID, 1) | filled(mesh[:-1], GRID, "surface")) > 0.95


def test_the_surface_alone_is_a_shell():
    """Of a ball with a fin: no step along an axis leads from inside to outside without a cell of it."""
    mesh = ball()
    fin = np.array([[mesh[40, 0], mesh[40, 1], 1.1 * mesh[40, 2] - 0.1 * np.array(CENTER)]])
    mesh = np.concatenate([mesh, fin])
    assert open_edges(mesh) == 3
    shell = filled(mesh, GRID, "surface")
    inside = occupancy(ball(), GRID, 1) & ~shell
    outside = ~occupancy(ball(), GRID, 1) & ~shell
    assert inside.sum() > 300
    for axis in range(3):
        a, b = (np.take(inside, range(n, inside.shape[axis] - 1 + n), axis) for n in (0, 1))
        c, d = (np.take(outside, range(n, inside.shape[axis] - 1 + n), axis) for n in (0, 1))
        assert not (a & d).any() and not (b & c).any()


@pytest.mark.parametrize("place", [12.01, 12.49, 12.51, 12.99])
def test_one_lone_face_is_its_cells(place):
    """Across the axis, anywhere in a slice: that slice, and the columns that it covers."""
    z = float(GRID.plane(place))
    half = 3.2 * z / GRID.focal
    corners = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])
    found = filled(corners[[[0, 1, 2], [0, 2, 3]]], GRID, "vote")
    assert set(np.nonzero(found)[0]) == {12}
    x, y = np.arange(28) + 0.5 - 13.0, np.arange(24) + 0.5 - 12.5
    expected = (np.abs(y) <= 3.2)[:, None] & (np.abs(x) <= 3.2)
    np.testing.assert_array_equal(found[12], expected)


def test_open_meshes_around_the_camera_are_cut_off_before_the_grid():
    """A tube along the axis without ends, from behind the camera to beyond the grid: rays across it agree."""
    mesh = np.delete(cube((2.0, 1.6, 60.0), (0, 0, 0)), [0, 1, 2, 3], 0)
    assert open_edges(mesh) == 8
    found = filled(mesh, GRID, "vote")
    inside = analytic_solids.occupancy(Box([0, 0, 0], [2.0, 1.6, 60.0]), GRID, 1)
    assert found[inside].mean() > 0.99 and (found & ~inside).sum() < 0.25 * inside.sum()
