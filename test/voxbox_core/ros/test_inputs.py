"""Over real DDS: the input follows its publishers' type and reliability, and says why it is silent."""

import time
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool, Int32, String

from voxbox_core.ros.inputs import Input, Source
from voxbox_core.ros.problems import Problems

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


class Bench:
    """A listening and a speaking node, spun until something holds.

    Each has its own context, as nodes of two processes have: one participant cannot give a topic two types.
    """

    def __init__(self, reliability: str) -> None:
        self.contexts = [rclpy.Context(), rclpy.Context()]
        for context in self.contexts:
            rclpy.init(context=context)
        self.node, self.peer = (Node(name, context=c) for name, c in zip(("listener", "speaker"), self.contexts))
        self.executor = SingleThreadedExecutor(context=self.contexts[0])
        self.executor.add_node(self.node)
        self.problems = Problems(self.node.get_logger())
        self.got: list[object] = []
        sources = [Source("/topic", String), Source("/topic", Bool), Source("/topic/compressed", Bool)]
        self.input = Input(self.node, "image", sources, self.got.append, reliability, 1, False, self.problems)
        self.node.create_timer(0.05, self.input.watch)

    def close(self) -> None:
        for node, context in zip((self.node, self.peer), self.contexts):
            node.destroy_node()
            context.try_shutdown()

    def until(self, holds, timeout: float = 30.0) -> bool:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if holds():
                return True
            self.executor.spin_once(timeout_sec=0.02)
        return False

    def receives(self, publisher, message) -> bool:
        def sent() -> bool:
            publisher.publish(message)
            self.executor.spin_once(timeout_sec=0.02)
            return bool(self.got)

        return self.until(sent)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(getattr(request, "param", "auto"))
    yield made
    made.close()


def test_silence_names_topic_and_publishers(bench: Bench) -> None:
    assert bench.input.silence(patience=0.0) == "waiting for image on /topic, because it has 0 publishers"
    publisher = bench.peer.create_publisher(String, "/topic", RELIABLE)
    assert bench.until(lambda: "1 publisher sent nothing" in bench.input.missing())
    assert bench.receives(publisher, String(data="x"))
    assert bench.input.silence(patience=10.0) is None
    assert "no image on /topic for 0 s, because its 1 publisher" in bench.input.silence(patience=0.0)


def test_wrong_type_is_named(bench: Bench) -> None:
    bench.peer.create_publisher(Int32, "/topic", RELIABLE)
    text = "it carries std_msgs/msg/Int32; expected std_msgs/msg/Bool or std_msgs/msg/String"
    assert bench.until(lambda: text in bench.input.missing()), bench.input.missing()


@pytest.mark.parametrize("topic", ["/topic", "/topic/compressed"])
def test_follows_the_type_that_is_published(bench: Bench, topic: str) -> None:
    publisher = bench.peer.create_publisher(Bool, topic, RELIABLE)
    assert bench.receives(publisher, Bool(data=True))
    assert bench.input.describe() == f"{topic} (std_msgs/msg/Bool, reliable)"


@pytest.mark.parametrize("qos", [BEST_EFFORT, RELIABLE])
def test_auto_asks_for_what_is_offered(bench: Bench, qos: QoSProfile) -> None:
    publisher = bench.peer.create_publisher(String, "/topic", qos)
    assert bench.receives(publisher, String())
    kind = "reliable" if qos is RELIABLE else "best effort"
    assert bench.until(lambda: bench.input.describe() == f"/topic (std_msgs/msg/String, {kind})")


@pytest.mark.parametrize("bench", ["reliable"], indirect=True)
def test_incompatible_qos_is_told_with_its_remedy(bench: Bench) -> None:
    bench.peer.create_publisher(String, "/topic", BEST_EFFORT)
    assert bench.until(lambda: bool(bench.problems.current()))
    text = bench.problems.current()[0].text
    assert "QoS of a publisher of /topic is of another reliability than asked for" in text
    assert "expected /topic (std_msgs/msg/String, reliable). Change the publisher's QoS, or set" in text
    assert "1 of its 1 publishers offer best effort, not reliable" in bench.input.missing()


def test_an_optional_topic_may_be_silent(bench: Bench) -> None:
    sources = [Source("/other", String)]
    optional = Input(bench.node, "click", sources, bench.got.append, "auto", 1, False, bench.problems, optional=True)
    assert optional.silence(patience=0.0) is None
