"""How the LiDAR stands and moves, by what the operator, tf, odometry and the clouds tell."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from point_detr3d_ros.ground import GroundHeight, Mount
from point_detr3d_ros.parameters import Parameters
from point_detr3d_ros.sweeps import Track
from voxbox_core.errors import InputError
from voxbox_core.ros.stamps import seconds

_USUAL_HEIGHT = 1.8  # m: of a LiDAR on a car's roof, where neither tf nor the cloud tells


class Placing:
    """Answers of the LiDAR's place, cloud by cloud.

    transform: (target frame, source frame, stamp, timeout=s) -> rotation (3, 3), translation (3,) m; raises InputError
    where tf does not know it.  report: takes note of what is wrong.
    """

    def __init__(
        self, transform: Callable[..., tuple[np.ndarray, np.ndarray]], report: Callable[[InputError], None]
    ) -> None:
        self._transform = transform
        self._report = report
        self._ground = GroundHeight()
        self._track: tuple[str, Track] | None = None  # of a frame, by odometry

    def mount(self, header: Any, points: np.ndarray, parameters: Parameters) -> Mount:
        """How the LiDAR of a cloud, points (P, 3..), stands: as given, by tf, by the ground that it sees."""
        rotation, origin = np.eye(3), None
        frame = parameters.ground_frame
        if frame:
            with suppress(InputError):  # without patience: most vehicles have no such frame, and need none
                rotation, origin = self._transform(frame, header.frame_id, header.stamp, timeout=0.0)
        if parameters.sensor_height:
            return Mount(parameters.sensor_height, rotation, "given")
        if origin is not None:
            return Mount(float(origin[2]), rotation, f"tf to {frame}")
        height = self._ground.of(points)
        if height is not None:
            return Mount(height, source="seen in the clouds")
        expected = f"ground around it; {_USUAL_HEIGHT} m is taken"
        self._report(InputError("height of the LiDAR", "unknown", expected, "Set sensor_height."))
        return Mount(_USUAL_HEIGHT, source="assumed")

    def on_odometry(self, message: Any) -> None:
        """A nav_msgs/Odometry: where its child frame was."""
        position, q = message.pose.pose.position, message.pose.pose.orientation
        frame = str(message.child_frame_id)
        if self._track is None or self._track[0] != frame:
            self._track = (frame, Track())
        place, turn = np.array([position.x, position.y, position.z]), np.array([q.x, q.y, q.z, q.w])
        self._track[1].add(seconds_of(message.header), place, turn)

    def pose(self, header: Any, parameters: Parameters) -> np.ndarray | None:
        """(4, 4) of the LiDAR in a frame that stands still, at the stamp of a cloud; None where nobody tells."""
        fixed, track = parameters.fixed_frame, self._track
        try:
            if fixed:
                return matrix(*self._transform(fixed, header.frame_id, header.stamp))
            carried = None if track is None else track[1].at(seconds_of(header))
            if carried is None or track is None:
                return None
            return carried @ matrix(*self._transform(track[0], header.frame_id, header.stamp))
        except InputError as error:
            self._report(error)
            return None


def seconds_of(header: Any) -> float:
    """The stamp of a header, s."""
    return seconds(header.stamp.sec, header.stamp.nanosec)


def matrix(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(4, 4) of a rotation (3, 3) and a translation (3,)."""
    both = np.eye(4)
    both[:3, :3], both[:3, 3] = rotation, translation
    return both
