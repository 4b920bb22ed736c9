"""Voxels of a world made by hand: a road, a car's box and a wall, scanned ray by ray."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.lidar_voxels import Returns, Scene, fill, inside, poses
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN

GRID = Fruxel(2.0, 30.0, 40, 24, 48, 60.0, "log")
HEIGHT = 1.6
CAR, GROUND, TREE = (CLASSES.index(name) for name in ("car", "ground", "tree"))
WALL = 22.0  # m ahead
LIDAR = np.array([0.0, -0.1, -0.3])


def _boxes() -> Boxes3D:
    """One car across the road, 10 m ahead, turned by a quarter of a right angle."""
    nowhere = np.full((1, 4), np.nan)
    return Boxes3D(
        np.array([[1.0, HEIGHT - 0.75, 10.0]]), np.array([[4.0, 1.8, 1.5]]), np.array([0.4]), np.zeros(1), np.ones(1),
        nowhere, ("Car",),
    )  # fmt: skip


def _scan(body: Boxes3D) -> np.ndarray:
    """(P, 3): where rays of a LiDAR end, on the road, the wall, or in the body."""
    yaw, pitch = np.meshgrid(np.radians(np.linspace(-32, 32, 160)), np.radians(np.linspace(-14, 25, 90)))
    ways = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1).reshape(-1, 3)
    with np.errstate(divide="ignore"):
        length = np.where(ways[:, 1] > 1e-6, (HEIGHT - LIDAR[1]) / ways[:, 1], np.inf)
    length = np.minimum(length, (WALL - LIDAR[2]) / ways[:, 2])
    steps = np.arange(5.0, 15.0, 0.02)
    for i in np.flatnonzero(length > 5):
        met = inside(LIDAR + steps[:, None] * ways[i], body).any(0)
        if met.any():
            length[i] = min(length[i], steps[met.argmax()])
    return LIDAR + length[:, None] * ways


@pytest.fixture(scope="module")
def scene() -> Scene:
    """The car's body is as high as its box before the middle alone: behind, there is half of it."""
    boxes = _boxes()
    lower = replace(boxes, center=boxes.center + np.array([0, 0.375, 0]), size=boxes.size * [1, 1, 0.5])
    return Scene.of(Returns(LIDAR, _scan(lower)), boxes, np.array([CAR], np.uint8), HEIGHT)


def _at(labels: np.ndarray, point: list[float]) -> int:
    cells, within = GRID.locate(np.array([point]))
    assert within.all()
    return int(labels[tuple(cells[0])])


def test_everything_is_what_it_is(scene: Scene) -> None:
    labels = fill(scene, GRID).labels
    assert _at(labels, [0.0, 0.0, 4.0]) == AIR
    assert _at(labels, [-3.0, 0.5, 12.0]) == AIR
    assert _at(labels, [-2.0, HEIGHT + 0.3, 8.0]) == GROUND
    assert _at(labels, [0.0, HEIGHT + 2.0, 17.0]) == GROUND
    assert _at(labels, [1.0, HEIGHT - 0.3, 10.0]) == CAR
    assert _at(labels, [1.0, -0.5, WALL + 3]) == UNKNOWN  # behind the wall
    assert _at(labels, [-2.0, 0.0, WALL]) == UNKNOWN  # the wall itself, of a class nobody said


def test_where_rays_go_through_a_box_nobody_knows(scene: Scene) -> None:
    labels = fill(scene, GRID).labels
    assert _at(labels, [1.0, HEIGHT - 1.3, 10.0]) == UNKNOWN
    full = Scene.of(Returns(LIDAR, _scan(_boxes())), _boxes(), scene.label, HEIGHT)
    assert _at(fill(full, GRID).labels, [1.0, HEIGHT - 1.3, 10.0]) == CAR


def test_no_air_where_a_return_is_and_no_car_outside_of_its_box(scene: Scene) -> None:
    labels = fill(scene, GRID).labels
    cells, within = GRID.locate(scene.returns.points)
    assert (labels[tuple(cells[within].T)] != AIR).all()
    centers = GRID.centers(np.argwhere(labels == CAR))
    margin = GRID.thickness[np.argwhere(labels == CAR)[:, 0]]
    reach = np.abs((centers - scene.boxes.center) @ scene.boxes.rotation()[0])
    assert (reach <= scene.boxes.size / 2 + margin[:, None]).all()
    assert len(centers) > 100


def test_returns_that_are_told_have_their_class(scene: Scene) -> None:
    points = scene.returns.points
    kinds = np.full(len(points), UNKNOWN, np.uint8)
    kinds[scene.on_ground] = GROUND
    kinds[points[:, 2] > WALL - 0.01] = TREE
    told = Scene.of(Returns(LIDAR, points, kinds), scene.boxes, scene.label, HEIGHT)
    labels = fill(told, GRID).labels
    assert _at(labels, points[(kinds == TREE) & GRID.locate(points)[1]][0].tolist()) == TREE
    assert _at(labels, [1.0, HEIGHT - 0.3, 10.0]) == CAR


def test_things_of_no_class_are_unknown(scene: Scene) -> None:
    other = replace(scene, label=np.array([UNKNOWN], np.uint8))
    labels = fill(other, GRID).labels
    assert _at(labels, [1.0, HEIGHT - 0.3, 10.0]) == UNKNOWN
    assert not (labels == CAR).any()
    assert len(poses(other, GRID)) == 0


def test_poses_are_those_of_the_boxes(scene: Scene) -> None:
    found = poses(scene, GRID)
    turn = Rotation.from_quat(np.roll(found.rotation[0], -1)).as_matrix()
    np.testing.assert_allclose(turn, scene.boxes.rotation()[0], atol=1e-12)
    np.testing.assert_allclose(found.translation, scene.boxes.center)
    assert found.label.tolist() == [CAR] and found.rotation[0, 0] >= 0


def test_returns_of_a_lidar_come_into_the_cameras_frame() -> None:
    camera_from_lidar = np.eye(4)
    camera_from_lidar[:3] = [[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3]]
    cloud = np.array([[10.0, 2.0, -1.5, 0.5], [np.nan, 0, 0, 0]], np.float32)
    returns = Returns.of_lidar(cloud, camera_from_lidar, np.array([3, 4], np.uint8))
    np.testing.assert_allclose(returns.points, [[-1.9, 1.3, 9.7]])
    assert returns.origin.tolist() == [0.1, -0.2, -0.3]
    assert returns.label is not None and returns.label.tolist() == [3]


def test_boxes_of_another_frame_are_refused(scene: Scene) -> None:
    with pytest.raises(InputError, match="axes of the boxes is BODY"):
        Scene.of(scene.returns, replace(scene.boxes, axes=Axes.BODY), scene.label, HEIGHT)
