"""A listener to one topic, in a context of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor


@contextmanager
def listening(message: type, topic: str) -> Iterator[Callable[[], list[Any]]]:
    """What gives, at each call, all messages that have come."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("listener", context=context)
    heard: list[Any] = []
    node.create_subscription(message, topic, heard.append, 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def listen() -> list[Any]:
        executor.spin_once(timeout_sec=0.05)
        return heard

    try:
        yield listen
    finally:
        node.destroy_node()
        context.try_shutdown()
