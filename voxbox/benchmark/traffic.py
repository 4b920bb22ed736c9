"""One recorded frame sent to running nodes again and again, each time with the stamp of now, and what they answer."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from voxbox.bag.player import message_class
from voxbox.benchmark.setting import Exchange
from voxbox.demo.spun import spun_node
from voxbox_core.datasets.bag import Bag, Message, find_topics
from voxbox_core.datasets.bag.rig import find_rig_topics
from voxbox_core.datasets.bag.types import DETECTIONS, POINTS
from voxbox_core.errors import InputError

START_LIMIT = 300.0  # s in which nodes must have come to run
_MATCH_LIMIT = 60.0  # s in which they must have found these topics
_SETTLED = 1.0  # s that they must have stayed together: inputs follow the publishers that they see
_LAST = 1.0  # s in which the last answer may still come
_POLL = 0.05  # s
_DEPTH = 10

ANSWERS = {"km3d": DETECTIONS, "point_detr3d": DETECTIONS, "ssz": POINTS}
"""The type of what each node answers a frame with."""

_TOPIC = {"km3d": "detections", "point_detr3d": "detections", "ssz": "voxels"}
_PREFIXED = {"km3d": "km3d/detections", "point_detr3d": "point_detr3d/detections", "ssz": "voxels"}


@dataclass(frozen=True)
class Frame:
    """What a sensor sends at a time, the message that is answered last.  arguments: of the launch file."""

    messages: tuple[Message, ...]
    arguments: dict[str, str]

    def stamped(self, nanoseconds: int) -> list[Message]:
        """The messages with this stamp in their headers."""
        moments = (replace(message, time=nanoseconds, raw=_unstamped(message)) for message in self.messages)
        return [message.stamped for message in moments]


def image_frame(path: Path) -> Frame:
    """The first image of a bag and its camera_info. Raises InputError where it has none."""
    with Bag(path) as bag:
        topics = find_topics(bag)
        names = [name for name in (topics.camera_info, topics.image.name) if name]
        messages = tuple(next(iter(bag.messages([name]))) for name in names)
    return Frame(messages, {"image": topics.image.name, "camera_info": topics.camera_info or ""})


def cloud_frame(path: Path) -> Frame:
    """The first cloud of a bag. Raises InputError where it has none."""
    with Bag(path) as bag:
        topic = find_rig_topics(bag).points
        return Frame((next(iter(bag.messages([topic]))),), {"points": topic})


class Traffic:
    """Sends frames to nodes and hears what they answer and report.

    systems: the nodes by name.  frames: of one or more sensors.  together: whether they run in one process, whose
    outputs have other names.
    """

    def __init__(self, node: Node, systems: Sequence[str], frames: Sequence[Frame], together: bool) -> None:
        self._node, self.systems, self._frames = node, tuple(systems), tuple(frames)
        self.reports: dict[str, dict[str, str]] = {}
        self._levels: dict[str, str] = {}
        self._answered: dict[str, dict[int, float]] = {system: {} for system in systems}
        reliable = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        self._publishers = {
            message.topic: node.create_publisher(_class(message.msgtype), message.topic, reliable)
            for frame in frames
            for message in frame.messages
        }
        self._outputs = {}
        for system in systems:
            topic = "/" + (_PREFIXED if together else _TOPIC)[system]
            self._outputs[system] = topic
            node.create_subscription(
                _class(ANSWERS[system]), topic, self._hearer(system), QoSProfile(depth=100), raw=True
            )
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def _hearer(self, system: str) -> Callable[[bytes], None]:
        answered, kind = self._answered[system], ANSWERS[system]

        def hear(raw: bytes) -> None:
            answered.setdefault(Message("", kind, 0, raw).stamp, time.monotonic())

        return hear

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.strip("/")
            if name in self._answered:
                self.reports[name] = {pair.key: pair.value for pair in status.values}
                self._levels[name] = status.message if status.level == status.ERROR else ""

    def wait_until_running(self, check: Callable[[], None]) -> None:
        """Until all nodes are active and matched. `check` raises when their process has ended.

        Raises InputError for what keeps a node from running.
        """
        deadline = time.monotonic() + START_LIMIT
        while any(self.reports.get(system, {}).get("doing") != "running" for system in self.systems):
            check()
            for system, problem in self._levels.items():
                if problem:
                    raise InputError(f"node {system}", f"not running ({problem})", "active", "Mend the above.")
            _require(time.monotonic() < deadline, "nodes", f"not running after {START_LIMIT:g} s", "active")
            time.sleep(_POLL)
        deadline, since = time.monotonic() + _MATCH_LIMIT, time.monotonic()
        while time.monotonic() - since < _SETTLED:
            check()
            if not self._matched():
                since = time.monotonic()
            _require(time.monotonic() < deadline, "topics of the nodes", "not matched", "matched by DDS")
            time.sleep(_POLL)

    def _matched(self) -> bool:
        heard = all(publisher.get_subscription_count() for publisher in self._publishers.values())
        return heard and all(self._node.count_publishers(topic) for topic in self._outputs.values())

    def send(self, rate: float, seconds: float, each: Callable[[], None] = lambda: None) -> dict[str, Exchange]:
        """Frames of all sensors at `rate` Hz; `each` is called after every one. Returns by node what became of them."""
        begun, sent = time.monotonic(), dict[int, float]()
        for number in range(max(round(rate * seconds), 1)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            stamp = time.time_ns()
            sent[stamp] = time.monotonic()
            for frame in self._frames:
                for message in frame.stamped(stamp):
                    self._publishers[message.topic].publish(message.raw)
            each()
        last = max(sent)
        end = time.monotonic() + _LAST
        while any(last not in answered for answered in self._answered.values()) and time.monotonic() < end:
            time.sleep(_POLL)
        return {
            system: Exchange(sent, {stamp: at for stamp, at in answered.copy().items() if stamp in sent})
            for system, answered in self._answered.items()
        }

    def next_report(self) -> dict[str, dict[str, str]]:
        """What the nodes say in their next diagnostics, by name."""
        self.reports = {}
        end = time.monotonic() + _MATCH_LIMIT
        while len(self.reports) < len(self.systems) and time.monotonic() < end:
            time.sleep(_POLL)
        return self.reports


@contextmanager
def traffic(systems: Sequence[str], frames: Sequence[Frame], together: bool, domain: int) -> Iterator[Traffic]:
    """A Traffic whose callbacks run in a thread until the block ends."""
    with spun_node("voxbox_benchmark", domain) as node:
        yield Traffic(node, systems, frames, together)


def _unstamped(message: Message) -> bytes:
    """Its bytes with a stamp of zero, which `stamped` then fills in. All types here begin with a Header."""
    return message.raw[:4] + bytes(8) + message.raw[12:]


def _class(msgtype: str) -> Any:
    kind = message_class(msgtype)
    _require(kind is not None, f"message package of {msgtype}", "absent", "installed")
    return kind


def _require(holds: bool, what: str, value: object, expected: str) -> None:
    if not holds:
        raise InputError(what, value, expected, "See the log of the nodes.")
