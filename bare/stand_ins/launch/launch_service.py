"""Runs launch descriptions until their processes have ended, or until interrupted."""

import signal
import threading
import time
from types import FrameType
from typing import Any

from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .process import report

POLL_PERIOD = 0.05
# As ros2 launch ends processes: the signals, and how long (s) it waits after each. An interrupt of the terminal has
# reached the whole process group already; launch waits, and does not repeat it.
ENDING = ((signal.SIGINT, 5.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 1.0))


class LaunchService:
    """Starts the processes of the included descriptions, waits for them, and ends them on SIGINT or SIGTERM."""

    def __init__(self, *, argv: list[str] | None = None) -> None:
        self.context = LaunchContext(argv=argv)
        self._descriptions: list[LaunchDescription] = []
        self._shutdown = threading.Event()
        self._interrupted = False

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        self._descriptions.append(launch_description)

    def shutdown(self) -> None:
        """Let `run`, in another thread, end its processes and return."""
        self._shutdown.set()

    def run(self) -> int:
        """Returns 0, or 1 when a description failed or a process died unbidden. In the main thread, signals end it."""
        if threading.current_thread() is threading.main_thread():
            previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        else:
            previous = {}
        try:
            return self._run()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        status = 0
        try:
            for description in self._descriptions:
                description.visit(self.context)
            status = self._wait()
        except Exception as error:
            report(f"caught exception in launch: {error}")
            status = 1
        finally:
            self._end_processes()
        return status

    def _wait(self) -> int:
        """Until every process has ended or a shutdown is asked for."""
        status = 0
        running = list(self.context.processes)
        while running and not self._shutdown.wait(POLL_PERIOD):
            ended = [process for process in running if not process.running]
            for process in ended:
                process.finish()
                status = status or int(process.returncode != 0)
            running = [process for process in running if process not in ended]
        return status

    def _end_processes(self) -> None:
        left = [process for process in self.context.processes if process.running]
        for number, patience in ENDING:
            for process in left:
                if not (self._interrupted and number == signal.SIGINT):
                    process.signal(number)
            deadline = time.monotonic() + patience
            while any(process.running for process in left) and time.monotonic() < deadline:
                time.sleep(POLL_PERIOD)
        for process in left:
            process.finish()

    def _on_signal(self, number: int, frame: FrameType | None) -> Any:
        report(f"user interrupted with {signal.Signals(number).name}")
        self._interrupted = number == signal.SIGINT
        self._shutdown.set()
