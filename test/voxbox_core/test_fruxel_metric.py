"""Fruxel grids as evenly spaced voxels and back, and as points."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxbox_core import analytic_solids
from voxbox_core.analytic_solids import Box, Ellipsoid, HalfSpace
from voxbox_core.errors import InputError
from voxbox_core.fruxel import PAPER, SPACINGS, Fruxel
from voxbox_core.fruxel_metric import MetricGrid, occupied_points, to_fruxel, to_metric
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN, Voxels

SMALL = Fruxel(2.0, 12.0, 24, 16, 20, 40.0, "log", (7.5, 9.0))
PERSON, GROUND = CLASSES.index("person"), CLASSES.index("ground")


@pytest.fixture(scope="module")
def scene():
    """A slim person on the ground."""
    labels = np.zeros(PAPER.shape, np.uint8)
    for label, solid in (
        (GROUND, HalfSpace([0, 1, 0], 1.5)),
        (PERSON, Ellipsoid([-0.8, 0.63, 7.0], [0.25, 0.87, 0.2])),
    ):
        labels[analytic_solids.occupancy(solid, PAPER, 1)] = label
    return Voxels(labels, PAPER)


@pytest.mark.parametrize(
    ("cell", "shape", "air", "person", "ground"),
    [(0.05, (175, 175, 200), 0.998, 0.94, 0.991), (0.1, (88, 88, 100), 0.995, 0.64, 0.984)],
)
def test_there_and_back_keeps_what_the_cells_can_tell(scene, cell, shape, air, person, ground):
    grid = MetricGrid.around(PAPER, cell)
    metric = to_metric(scene, grid)
    assert metric.shape == grid.shape == shape
    assert (metric != UNKNOWN).mean() == pytest.approx(0.4, abs=0.02)
    back = to_fruxel(metric, grid, PAPER).labels
    known = back != UNKNOWN
    assert known.mean() > 0.98
    for label, expected in ((AIR, air), (PERSON, person), (GROUND, ground)):
        before, after = scene.labels[known] == label, back[known] == label
        assert (before & after).sum() / (before | after).sum() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_cubes_have_the_label_of_the_cell_around_their_centre(spacing):
    fruxel = replace(SMALL, spacing=spacing)
    rng = np.random.default_rng(0)
    voxels = Voxels(rng.integers(0, 10, fruxel.shape).astype(np.uint8), fruxel)
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 1.2])
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = turn.as_matrix(), [1, 2, 3]
    grid = MetricGrid((-6.0, -4.0, 0.0), 0.7, (14, 15, 16))
    labels = to_metric(voxels, grid, transform)
    places = np.argwhere(np.ones(grid.shape, bool))
    cells, inside = fruxel.locate(turn.inv().apply((places + 0.5) * 0.7 + grid.low - transform[:3, 3]))
    assert 100 < inside.sum() < 3000
    np.testing.assert_array_equal(labels.reshape(-1), np.where(inside, voxels.labels[tuple(cells.T)], UNKNOWN))


@pytest.mark.parametrize("samples", [1, 3])
def test_cells_have_the_label_of_the_cube_around_their_centre(samples):
    """A grid in the frame of a car, x forward: its two halves meet in a plane that a cell's centre is beside of."""
    car_from_camera = np.array([[0.0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]])
    grid = MetricGrid((0.0, -10.0, -10.0), 0.1, (100, 200, 200))
    labels = np.where(np.arange(100) < 70, 3, 6)[:, None, None] * np.ones(grid.shape)
    found = to_fruxel(labels.astype(np.uint8), grid, SMALL, car_from_camera, samples).labels
    expected = np.select([SMALL.depths + 1.5 < 7, SMALL.depths + 1.5 < 10], [3, 6], UNKNOWN)
    clear = np.abs(SMALL.depths + 1.5 - 7) > 0.1
    np.testing.assert_array_equal(found[clear], np.broadcast_to(expected[clear, None, None], found[clear].shape))


def test_of_many_small_cubes_the_most_frequent_label_counts():
    """One cell, 4 x 4 x 4 samples: cubes of 7 in 24 of them, the rest divided."""
    cell = Fruxel(1.0, 1.0001, 1, 1, 1, 2 * np.degrees(np.arctan(0.5)))  # very nearly a plate of 1 m x 1 m
    grid = MetricGrid((-0.5, -0.5, 0.999), 0.25, (4, 4, 1))
    labels = np.array([[7, 7, 2, 2], [7, 7, 2, 2], [7, 7, 4, 4], [4, 4, 0, 0]], np.uint8)[..., None]
    assert to_fruxel(labels, grid, cell, samples=4).labels.item() == 7
    labels[0, 0] = labels[0, 1] = UNKNOWN
    assert to_fruxel(labels, grid, cell, samples=4).labels.item() == 2  # 7, 2 and 4 in four of them each


