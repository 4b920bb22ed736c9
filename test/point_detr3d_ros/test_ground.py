"""The height of a LiDAR above ground, by its clouds, and frames that are not level."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from point_detr3d_ros.ground import GroundHeight, Mount, height_above_ground
from voxbox_core.boxes import Axes, Boxes3D


def street(height, seed=0, cluttered=0.4):
    """Rough ground, some of it covered by walls and cars, a few reflections from below."""
    rng = np.random.default_rng(seed)
    ground = np.concatenate([rng.uniform(-15, 15, (6000, 2)), -height + rng.normal(0, 0.02, (6000, 1))], 1)
    covered = (np.floor(ground[:, 0] / 2) * 7 + np.floor(ground[:, 1] / 2) * 13) % 10 < 10 * cluttered
    ground[covered, 2] += rng.uniform(0.5, 2.5, covered.sum())
    ghosts = np.concatenate([rng.uniform(-15, 15, (30, 2)), rng.uniform(-9, -height, (30, 1))], 1)
    return np.concatenate([ground, ghosts]).astype(np.float32)


@pytest.mark.parametrize("height", [0.4, 1.73, 3.2])
@pytest.mark.parametrize("cluttered", [0.0, 0.4])
def test_height_above_a_street(height, cluttered):
    assert height_above_ground(street(height, cluttered=cluttered)) == pytest.approx(height, abs=0.06)


@pytest.mark.parametrize(
    "points", [np.zeros((0, 5)), np.zeros((50, 5)), np.full((500, 3), 40.0), np.full((500, 3), 5.0)]
)
def test_too_little_ground_tells_nothing(points):
    assert height_above_ground(points) is None
    assert GroundHeight().of(points) is None


def test_the_height_does_not_follow_a_single_cloud():
    ground = GroundHeight()
    for seed in range(8):
        usual = ground.of(street(1.7, seed))
    assert ground.of(street(2.5)) == pytest.approx(usual, abs=0.05)
    assert ground.of(np.zeros((0, 5))) == pytest.approx(usual, abs=0.05)


@pytest.mark.data
def test_height_of_real_lidars(shared_data):
    """KITTI's LiDAR is 1.73 m above ground."""
    files = sorted((shared_data / "kitti" / "full" / "velodyne").glob("*.bin"))
    found = np.array([height_above_ground(np.fromfile(f, np.float32).reshape(-1, 4)) for f in files])
    assert np.abs(found - 1.73).mean() < 0.07
    assert np.abs(found - 1.73).max() < 0.25


def test_a_tilted_lidar_is_level_and_its_boxes_are_back_in_its_frame():
    turn = Rotation.from_euler("zyx", [90, 0, 15], degrees=True).as_matrix()
    mount = Mount(1.7, turn, "tf")
    points = np.random.default_rng(0).uniform(-5, 5, (20, 5)).astype(np.float32)
    level = mount.levelled(points)
    np.testing.assert_allclose(level[:, :3], points[:, :3] @ turn.T, atol=1e-5)
    np.testing.assert_array_equal(level[:, 3:], points[:, 3:])
    blank = np.full((1, 4), np.nan)
    box = Boxes3D(level[:1, :3], [[4, 2, 1.5]], [0.3], [0], [1.0], blank, ("Car",), Axes.BODY)
    back = mount.back(box)
    np.testing.assert_allclose(back.center[0], points[0, :3], atol=1e-5)
    np.testing.assert_allclose(mount.lidar_from_level[:3, :3] @ level[0, :3], points[0, :3], atol=1e-5)
    assert back.yaw[0] == pytest.approx(0.3 - np.pi / 2, abs=0.1)


def test_a_level_lidar_keeps_its_points_as_they_are():
    points = np.ones((3, 5), np.float32)
    assert Mount(1.7).levelled(points) is points
