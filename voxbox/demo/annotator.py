"""Clicks as RViz publishes them, on the cloud that the node has on display, and the service that accepts the boxes."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection3DArray

from voxbox.demo.clicks import Asked, Click, Script, clicks_at
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.bag import Message
from voxbox_core.datasets.bag.types import DETECTIONS, POINTS, typestore

CLICKED, ANSWERED, DISPLAYED, ACCEPT = "/clicked_point", "/assist/detections", "/assist/points", "/assist/accept"
POINT = "geometry_msgs/msg/PointStamped"
_DISPLAY_LIMIT = 30.0  # s until a cloud is on display: cameras take time to encode
_ANSWER_LIMIT = 10.0  # s
_ASK_AGAIN = 2.0  # s: a service's first answer may be lost while DDS is still connecting
_POLL = 0.002
_RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

Check = Callable[[], None]  # raises when the node has ended
Keep = Callable[[str, str, bytes], Message]  # takes note of a message: topic, type, bytes
Found = Callable[[int], Boxes3D | None]  # what the node detected in the cloud of a stamp, ns
Hear = Callable[[], Mapping[str, str]]  # what it says in its next diagnostics


class Annotator:
    """Somebody who clicks by a script.

    classes: that clicks may name: each has a topic of its own.
    """

    def __init__(self, node: Node, script: Script, classes: Sequence[str], keep: Keep) -> None:
        self._node, self._script, self._keep = node, script, keep
        topics = {name: "/".join(filter(None, (CLICKED, name.lower()))) for name in ("", *classes)}
        self._publishers = {n: node.create_publisher(PointStamped, topic, _RELIABLE) for n, topic in topics.items()}
        self._accept = node.create_client(Trigger, ACCEPT)
        self._answer: tuple[Message, float] | None = None  # and when it came
        self._displayed = 0
        self._done: list[str] = []
        self._refused: dict[str, int] = {}
        node.create_subscription(Detection3DArray, ANSWERED, self._on_answer, _RELIABLE, raw=True)
        node.create_subscription(PointCloud2, DISPLAYED, self._on_display, _LATCHED, raw=True)

    def missing(self) -> list[str]:
        """What is not connected with the node yet."""
        topics = [] if self._publishers[""].get_subscription_count() else [CLICKED]
        topics += [name for name in (ANSWERED, DISPLAYED) if not self._node.count_publishers(name)]
        return topics + ([] if self._accept.service_is_ready() else [ACCEPT])

    def clicks_on(self, stamp: int) -> bool:
        """Whether the cloud of a stamp, ns, is in the script."""
        return stamp in self._script

    def annotate(self, stamp: int, found: Found, hear: Hear, check: Check) -> Iterator[Asked]:
        """Click on the cloud of a stamp as soon as it is on display, one click after another, and accept the boxes.

        Nothing comes of a cloud that the node does not display.
        """
        if not _until(lambda: self._displayed == stamp, _DISPLAY_LIMIT, check):
            return
        shown = self._script[stamp]
        for click in clicks_at(shown, found(stamp), self._done):
            self._done.append(click.what)
            yield self._ask(stamp, click, shown.lidar_from_level @ click.place, shown.frame_id, hear, check)
        self._accept_all(check)

    def _ask(self, stamp: int, click: Click, place: np.ndarray, frame_id: str, hear: Hear, check: Check) -> Asked:
        publisher = self._publishers[click.name]
        if not publisher.get_subscription_count():
            return Asked(stamp, click, refusal=f"nobody listens to {publisher.topic_name}")
        message = PointStamped()
        message.header.frame_id = frame_id
        # RViz stamps by the wall clock, whatever time its displays show.
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
        message.point.x, message.point.y, message.point.z = (float(v) for v in place)
        self._keep(publisher.topic_name, POINT, serialize_message(message))
        self._answer = None
        begun = time.perf_counter()
        publisher.publish(message)
        if not _until(lambda: self._answer is not None, _ANSWER_LIMIT, check) or self._answer is None:
            return Asked(stamp, click, refusal="no answer")
        answer, arrived = self._answer
        boxes = typestore().deserialize_cdr(answer.raw, DETECTIONS).detections  # type: ignore[attr-defined]
        return Asked(stamp, click, answer, arrived - begun, "" if len(boxes) else self._reason(hear()))

    def _reason(self, values: Mapping[str, str]) -> str:
        """What about a click the node has counted for the first time, or once more."""
        counts = {key.removeprefix("count of: "): int(n) for key, n in values.items() if key.startswith("count of: ")}
        grown = [key for key, n in counts.items() if "click" in key and n > self._refused.get(key, 0)]
        self._refused = counts
        return ", ".join(grown) or "no box"

    def _accept_all(self, check: Check) -> None:
        """A request too many accepts nothing more."""
        for _ in range(3):
            future = self._accept.call_async(Trigger.Request())
            if _until(future.done, _ASK_AGAIN, check):
                return

    def _on_answer(self, raw: bytes) -> None:
        arrived = time.perf_counter()
        self._answer = self._keep(ANSWERED, DETECTIONS, raw), arrived

    def _on_display(self, raw: bytes) -> None:
        self._displayed = Message(DISPLAYED, POINTS, 0, raw).stamp


def _until(holds: Callable[[], bool], limit: float, check: Check) -> bool:
    deadline = time.monotonic() + limit
    while not holds():
        check()
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
