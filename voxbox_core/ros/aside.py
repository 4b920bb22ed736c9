"""Slow steps of a node in a thread of their own: its executor answers and publishes meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.service import Service
from rclpy.task import Future

T = TypeVar("T")

RCLError = rclpy_implementation.RCLError  # rclpy has no other name for it: a transition that the state does not have


class Aside:
    """Does one step after the other, each while the executor goes on.

    name: of the thread.  group: of the callbacks that wait for it.
    """

    def __init__(self, node: Node, name: str, group: CallbackGroup) -> None:
        self._node, self._group = node, group
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still

    async def run(self, step: Callable[[], T]) -> T:
        """What the step returns, or raises. To be awaited in a callback, which its executor takes up again then."""
        done: Future = Future()
        self._pool.submit(self._work, step, done)
        return await done

    def soon(self, step: Callable[[], None]) -> None:
        """Run a step once the executor spins, in turn with the others."""

        made = threading.Lock()  # the thread that spins the node may be at it before it has its name here

        async def once() -> None:
            with made:
                timer.cancel()  # not destroyed: the executor may have it in hand again already
            await self.run(step)

        with made:
            timer = self._node.create_timer(0.0, once, callback_group=self._group, clock=self._steady)

    def answer(self, service: Service) -> None:
        """Have a service of transitions answered so. One that the state does not have is refused."""
        service.callback = cast(Any, partial(self._answer, service.callback))  # coroutines too, untold by its type

    def close(self) -> None:
        """Let go of the thread, after what it has in hand."""
        self._pool.shutdown(wait=False)

    async def _answer(self, callback: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
        try:
            return await self.run(partial(callback, request, response))
        except RCLError as error:  # rclpy would let it end the process
            self._node.get_logger().warning(f"transition refused: {error}")
            response.success = False
            return response

    def _work(self, step: Callable[[], T], done: Future) -> None:
        try:
            result = step()
        except Exception as error:
            done.set_exception(error)
        else:
            done.set_result(result)
        executor = self._node.executor
        if executor is not None:
            executor.wake()
