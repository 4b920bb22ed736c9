"""What the street says fills the cells is what is there, and every view has something before it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxbox_core.datasets.street.materials import Semantic
from voxbox_core.datasets.street.mesh import box
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.scene import KINDS, Part
from voxbox_core.datasets.street.voxels import (
    GRIDS,
    VoxelScene,
    VoxelSettings,
    aligned_sample,
    build_voxel_scene,
    poses,
    solids,
)
from voxbox_core.datasets.voxel_sample import VoxelSample
from voxbox_core.fruxel import STREET, Fruxel
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN

GRID = replace(STREET, slices=32, rows=24, columns=48, principal=())
SETTINGS = VoxelSettings(GRID, per_cell=8)
TIME = 0.5


@pytest.fixture(scope="module")
def world() -> VoxelScene:
    return build_voxel_scene(3, SETTINGS)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    camera = GRID.camera(SETTINGS.per_cell)
    return Renderer(camera.width, camera.height)


@pytest.fixture(scope="module")
def views(world: VoxelScene, renderer: Renderer) -> list[VoxelSample]:
    return [aligned_sample(world, renderer, TIME, f"{k}", np.random.default_rng(k), SETTINGS) for k in range(4)]


def test_cells_are_what_the_street_says_of_their_middles(world: VoxelScene, views: list[VoxelSample]) -> None:
    rng = np.random.default_rng(1)
    for view in views:
        assert view.world_from_camera is not None
        cells = np.stack([rng.integers(0, n, 1500) for n in GRID.shape], -1)
        points = GRID.centers(cells) @ view.world_from_camera[:3, :3].T + view.world_from_camera[:3, 3]
        truth = world.scene.semantics_at(points, TIME)
        found = view.voxels.labels[tuple(cells.T)]
        found = np.where(found == UNKNOWN, Semantic.OTHER, found)
        assert (found[truth != AIR] != AIR).all()  # what is at the middle is in the cell
        differ = found != truth
        assert differ.mean() < 0.03  # a cell has what one of its sub-slices meets
        assert (truth == Semantic.GROUND).mean() > 0.1


def test_a_box_on_the_road_is_filled_to_its_back() -> None:
    grid = Fruxel(near=2.0, far=12.0, slices=40, rows=20, columns=20, alpha=40.0)
    world = build_voxel_scene(0, VoxelSettings(grid))
    house = Part(box((2, 4, 3), (8, 0, 1.5), (0.5, 0.5, 0.5)), Semantic.BUILDING)
    post = Part(box((0.5, 0.5, 3), (5, 1.0, 1.5), (0.5, 0.5, 0.5)), Semantic.OTHER)
    scene = replace(world.scene, instances=(), parts=(house, post))
    pose = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1.0]])
    labels = solids(scene, 0.0, pose, grid)  # from 1.5 m above the road, along x
    middle = labels[:, 9, 11]
    depth = grid.depths
    np.testing.assert_array_equal(middle == CLASSES.index("building"), (depth > 7) & (depth < 9))
    np.testing.assert_array_equal((labels == UNKNOWN).any((1, 2)), (depth > 4.75) & (depth < 5.25))
    cells = np.argwhere(labels == CLASSES.index("ground"))
    np.testing.assert_array_less(1.5 - 0.02 - 0.15, grid.centers(cells)[:, 1])  # y is down; cells are 7 cm high
    below = np.argwhere(np.ones(grid.shape, bool))
    low = grid.centers(below)[:, 1] > 1.5
    assert (labels[tuple(below[low].T)] == CLASSES.index("ground")).all()


def test_surfaces_are_where_the_depth_image_sees_them(views: list[VoxelSample]) -> None:
    """Of columns whose pixels agree on a depth in the grid, the first cell is at it."""
    for view in views:
        assert view.depth is not None
        tiles = view.depth.reshape(GRID.rows, SETTINGS.per_cell, GRID.columns, SETTINGS.per_cell)
        near, far = tiles.min((1, 3)), tiles.max((1, 3))
        sure = (near > GRID.near * 1.1) & (far < GRID.far * 0.9) & (far < 1.05 * near)
        first = (view.voxels.labels != AIR).argmax(0)
        seen = np.floor(GRID.slice_of(np.where(sure, (near + far) / 2, GRID.near)))
        assert sure.sum() > 50
        assert (np.abs(first - seen)[sure] <= 1).mean() > 0.9


def test_poses_are_those_of_the_objects_in_the_grid(world: VoxelScene, views: list[VoxelSample]) -> None:
    count = 0
    for view in views:
        assert view.poses is not None and view.world_from_camera is not None
        turns = Rotation.from_quat(view.poses.rotation, scalar_first=True).as_matrix()
        assert GRID.locate(view.poses.translation)[1].all()
        for label, center, turn, size in zip(view.poses.label, view.poses.translation, turns, view.poses.size):
            placed = view.world_from_camera[:3, :3] @ center + view.world_from_camera[:3, 3]
            item = min(world.scene.instances, key=lambda i: float(np.linalg.norm(i.pose(TIME)[:3, 3] - placed)))
            assert KINDS[item.kind] == label
            np.testing.assert_allclose(placed - item.pose(TIME)[:3, 3], [0, 0, size[2] / 2], atol=1e-6)
            np.testing.assert_allclose(view.world_from_camera[:3, :3] @ turn, item.pose(TIME)[:3, :3], atol=1e-6)
            count += 1
    assert count > 4


def test_nobody_about_has_no_poses(world: VoxelScene) -> None:
    empty = replace(world.scene, instances=())
    assert len(poses(empty, 0.0, empty.world_from_camera(0.0), GRID)) == 0


def test_the_same_seed_gives_the_same_view(world: VoxelScene, renderer: Renderer, views: list[VoxelSample]) -> None:
    again = aligned_sample(build_voxel_scene(3, SETTINGS), renderer, TIME, "0", np.random.default_rng(0), SETTINGS)
    np.testing.assert_array_equal(again.voxels.labels, views[0].voxels.labels)
    np.testing.assert_array_equal(again.image, views[0].image)


def test_the_papers_grid_has_objects_before_it() -> None:
    grid, sought = GRIDS["paper"]
    small = replace(grid, slices=32, rows=32, columns=32, principal=())
    settings = VoxelSettings(small, sought)
    renderer = Renderer(128, 128)
    world = build_voxel_scene(5, settings)
    objects = list(KINDS.values())
    found = 0
    for k in range(4):
        labels = aligned_sample(world, renderer, TIME, "", np.random.default_rng(k), settings).voxels.labels
        found += bool(np.isin(labels, objects).any())
    assert found >= 3
