"""Publishes a bag's messages over DDS as they were recorded, on machines without rosbag2 as well."""

import importlib
from collections.abc import Sequence

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from voxbox_core.datasets.bag import Message, Topic

_DEPTH = 10


class Player:
    """A publisher for each topic; reliable, so that any subscriber matches, and latched where the recording was.

    clock: publish the replay's time on /clock too.  left_out: topics whose type is not installed.
    """

    def __init__(self, node: Node, topics: Sequence[Topic], clock: bool) -> None:
        self._publishers = {}
        self.left_out: list[Topic] = []
        for topic in topics:
            kind = message_class(topic.msgtype)
            if kind is None:
                self.left_out.append(topic)
                continue
            self._publishers[topic.name] = node.create_publisher(kind, topic.name, _qos(topic.latched))
        self._clock = node.create_publisher(Clock, "/clock", _DEPTH) if clock else None

    def publish(self, message: Message) -> None:
        """Publish a recorded message's own bytes."""
        if message.topic in self._publishers:
            self._publishers[message.topic].publish(message.raw)

    def tick(self, nanoseconds: int) -> None:
        """Tell the replay's time."""
        if self._clock is None:
            return
        now = Clock()
        now.clock.sec, now.clock.nanosec = divmod(nanoseconds, 10**9)
        self._clock.publish(now)

    def subscribers(self, topic: str) -> int:
        """How many subscriptions a topic has been matched with."""
        return self._publishers[topic].get_subscription_count()


def _qos(latched: bool) -> QoSProfile:
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=durability)


def message_class(msgtype: str) -> type | None:
    """The class of "sensor_msgs/msg/Image" and such, or None where its package is not installed."""
    package, _, name = msgtype.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name, None)
    except ImportError:
        return None
