"""Over real DDS: several listen to one topic, and each message is received and computed on once."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from voxbox_core.ros.inputs import Input, Source
from voxbox_core.ros.problems import Problems
from voxbox_core.ros.subscriptions import Listener, Subscriptions

PROFILE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


class Bench:
    """Two nodes of a process that share the subscriptions of a third, and a speaker in another context."""

    def __init__(self) -> None:
        self.contexts = [rclpy.Context(), rclpy.Context()]
        for context in self.contexts:
            rclpy.init(context=context)
        self.host, self.one, self.two = (Node(name, context=self.contexts[0]) for name in ("host", "one", "two"))
        self.speaker = Node("speaker", context=self.contexts[1])
        self.publisher = self.speaker.create_publisher(String, "/topic", PROFILE)
        self.executor = SingleThreadedExecutor(context=self.contexts[0])
        self.executor.add_node(self.host)  # it alone is spun: all messages come through it
        self.shared = Subscriptions(self.host)

    def listen(self, node: Node, heard: list[Any], depth: int = 5) -> Input:
        problems, sources = Problems(node.get_logger()), [Source("/topic", String)]
        return Input(node, "text", sources, heard.append, "reliable", depth, False, problems, subscriptions=self.shared)

    def tell(self, text: str, *heard: list[Any]) -> None:
        """Until the last that each has heard is this text."""
        self.until(lambda: self.publisher.get_subscription_count() == len(tuple(self.host.subscriptions)))
        self.publisher.publish(String(data=text))
        self.until(lambda: all(messages and messages[-1].data == text for messages in heard))

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < end
            self.executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        for node in (self.host, self.one, self.two, self.speaker):
            node.destroy_node()
        for context in self.contexts:
            context.try_shutdown()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_a_message_is_received_once_and_computed_on_once(bench: Bench) -> None:
    first: list[Any] = []
    second: list[Any] = []
    bench.listen(bench.one, first)
    bench.listen(bench.two, second)
    assert len(tuple(bench.host.subscriptions)) == 1
    bench.tell("a", first, second)
    assert first[-1] is second[-1]
    computed: list[str] = []

    def shout(message: Any) -> list[str]:
        computed.append(message.data)
        return [message.data.upper()]

    answers = [bench.shared.once(message, shout) for message in (first[-1], second[-1])]
    assert answers[0] is answers[1]
    assert (answers[0], computed) == (["A"], ["a"])
    bench.tell("b", first, second)
    assert bench.shared.once(second[-1], shout) == ["B"]
    assert bench.shared.once(first[-2], shout) is answers[0]  # a slower node may have begun with the one before
    bench.tell("c", first, second)
    bench.shared.once(first[0], shout)
    assert computed == ["a", "b", "a"]  # older ones are not kept


def test_one_who_ends_leaves_the_other_its_messages_and_nothing_is_kept_for_one(bench: Bench) -> None:
    first: list[Any] = []
    second: list[Any] = []
    one, two = bench.listen(bench.one, first), bench.listen(bench.two, second)
    bench.tell("a", first, second)
    one.destroy()
    one.watch()  # a timer may be late
    bench.tell("b", second)
    assert [message.data for message in first] == ["a"]
    calls: list[Any] = []
    for _ in range(2):
        bench.shared.once(second[-1], calls.append)
    assert len(calls) == 2
    two.destroy()
    assert not tuple(bench.host.subscriptions)


def test_those_who_ask_for_another_depth_have_a_subscription_of_their_own(bench: Bench) -> None:
    bench.listen(bench.one, [], depth=1)
    bench.listen(bench.two, [], depth=2)
    assert len(tuple(bench.host.subscriptions)) == 2


def test_what_computing_raises_is_raised_to_each(bench: Bench) -> None:
    first: list[Any] = []
    second: list[Any] = []
    bench.listen(bench.one, first)
    bench.listen(bench.two, second)
    bench.tell("a", first, second)
    for message in (first[-1], second[-1]):
        with pytest.raises(ValueError, match="invalid literal"):
            bench.shared.once(message, lambda message: int(message.data))


def test_a_publisher_that_does_not_fit_is_told_to_all(bench: Bench) -> None:
    told: list[int] = []
    for number in range(2):
        bench.shared.open(String, "/other", PROFILE, Listener(print, lambda _, number=number: told.append(number)))
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    bench.speaker.create_publisher(String, "/other", best_effort)
    bench.until(lambda: sorted(told) == [0, 1])
