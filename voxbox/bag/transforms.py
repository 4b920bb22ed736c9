"""Transforms of a bag: where its sensors sit on the vehicle, and where the vehicle is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.datasets.bag import Bag, DriveTopics

_Edges = Mapping[tuple[str, str], np.ndarray]


class StaticTransforms:
    """All of a bag's tf_static messages, in the order they were recorded."""

    def __init__(self, bag: Bag, topics: DriveTopics) -> None:
        self._edges = _recorded_static(bag, topics.transforms)

    def between(self, source: str, target: str, time: int) -> np.ndarray | None:
        """(4, 4): points in `source` to points in `target`, as known at `time`, ns; None where nothing leads there.

        What was sent later counts only where nothing earlier says how two frames stand.
        """
        return _led(_static_at(self._edges, time), source, target)


class Transforms:
    """All of a bag's tf_static and tf messages."""

    def __init__(self, bag: Bag, names: Sequence[str]) -> None:
        """names: of the topics."""
        self._static = _recorded_static(bag, names)
        poses: dict[tuple[str, str], dict[int, np.ndarray]] = {}
        for message in bag.messages([name for name in names if not name.endswith("tf_static")]):
            for t in bag.decode(message).transforms:
                stamp = t.header.stamp.sec * 10**9 + t.header.stamp.nanosec or message.time
                poses.setdefault((t.header.frame_id, t.child_frame_id), {})[stamp] = _matrix(t.transform)
        self._ways = {edge: _Way.of(stamped) for edge, stamped in poses.items()}
        self.frames = frozenset(frame for edge in [*(e[1:3] for e in self._static), *poses] for frame in edge)

    def between(self, source: str, target: str, time: int) -> np.ndarray | None:
        """(4, 4): points in `source` to points in `target` at `time`, ns; None where nothing leads there.

        What moves is interpolated between two messages, and stands still before the first and after the last.
        """
        edges = _static_at(self._static, time)
        for (parent, child), way in self._ways.items():
            pose = way.at(time)
            edges[child, parent], edges[parent, child] = pose, np.linalg.inv(pose)
        return _led(edges, source, target)


@dataclass(frozen=True)
class _Way:
    """times: (n,) ns, ascending.  poses: (n, 4, 4)."""

    times: np.ndarray
    poses: np.ndarray

    @classmethod
    def of(cls, stamped: Mapping[int, np.ndarray]) -> "_Way":
        times = sorted(stamped)
        return cls(np.array(times, np.int64), np.stack([stamped[time] for time in times]))

    def at(self, time: int) -> np.ndarray:
        """(4, 4): straight on between two poses, turning at a constant rate."""
        after = int(np.searchsorted(self.times, time))
        if after == 0 or after == len(self.times):
            return self.poses[min(after, len(self.times) - 1)]
        before, then = self.poses[after - 1], self.poses[after]
        share = float(time - self.times[after - 1]) / float(self.times[after] - self.times[after - 1])
        turn = Rotation.from_matrix(before[:3, :3].T @ then[:3, :3]).as_rotvec()
        pose = before + share * (then - before)
        pose[:3, :3] = before[:3, :3] @ Rotation.from_rotvec(share * turn).as_matrix()
        return pose


def _recorded_static(bag: Bag, names: Sequence[str]) -> list[tuple[int, str, str, np.ndarray]]:
    """When, parent, child, pose of the child in its parent."""
    return [
        (message.time, t.header.frame_id, t.child_frame_id, _matrix(t.transform))
        for message in bag.messages([name for name in names if name.endswith("tf_static")])
        for t in bag.decode(message).transforms
    ]


def _static_at(recorded: Sequence[tuple[int, str, str, np.ndarray]], time: int) -> dict[tuple[str, str], np.ndarray]:
    """(from, to) -> (4, 4), both ways."""
    poses: dict[tuple[str, str], np.ndarray] = {}
    for sent, parent, child, pose in recorded:
        if sent <= time or (child, parent) not in poses:
            poses[child, parent], poses[parent, child] = pose, np.linalg.inv(pose)
    return poses


def _led(poses: _Edges, source: str, target: str) -> np.ndarray | None:
    """(4, 4) along any way from source to target."""
    reached = {source: np.eye(4)}
    frontier = [source]
    while frontier and target not in reached:
        here = frontier.pop()
        for (start, end), pose in poses.items():
            if start == here and end not in reached:
                reached[end] = pose @ reached[here]
                frontier.append(end)
    return reached.get(target)


def _matrix(transform: object) -> np.ndarray:
    """geometry_msgs/Transform -> (4, 4), the pose of the child in its parent."""
    t, q = transform.translation, transform.rotation  # type: ignore[attr-defined]
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    matrix[:3, 3] = t.x, t.y, t.z
    return matrix
