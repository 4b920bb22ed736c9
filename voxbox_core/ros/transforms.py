"""tf2 at the stamp of a frame, as arrays and with messages worth reading."""

from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from scipy.spatial.transform import Rotation

from voxbox_core.boxes import Axes
from voxbox_core.errors import InputError


class Transforms:
    """Listens to /tf and /tf_static."""

    def __init__(self, node: Node) -> None:
        from tf2_ros import Buffer, TransformListener

        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)

    def lookup(
        self, target: str, source: str, stamp: Any, timeout: float, otherwise: str = ""
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and translation (3,), m, that take points of `source` at the ROS stamp to `target`.

        Waits up to `timeout` s: not in the executor's thread, which receives them. Raises InputError when tf does not
        know the transform; `otherwise` says what else would help.
        """
        from tf2_ros import TransformException

        try:
            found = self._buffer.lookup_transform(target, source, Time.from_msg(stamp), Duration(seconds=timeout))
        except TransformException as error:
            raise InputError(
                f"transform from {source!r} to {target!r}",
                f"unknown at the stamp of the frame ({str(error).strip().rstrip('.')})",
                "one on /tf or /tf_static",
                f"Publish it (robot_state_publisher){otherwise}.",
            ) from error
        q, t = found.transform.rotation, found.transform.translation
        return Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), np.array([t.x, t.y, t.z])

    def destroy(self) -> None:
        """Stop listening."""
        self._listener.unregister()


def axes_seen(rotation: np.ndarray, axes: Axes) -> Axes:
    """The kind of frame that a rotation (3, 3) leads to, by where it takes the up direction of `axes`.

    Raises InputError for a frame whose up is neither z nor -y.
    """
    up = rotation @ ([0.0, -1.0, 0.0] if axes is Axes.OPTICAL else [0.0, 0.0, 1.0])
    if up[2] > np.sqrt(0.5):
        return Axes.BODY
    if up[1] < -np.sqrt(0.5):
        return Axes.OPTICAL
    raise InputError(
        "up in the target frame", np.round(up, 2).tolist(), "about z (a body) or -y (a camera)", "Choose another frame."
    )
