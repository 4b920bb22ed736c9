"""Static transforms of a bag: where its sensors sit on the vehicle."""

import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.datasets.bag import Bag, DriveTopics


class StaticTransforms:
    """All of a bag's tf_static messages, in the order they were recorded."""

    def __init__(self, bag: Bag, topics: DriveTopics) -> None:
        static = [name for name in topics.transforms if name.endswith("tf_static")]
        self._edges = [
            (message.time, t.header.frame_id, t.child_frame_id, _matrix(t.transform))
            for message in bag.messages(static)
            for t in bag.decode(message).transforms
        ]

    def between(self, source: str, target: str, time: int) -> np.ndarray | None:
        """(4, 4): points in `source` to points in `target`, as known at `time`, ns; None where nothing leads there.

        What was sent later counts only where nothing earlier says how two frames stand.
        """
        poses: dict[tuple[str, str], np.ndarray] = {}
        for sent, parent, child, pose in self._edges:
            if sent <= time or (child, parent) not in poses:
                poses[child, parent], poses[parent, child] = pose, np.linalg.inv(pose)
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
