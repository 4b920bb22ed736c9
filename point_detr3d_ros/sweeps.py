"""Earlier sweeps moved to where they would have been seen in the newest, by the vehicle's motion. Pure arithmetic."""

import bisect
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

_LONGEST_GAP = 1.0  # s between two sweeps; after a longer one, or a step back, everything begins anew
_AHEAD = 0.2  # s that a pose may be carried on beyond the newest that is known
_KEPT = 400  # poses


@dataclass(frozen=True)
class Sweep:
    """A cloud where and when it was taken. points: (P, 5) as `read_cloud` gives them.  stamp: s.
    world_from_lidar: (4, 4)."""

    points: np.ndarray
    stamp: float
    world_from_lidar: np.ndarray


class Sweeps:
    """The newest cloud with those before it."""

    def __init__(self) -> None:
        self._earlier: list[Sweep] = []
        self.used = 0  # sweeps in the last answer

    def add(self, points: np.ndarray, stamp: float, world_from_lidar: np.ndarray | None, count: int) -> np.ndarray:
        """points: (P, 5) of the newest sweep at `stamp`, s.  world_from_lidar: (4, 4) pose in a fixed frame, None where
        it is not known.  count: sweeps to put together, the newest included.

        Returns (sum of P, 5): the newest first, then the others in its frame, with their ages, s. Without a pose it is
        the newest alone, and earlier ones are forgotten.
        """
        if world_from_lidar is None:
            self._earlier, self.used = [], 1
            return points
        newest = Sweep(points, stamp, world_from_lidar)
        last = self._earlier[0].stamp if self._earlier else None
        if last is not None and not 0 < stamp - last < _LONGEST_GAP:
            self._earlier = []
        together = [newest, *self._earlier][:count]
        self._earlier = together[: max(count - 1, 0)]
        self.used = len(together)
        return np.concatenate([_moved(sweep, newest) for sweep in together]) if len(together) > 1 else points


def _moved(sweep: Sweep, newest: Sweep) -> np.ndarray:
    """A sweep's points in the frame of the newest, with its age."""
    if sweep is newest:
        return sweep.points
    motion = np.linalg.inv(newest.world_from_lidar) @ sweep.world_from_lidar
    moved = sweep.points.copy()
    moved[:, :3] = sweep.points[:, :3] @ motion[:3, :3].T.astype(np.float32) + motion[:3, 3].astype(np.float32)
    moved[:, 4] += np.float32(newest.stamp - sweep.stamp)
    return moved


class Track:
    """The poses of a frame over time, as odometry tells them. `add` and `at` may be called in two threads."""

    def __init__(self) -> None:
        self._poses: tuple[tuple[float, np.ndarray, np.ndarray], ...] = ()

    def add(self, stamp: float, position: np.ndarray, quaternion: np.ndarray) -> None:
        """position: (3,) m.  quaternion: (4,) x y z w. What is not finite, or has no length, is let go; a step back in
        time begins a new track."""
        length = np.linalg.norm(quaternion)
        if not (np.isfinite(position).all() and np.isfinite(length) and length > 0):
            return
        known = self._poses if self._poses and stamp > self._poses[-1][0] else ()
        self._poses = (*known[1 - _KEPT :], (stamp, position, quaternion / length))

    def at(self, stamp: float) -> np.ndarray | None:
        """(4, 4) pose at a time, s, between the two around it or carried on from the last two; None where unknown."""
        poses = self._poses
        if not poses or not poses[0][0] <= stamp <= poses[-1][0] + _AHEAD:
            return None
        after = min(bisect.bisect_left(poses, stamp, key=lambda pose: pose[0]), len(poses) - 1)
        if after == 0:
            return _matrix(*poses[0][1:]) if stamp == poses[0][0] else None
        (t0, p0, q0), (t1, p1, q1) = poses[after - 1], poses[after]
        part = (stamp - t0) / (t1 - t0)
        turns = Rotation.from_quat([q0, q1])
        turn = turns[0] * Rotation.from_rotvec((turns[0].inv() * turns[1]).as_rotvec() * part)
        return _matrix(p0 + part * (p1 - p0), turn.as_quat())


def _matrix(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    pose[:3, 3] = position
    return pose
