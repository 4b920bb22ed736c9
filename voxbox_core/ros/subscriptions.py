"""One subscription for all that listen to a topic in the same way, in one node or in several of one process."""

import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

T = TypeVar("T")

_SHARED = 2  # messages of a topic: the newest, and the one before it, which a slower node may have begun with


@dataclass(frozen=True)
class Listener:
    """Somebody who is given messages.  incompatible: called with the event when a publisher's QoS does not fit."""

    take: Callable[[Any], None]
    incompatible: Callable[[Any], None]


@dataclass
class _Shared:
    """A message that several listeners were given, and what has been computed of it."""

    message: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    results: dict[Hashable, Any] = field(default_factory=dict)


@dataclass
class _Topic:
    """A subscription with its listeners, and the last messages where they are several."""

    subscription: Subscription | None = None
    listeners: tuple[Listener, ...] = ()
    recent: deque[_Shared] = field(default_factory=lambda: deque(maxlen=_SHARED))


class Subscriptions:
    """The subscriptions of a node, which several nodes of a process may share: each message is then received once.

    May be used in several threads; listeners are called in the one that spins the node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._topics: dict[Hashable, _Topic] = {}

    def open(self, message: type, topic: str, profile: QoSProfile, listener: Listener) -> Callable[[], None]:
        """Listen to a topic; what is returned ends it. Raises RuntimeError when the middleware refuses."""
        key = (message, topic, profile.reliability, profile.durability, profile.depth)
        with self._lock:
            entry = self._topics.get(key) or _Topic()
            if entry.subscription is None:
                entry.subscription = self._subscribe(message, topic, profile, entry)
                self._topics[key] = entry
            entry.listeners = (*entry.listeners, listener)
        return partial(self._close, key, listener)

    def once(self, message: Any, compute: Callable[[Any], T]) -> T:
        """What `compute` makes of a message: once for all who were given that message and compute the same of it.

        compute: a function, the same object for all.  What it raises is raised to each.
        """
        shared = self._find(message)
        if shared is None:
            return compute(message)
        with shared.lock:
            if compute not in shared.results:
                shared.results[compute] = compute(message)
            return shared.results[compute]

    def _find(self, message: Any) -> _Shared | None:
        with self._lock:
            recent = [shared for entry in self._topics.values() for shared in entry.recent]
        return next((shared for shared in recent if shared.message is message), None)

    def _subscribe(self, message: type, topic: str, profile: QoSProfile, entry: _Topic) -> Subscription:
        events = SubscriptionEventCallbacks(
            incompatible_qos=partial(self._incompatible, entry), use_default_callbacks=False
        )
        return self._node.create_subscription(
            message, topic, partial(self._give, entry), profile, event_callbacks=events
        )

    def _close(self, key: Hashable, listener: Listener) -> None:
        with self._lock:
            entry = self._topics[key]
            entry.listeners = tuple(each for each in entry.listeners if each is not listener)
            if entry.listeners:
                return
            del self._topics[key]
        if entry.subscription is not None:
            self._node.destroy_subscription(entry.subscription)

    def _give(self, entry: _Topic, message: Any) -> None:
        listeners = entry.listeners
        if len(listeners) > 1:
            with self._lock:
                entry.recent.append(_Shared(message))
        for listener in listeners:
            listener.take(message)

    @staticmethod
    def _incompatible(entry: _Topic, event: Any) -> None:
        """The middleware refuses to connect a publisher."""
        for listener in entry.listeners:
            listener.incompatible(event)
