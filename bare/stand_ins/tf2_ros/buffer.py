"""What is known of the frames, at which times."""

import bisect
import threading
from dataclasses import dataclass, field
from time import monotonic, sleep

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time

from . import rigid
from .exceptions import ConnectivityException, ExtrapolationException, LookupException, TransformException
from .rigid import IDENTITY, Rigid

DEFAULT_CACHE_TIME = Duration(seconds=10)
NO_TIME = Duration()
POLL_PERIOD = 0.01  # s


@dataclass
class Link:
    """What was received of one frame and its parent; stamps (ns) ascend."""

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    transforms: list[Rigid] = field(default_factory=list)

    def insert(self, stamp: int, transform: Rigid, cache_time: int) -> None:
        """Keep a transform in its place; forget what is older than the cache time before the newest."""
        if self.static:
            self.stamps, self.transforms = [0], [transform]
            return
        place = bisect.bisect_left(self.stamps, stamp)
        replaced = place < len(self.stamps) and self.stamps[place] == stamp
        self.stamps[place : place + replaced] = [stamp]
        self.transforms[place : place + replaced] = [transform]
        old = bisect.bisect_left(self.stamps, self.stamps[-1] - cache_time)
        del self.stamps[:old], self.transforms[:old]

    def at(self, stamp: int) -> Rigid:
        """The transform at a time. Raises ExtrapolationException outside of the stamps."""
        if self.static:
            return self.transforms[0]
        if not self.stamps[0] <= stamp <= self.stamps[-1]:
            future = stamp > self.stamps[-1]
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the {'future' if future else 'past'}. "
                f"Requested time {stamp * 1e-9:.6f} but the {'latest' if future else 'earliest'} data is at time "
                f"{self.stamps[-1 if future else 0] * 1e-9:.6f}"
            )
        after = bisect.bisect_left(self.stamps, stamp)
        if self.stamps[after] == stamp:
            return self.transforms[after]
        earlier, later = self.stamps[after - 1], self.stamps[after]
        fraction = (stamp - earlier) / (later - earlier)
        return rigid.between(self.transforms[after - 1], self.transforms[after], fraction)


class Buffer:
    """Transforms received, and answers from them. Threads may share it."""

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._cache_time = (cache_time or DEFAULT_CACHE_TIME).nanoseconds
        self._links: dict[str, Link] = {}
        self._lock = threading.Lock()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        self._insert(transform, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        self._insert(transform, static=True)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_TIME
    ) -> TransformStamped:
        """Takes points of the source frame to the target frame, at a time; at time zero, the latest that both have."""
        deadline = monotonic() + timeout.nanoseconds * 1e-9
        while True:
            try:
                return self._lookup(target_frame, source_frame, time)
            except TransformException:
                if monotonic() >= deadline:
                    raise
            sleep(POLL_PERIOD)

    def can_transform(self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_TIME) -> bool:
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException:
            return False
        return True

    def _lookup(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        with self._lock:
            to_target, to_source = self._common_ancestor(target_frame, source_frame)
            stamp = time.nanoseconds or self._latest_common([*to_target, *to_source])
            target, source = self._climb(to_target, stamp), self._climb(to_source, stamp)
        message = TransformStamped()
        message.header.stamp = Time(nanoseconds=stamp).to_msg()
        message.header.frame_id = target_frame
        message.child_frame_id = source_frame
        message.transform = rigid.to_message(rigid.compose(rigid.inverse(target), source))
        return message

    def _insert(self, message: TransformStamped, *, static: bool) -> None:
        child, parent = (name.lstrip("/") for name in (message.child_frame_id, message.header.frame_id))
        transform = rigid.from_message(message.transform)
        with self._lock:
            link = self._links.get(child)
            if link is None or link.parent != parent or link.static != static:
                link = self._links[child] = Link(parent, static)
            link.insert(Time.from_msg(message.header.stamp).nanoseconds, transform, self._cache_time)

    def _ancestors(self, frame: str) -> list[str]:
        """A frame, its parent, and so on to the root. Raises LookupException where nobody has named the frame."""
        if frame not in self._links and all(link.parent != frame for link in self._links.values()):
            raise LookupException(f'"{frame}" passed to lookupTransform argument does not exist.')
        chain = [frame]
        while chain[-1] in self._links:
            chain.append(self._links[chain[-1]].parent)
            if chain[-1] in chain[:-1]:
                raise ConnectivityException(f"The tf tree is invalid because it contains a loop at {chain[-1]}.")
        return chain

    def _common_ancestor(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """The frames below the first common ancestor, from the target up and from the source up."""
        up_target, up_source = self._ancestors(target), self._ancestors(source)
        common = next((frame for frame in up_target if frame in up_source), None)
        if common is None:
            raise ConnectivityException(
                f"Could not find a connection between '{target}' and '{source}' "
                "because they are not part of the same tree."
            )
        return up_target[: up_target.index(common)], up_source[: up_source.index(common)]

    def _latest_common(self, frames: list[str]) -> int:
        return min((self._links[f].stamps[-1] for f in frames if not self._links[f].static), default=0)

    def _climb(self, frames: list[str], stamp: int) -> Rigid:
        total = IDENTITY
        for frame in frames:
            total = rigid.compose(self._links[frame].at(stamp), total)
        return total
