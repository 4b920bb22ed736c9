"""What a node tells of the engines that are built while it loads its model: minutes, where TensorRT measures."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from voxbox_core.runtime import progress

_LOGGED_AGAIN = 5.0  # s


class Building:
    """Listens to the progress of builds.

    doing: what is built and how much of it is done, in words; empty when nothing is.
    asked_to_stop: a build is given up when it says so.
    """

    def __init__(self, logger: Any) -> None:
        self.doing = ""
        self.asked_to_stop: Callable[[], bool] = lambda: False
        self._logger = logger
        self._built = 0

    @contextmanager
    def heard(self) -> Iterator[None]:
        """The block loads a model."""
        self._built = 0
        try:
            with progress.told_to(self._hear):
                yield
        finally:
            self.doing = ""

    def sum_up(self, facts: Mapping[str, object]) -> None:
        """Say what a node that was to build engines only has done. facts: the node's, with its backend."""
        backends = ", ".join(f"{name} {value}" for name, value in facts.items() if name.endswith("backend"))
        self._logger.info(f"build_only: engines built: {self._built}; {backends}")

    def _hear(self, what: str, done: float) -> bool:
        if done < 1.0:
            self.doing = f"{what}: {done:.0%}"
            self._logger.info(self.doing, throttle_duration_sec=_LOGGED_AGAIN)
        else:
            self.doing = ""
            self._built += 1
            self._logger.info(what)
        return not self.asked_to_stop()
