"""A topic the node depends on: subscribed with a QoS that fits its publishers, and able to say why it is silent."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from rclpy.topic_endpoint_info import TopicEndpointInfo

from voxbox_core.errors import InputError
from voxbox_core.ros.problems import Problems
from voxbox_core.ros.subscriptions import Listener, Subscriptions


@dataclass(frozen=True)
class Source:
    """A resolved topic and the message class it would carry."""

    topic: str
    message: type

    @property
    def type_name(self) -> str:
        """As the ROS graph writes it: sensor_msgs/msg/Image."""
        package, middle, _ = self.message.__module__.split(".")[:3]
        return f"{package}/{middle}/{self.message.__name__}"


def resolved(node: Node, topic: str) -> str:
    """The topic after remapping; a transport's suffix follows its base topic, as in image_transport."""
    if topic.startswith("/"):
        return node.resolve_topic_name(topic)
    base, _, transport = topic.partition("/")
    return "/".join(filter(None, (node.resolve_topic_name(base), transport)))


class Input:
    """A subscription to whichever of some sources has a publisher. `watch` and `destroy` may be called in two threads.

    subscriptions: where to subscribe; `node` looks for publishers.
    name: for people.  sources: in order of preference; the first is subscribed to as long as none has a publisher.
    depth: messages that may wait for the executor.  once: one message is enough, later silence is no trouble.
    optional: no silence is trouble.
    reliability: best_effort, reliable, or auto: reliable where every publisher offers it. Large images over plain UDP
    arrive reliably or hardly at all.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        sources: Sequence[Source],
        callback: Callable[[Any], None],
        reliability: str,
        depth: int,
        once: bool,
        problems: Problems,
        optional: bool = False,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        self._node = node
        self._subscriptions = subscriptions or Subscriptions(node)
        self.name = name
        self._sources = tuple(sources)
        self._callback = callback
        self._reliability = reliability
        self._depth = depth
        self._once = once
        self._optional = optional
        self._problems = problems
        self._received: float | None = None  # s, monotonic
        self._since = time.monotonic()
        self._source = self._sources[0]
        self._reliable = reliability == "reliable"
        self._end: Callable[[], None] | None = None  # of the subscription
        self._over = False
        self._lock = threading.Lock()
        self.watch()

    def watch(self) -> None:
        """Follow the publishers that come and go: called by a timer of the node."""
        source = next((s for s in self._sources if self._publishers(s)), self._source)
        reliable = self._reliable_for(self._publishers(source))
        with self._lock:
            if not self._over:
                self._follow(source, reliable)

    def _follow(self, source: Source, reliable: bool) -> None:
        fits = (source, reliable) == (self._source, self._reliable)
        if self._end is not None and fits:
            return
        self._source, self._reliable = source, reliable
        if self._end is not None:
            self._unsubscribe()  # the executor may hold it for a moment more, and one topic cannot have two types here
            return
        listener = Listener(self._take, self._incompatible)
        try:
            self._end = self._subscriptions.open(source.message, source.topic, self._profile(), listener)
        except RuntimeError as error:
            self._problems.report(
                InputError(f"subscription to {source.topic}", f"refused ({error})", self.describe(), "Will try again.")
            )

    def destroy(self) -> None:
        """Stop listening, for good."""
        with self._lock:
            self._over = True
            self._unsubscribe()

    def _unsubscribe(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()

    def describe(self) -> str:
        """What it listens to: topic, type and reliability."""
        return f"{self._source.topic} ({self._source.type_name}, {'reliable' if self._reliable else 'best effort'})"

    def silence(self, patience: float = 2.0) -> str | None:
        """Why nothing has come for `patience` s; None while messages come."""
        if self._optional:
            return None
        now = time.monotonic()
        last = self._since if self._received is None else self._received
        if now - last < patience or (self._once and self._received is not None):
            return None
        if self._received is None:
            return self.missing()
        return f"no {self.name} on {self._source.topic} for {now - last:.0f} s, because {self._reason()}"

    def missing(self) -> str:
        """Why there has been none so far."""
        return f"waiting for {self.name} on {self._source.topic}, because {self._reason()}"

    def _take(self, message: Any) -> None:
        self._received = time.monotonic()
        self._callback(message)

    def _publishers(self, source: Source) -> list[TopicEndpointInfo]:
        """Publishers of the source's topic that send its type."""
        return [p for p in self._endpoints(source) if p.topic_type == source.type_name]

    def _endpoints(self, source: Source) -> list[TopicEndpointInfo]:
        return self._node.get_publishers_info_by_topic(source.topic)

    def _reliable_for(self, publishers: list[TopicEndpointInfo]) -> bool:
        if self._reliability != "auto":
            return self._reliability == "reliable"
        if not publishers:
            return self._reliable
        return all(p.qos_profile.reliability is ReliabilityPolicy.RELIABLE for p in publishers)

    def _profile(self) -> QoSProfile:
        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=self._depth,
            durability=DurabilityPolicy.VOLATILE,
            reliability=ReliabilityPolicy.RELIABLE if self._reliable else ReliabilityPolicy.BEST_EFFORT,
        )

    def _reason(self) -> str:
        publishers = self._publishers(self._source)
        if not publishers:
            others = sorted({p.topic_type for p in self._endpoints(self._source)} - {self._source.type_name})
            if others:
                return f"it carries {', '.join(others)}; expected {' or '.join(self._types())}"
            return "it has 0 publishers"
        if self._reliable and self._best_effort(publishers) == len(publishers):
            return f"{self._offer(publishers)}; set the parameter reliability to auto or best_effort"
        return f"its {len(publishers)} publisher{'s' * (len(publishers) > 1)} sent nothing"

    def _types(self) -> list[str]:
        return sorted({s.type_name for s in self._sources})

    def _best_effort(self, publishers: list[TopicEndpointInfo]) -> int:
        return sum(p.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT for p in publishers)

    def _offer(self, publishers: list[TopicEndpointInfo]) -> str:
        return f"{self._best_effort(publishers)} of its {len(publishers)} publishers offer best effort, not reliable"

    def _incompatible(self, event: Any) -> None:
        """The middleware refuses to connect a publisher."""
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        self._problems.report(
            InputError(
                f"QoS of a publisher of {self._source.topic}",
                f"of another {policy} than asked for, so that nothing comes from it",
                self.describe(),
                "Change the publisher's QoS, or set the parameter reliability to auto.",
            )
        )
