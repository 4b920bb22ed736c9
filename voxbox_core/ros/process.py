"""A node as a process: it spins until it is asked to stop, and leaves with a status that says how it went."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.signals import SignalHandlerOptions

from voxbox_core.errors import InputError
from voxbox_core.ros.lifecycle import PerceptionNode

RCLError = rclpy_implementation.RCLError  # rclpy has no other name for it: an unreadable parameter file, for one
_SPIN = 0.2  # s within which a signal is noticed


def run(make: Callable[[], PerceptionNode[Any]], args: Sequence[str] | None = None) -> int:
    """Spin the node that `make` makes. SIGINT or SIGTERM shut it down in order; a second one ends it at once.

    Returns 0; 1 when engines were to be built only, and could not; 2 when the arguments it was given make no node.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: _ask(stop, number, _frame))
    # rclpy's own handlers would invalidate the context before the node could say goodbye.
    try:
        rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
        node = make()
    except (InputError, RCLError) as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    # Frames have a thread of their own. rclpy's MultiThreadedExecutor submits a callback again and again until a worker
    # has begun it, which takes the interpreter from the frames: two thirds of a 10 Hz drive were lost.
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.building.asked_to_stop = stop.is_set
    while not stop.is_set() and node.failed_to_build is None:
        spin_once(executor)
    node.finish()
    while not node.finished:
        spin_once(executor)
    node.destroy_node()  # the executor goes with the process: shut down first, it would fail its last callback
    rclpy.shutdown()
    return int(bool(node.failed_to_build))


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


def _ask(stop: threading.Event, number: int, frame: FrameType | None) -> None:
    stop.set()
    signal.signal(number, signal.SIG_DFL)
