"""How the LiDAR stands and moves, by what the operator, tf, odometry and the clouds tell."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from point_detr3d_ros.ground import BASE_FRAMES, GroundHeight, Mount
from point_detr3d_ros.parameters import Parameters
from point_detr3d_ros.sweeps import Track
from voxbox_core.errors import InputError
from voxbox_core.ros.stamps import seconds

_USUAL_HEIGHT = 1.8  # m: of a LiDAR on a car's roof, where neither tf nor the cloud tells
_PATIENCE = 5  # clouds that may come before tf does


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
        self._missed = ("", 0)  # a ground frame, and how many clouds in a row tf did not know it
        self.levelled_by = "nothing"  # or the frame that made the last cloud level

    def mount(self, header: Any, points: np.ndarray, parameters: Parameters) -> Mount:
        """How the LiDAR of a cloud, points (P, 3..), stands: as given, by tf, by the ground that it sees."""
        frame = parameters.ground_frame
        known = self._in(frame, header) if frame else None
        self.levelled_by = "nothing" if known is None else frame
        if frame and known is None:
            self._miss(frame, header)
        else:
            self._missed = ("", 0)
        rotation = np.eye(3) if known is None else known[0]
        if parameters.sensor_height:
            return Mount(parameters.sensor_height, rotation, "given")
        if known is not None:
            return Mount(float(known[1][2]), rotation, f"tf to {frame}")
        height = self._ground.of(points)
        if height is not None:
            return Mount(height, source="seen in the clouds")
        expected = f"ground around it; {_USUAL_HEIGHT} m is taken"
        self._report(InputError("height of the LiDAR", "unknown", expected, "Set sensor_height."))
        return Mount(_USUAL_HEIGHT, source="assumed")

    def _in(self, frame: str, header: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """The LiDAR's rotation (3, 3) and origin (3,), m, in a frame; None where tf does not know it."""
        with suppress(InputError):  # without patience: most vehicles have no such frame, and need none
            return self._transform(frame, header.frame_id, header.stamp, timeout=0.0)
        return None

    def _miss(self, frame: str, header: Any) -> None:
        """Says once that clouds are taken as they come; those that come in a vehicle's frame may be."""
        name, clouds = self._missed
        self._missed = (frame, clouds + 1 if name == frame else 1)
        if self._missed[1] != _PATIENCE or header.frame_id in BASE_FRAMES:
            return
        value = f"{frame!r}, to which tf does not lead from {header.frame_id!r} at the stamps of its clouds"
        other = next((base for base in BASE_FRAMES if base != frame and self._in(base, header) is not None), None)
        remedy = "Publish it where the LiDAR is tilted or turned: its clouds are taken as level."
        if other is not None:
            remedy = f"Set ground_frame:={other}, and sensor_height where that is not on the ground."
        self._report(InputError("ground_frame", value, "a tf frame that makes clouds level", remedy))

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
