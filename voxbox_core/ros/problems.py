"""What is wrong right now: said in the log without flooding it, and kept for the diagnostics."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from voxbox_core.errors import InputError


class Severity(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus: a warning lets the node go on with its work, an error stops it."""

    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its text, and when it was last met, s of a monotonic clock."""

    text: str
    severity: Severity
    met: float


class Logger(Protocol):
    """The part of an rclpy logger that is used here."""

    def warning(self, message: str) -> bool: ...
    def error(self, message: str) -> bool: ...


class Problems:
    """Errors reported from any thread; those about the same thing (`InputError.what`) are one problem.

    log_period: least time between two log lines about one problem, s.
    hold: how long a problem that is no longer met stays current, s.
    """

    def __init__(
        self, logger: Logger, log_period: float = 5.0, hold: float = 3.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._log_period = log_period
        self._hold = hold
        self._clock = clock
        self._lock = threading.Lock()
        self._problems: dict[str, Problem] = {}
        self._logged: dict[str, float] = {}
        self._counts: Counter[str] = Counter()

    def report(self, error: InputError, severity: Severity = Severity.WARN) -> None:
        """Note that something is wrong, once more or for the first time."""
        now, key = self._clock(), error.what
        with self._lock:
            self._counts[key] += 1
            self._problems[key] = Problem(str(error), severity, now)
            due = now - self._logged.get(key, -float("inf")) >= self._log_period
            if due:
                self._logged[key] = now
            count = self._counts[key]
        if not due:
            return
        line = str(error) + (f" (met {count} times)" if count > 1 else "")
        if severity is Severity.ERROR:  # not one call of a chosen method: rclpy binds the severity to the line it is on
            self._logger.error(line)
        else:
            self._logger.warning(line)

    def current(self) -> list[Problem]:
        """What is wrong now, worst first."""
        now = self._clock()
        with self._lock:
            alive = [problem for problem in self._problems.values() if now - problem.met <= self._hold]
        return sorted(alive, key=lambda problem: -problem.severity)

    def counts(self) -> dict[str, int]:
        """How often each thing was met since the start."""
        with self._lock:
            return dict(self._counts)