@pytest.mark.parametrize("principal", [(), (7.5, 9.0), (-5.0, 40.0)])
def test_a_grid_around_a_frustum_holds_it_and_hardly_more(principal):
    fruxel = replace(SMALL, principal=principal)
    grid = MetricGrid.around(fruxel, 0.13)
    ends = [(i, j, z) for i in (0, fruxel.columns) for j in (0, fruxel.rows) for z in (fruxel.near, fruxel.far)]
    corners = np.array(
        [((i - fruxel.principal[0]) * z, (j - fruxel.principal[1]) * z, z * fruxel.focal) for i, j, z in ends]
    )
    place = (corners / fruxel.focal - grid.low) / grid.cell
    assert (place.min(0) > -1e-6).all() and (place.min(0) < 1).all()
    assert (place.max(0) < np.array(grid.shape) + 1e-6).all() and (place.max(0) > np.array(grid.shape) - 1).all()


def test_points_are_the_occupied_cells_with_all_that_is_known_of_them():
    rng = np.random.default_rng(0)
    labels = rng.choice([AIR, AIR, 2, 9, UNKNOWN], SMALL.shape).astype(np.uint8)
    voxels = Voxels(labels, SMALL, rng.integers(0, 256, SMALL.shape).astype(np.uint8))
    points = occupied_points(voxels)
    assert len(points) == voxels.occupied.sum() > 100
    cells, inside = SMALL.locate(points.center)
    assert inside.all()
    index = tuple(cells.T)
    np.testing.assert_array_equal(points.label, labels[index])
    np.testing.assert_array_equal(points.probability, voxels.probability[index])
    np.testing.assert_allclose(points.size[:, 0] * SMALL.focal, points.center[:, 2], rtol=1e-6)
    np.testing.assert_allclose(points.size[:, 2], SMALL.thickness[cells[:, 0]], rtol=1e-6)
    assert len({*map(tuple, cells)}) == len(points)
    assert (np.diff(cells[:, 0]) >= 0).all()
    assert len(occupied_points(voxels, voxels.surface)) == voxels.surface.sum()
    assert (occupied_points(replace(voxels, probability=None)).probability == 255).all()
    nothing = occupied_points(Voxels(np.zeros(SMALL.shape, np.uint8), SMALL))
    assert len(nothing) == 0 and nothing.center.shape == nothing.size.shape == (0, 3)


def test_a_box_has_the_same_volume_in_both_grids():
    box = Box([0.1, 0.1, 6.0], [1.0, 1.0, 1.0], Rotation.from_euler("y", 0.3).as_matrix())
    voxels = Voxels(analytic_solids.occupancy(box, PAPER, 1).astype(np.uint8), PAPER)
    metric = to_metric(voxels, MetricGrid.around(PAPER, 0.05))
    assert (metric == 1).sum() * 0.05**3 == pytest.approx(1.0, rel=0.03)


def test_what_makes_no_grid_is_refused():
    for wrong, message in (
        ({"low": (0, 0, np.nan)}, "low of a metric grid"),
        ({"cell": 0.0}, "cell of a metric grid is 0.0; expected m, above 0"),
        ({"shape": (1, 0, 1)}, "shape of a metric grid"),
    ):
        with pytest.raises(InputError, match=message):
            MetricGrid(**({"low": (0, 0, 0), "cell": 1.0, "shape": (1, 1, 1)} | wrong))
    for cell in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="cell of a metric grid"):
            MetricGrid.around(SMALL, cell)
    grid = MetricGrid((0, 0, 0), 1.0, (2, 3, 4))
    with pytest.raises(InputError, match=r"labels of a metric grid is uint8 \(4, 3, 2\); expected uint8 \(2, 3, 4\)"):
        to_fruxel(np.zeros((4, 3, 2), np.uint8), grid, SMALL)
    with pytest.raises(InputError, match="samples of a cell is 0"):
        to_fruxel(np.zeros((2, 3, 4), np.uint8), grid, SMALL, samples=0)
