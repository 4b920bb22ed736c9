"""Nodes as a process: they spin until they are asked to stop, and leave with a status that says how it went."""

import gc
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from voxbox_core.errors import InputError
from voxbox_core.ros.aside import RCLError  # of an unreadable parameter file, for one
from voxbox_core.ros.lifecycle import PerceptionNode

_SPIN = 0.2  # s within which a signal is noticed
_POLL = 0.01  # s
_AGAIN = 1.0  # s after which a signal is another one: launch without a terminal repeats Ctrl-C to who has had it
# s that a thread keeps the interpreter while another wants it. An answer needs it some ten times: with Python's 5 ms it
# would come 50 ms late while a frame's messages are made.
SWITCH = 0.0005


def run(make: Callable[[], PerceptionNode[Any]], args: Sequence[str] | None = None) -> int:
    """Spin the node that `make` makes, as `run_all`."""
    return run_all(lambda: [make()], args)


def run_all(make: Callable[[], Sequence[Node]], args: Sequence[str] | None = None) -> int:
    """Spin the nodes that `make` makes, each in a thread of its own, so that none holds up another.

    SIGINT or SIGTERM shut them down in order; another one, a second later, ends the process at once.
    Returns 0; 1 when engines were to be built only, and could not; 2 when the arguments it was given make no node.
    Raises what a callback of a node raises.
    """
    stop, asked = threading.Event(), _Asked()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
    sys.setswitchinterval(SWITCH)
    nodes = _made(make, args)
    if not nodes:
        gc.collect()  # what was made of them, so that nothing of it stays in shared memory
        rclpy.try_shutdown()
        return 2
    spinning = [_Spinning(node, stop) for node in nodes]
    perception = [node for node in nodes if isinstance(node, PerceptionNode)]
    for node in perception:
        node.building.asked_to_stop = lambda: asked.yes
    while not (asked.yes or stop.wait(_SPIN) or all(node.failed_to_build is not None for node in perception)):
        pass
    for node in perception:
        node.finish()
    while any(each.alive and not node.finished for each, node in zip(spinning, nodes) if node in perception):
        time.sleep(_POLL)
    for each in spinning:
        each.end()
    for made in nodes:
        made.destroy_node()
    rclpy.shutdown()
    failures = [each.error for each in spinning if each.error is not None]
    if failures:
        raise failures[0]
    return int(any(node.failed_to_build for node in perception))


def _made(make: Callable[[], Sequence[Node]], args: Sequence[str] | None) -> Sequence[Node]:
    """The nodes; none, and why on stderr, when the arguments make none."""
    try:
        # rclpy's own handlers would invalidate the context before the node could say goodbye.
        rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
        return make()
    except (InputError, RCLError) as error:
        print(error, file=sys.stderr)
        return []


class _Spinning:
    """A node that is spun in a thread. What a callback raises stops all, and is kept as `error`."""

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self.error: Exception | None = None
        self._stop, self._over = stop, threading.Event()
        # Frames have a thread of their own. rclpy's MultiThreadedExecutor submits a callback again and again until a
        # worker has begun it, which takes the interpreter from the frames: two thirds of a 10 Hz drive were lost.
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name=f"spin {node.get_name()}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still spins."""
        return self._thread.is_alive()

    def end(self) -> None:
        """After the callback at hand."""
        self._over.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()  # its last wait has handles of the node in use, which would outlive destroy_node

    def _spin(self) -> None:
        try:
            while not self._over.is_set():
                spin_once(self._executor)
        except Exception as error:
            self.error = error
            self._stop.set()


def leave(status: int) -> NoReturn:
    """End the process with an exit status, at once: the interpreter would take apart what is loaded, 0.7 s of CPU time
    with PyTorch, and on a busy computer launch loses patience (5 s after SIGINT)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def spin_once(executor: Executor) -> None:
    """Have the executor run what is due, within a fraction of a second.

    A transition destroys subscriptions in its thread; rclpy fails when it is about to wait for them in another.
    """
    with suppress(InvalidHandle):
        executor.spin_once(timeout_sec=_SPIN)


class _Asked:
    """What a signal does: `yes`, and no more. It comes in the midst of anything, and whoever would take a lock then may
    be the one that has it."""

    def __init__(self) -> None:
        self.yes, self._first = False, math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        self.yes = True
        if now > self._first + _AGAIN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._first = min(self._first, now)
