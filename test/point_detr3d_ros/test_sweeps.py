"""Earlier sweeps in the newest one's frame, whatever way the vehicle went."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from point_detr3d_ros.sweeps import Sweeps, Track


def pose(seed):
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix()
    matrix[:3, 3] = rng.uniform(-5, 5, 3)
    return matrix


def seen(world, world_from_lidar):
    """World points (P, 3) as a LiDAR sees them, (P, 5)."""
    local = (world - world_from_lidar[:3, 3]) @ world_from_lidar[:3, :3]
    return np.concatenate([local, np.full((len(world), 1), 0.5), np.zeros((len(world), 1))], 1).astype(np.float32)


WORLD = np.random.default_rng(9).uniform(-20, 20, (50, 3))


def test_what_stands_still_is_seen_in_one_place():
    sweeps = Sweeps()
    for i in range(5):
        together = sweeps.add(seen(WORLD, pose(i)), 10 + 0.1 * i, pose(i), 3)
    newest = seen(WORLD, pose(4))
    assert sweeps.used == 3
    assert len(together) == 3 * len(WORLD)
    np.testing.assert_allclose(together[:, :3], np.tile(newest[:, :3], (3, 1)), atol=1e-4)
    np.testing.assert_allclose(together[:, 4], np.repeat([0, 0.1, 0.2], len(WORLD)), atol=1e-5)
    np.testing.assert_array_equal(together[: len(WORLD)], newest)


@pytest.mark.parametrize("later", [-0.5, 0.0, 1.5], ids=["a step back", "twice", "a gap"])
def test_time_that_does_not_flow_begins_anew(later):
    sweeps = Sweeps()
    sweeps.add(seen(WORLD, pose(0)), 10.0, pose(0), 3)
    assert len(sweeps.add(seen(WORLD, pose(1)), 10.0 + later, pose(1), 3)) == len(WORLD)


def test_without_motion_each_sweep_is_alone():
    sweeps = Sweeps()
    sweeps.add(seen(WORLD, pose(0)), 10.0, pose(0), 3)
    for stamp in (10.1, 10.2):
        assert len(sweeps.add(seen(WORLD, pose(1)), stamp, None, 3)) == len(WORLD)
        assert sweeps.used == 1


def test_poses_between_and_shortly_after_those_that_are_known():
    track = Track()
    for stamp, x, degrees in ((1.0, 0.0, 350), (2.0, 2.0, 10), (3.0, 2.0, 30)):
        track.add(stamp, np.array([x, 0, 0]), 3 * Rotation.from_euler("z", degrees, degrees=True).as_quat())
    for stamp, x, degrees in ((1.0, 0.0, -10), (1.5, 1.0, 0), (2.25, 2.0, 15), (3.0, 2.0, 30), (3.1, 2.0, 32)):
        found = track.at(stamp)
        assert found[0, 3] == pytest.approx(x)
        assert Rotation.from_matrix(found[:3, :3]).as_euler("zyx", degrees=True)[0] == pytest.approx(degrees)
    assert track.at(0.9) is None
    assert track.at(3.5) is None


def test_odometry_that_is_none_is_let_go_and_a_step_back_begins_anew():
    track = Track()
    straight = np.array([0.0, 0, 0, 1])
    for position, turn in (
        ([np.nan, 0, 0], straight),
        ([0, 0, 0], np.zeros(4)),
        ([0, 0, 0], np.array([0, 0, 0, np.inf])),
    ):
        track.add(1.0, np.array(position, float), turn)
    assert track.at(1.0) is None
    track.add(5.0, np.array([9.0, 0, 0]), straight)
    track.add(2.0, np.array([1.0, 0, 0]), straight)
    assert track.at(5.0) is None
    assert track.at(2.0)[0, 3] == 1
    assert track.at(2.1) is None  # of one pose nothing can be carried on
