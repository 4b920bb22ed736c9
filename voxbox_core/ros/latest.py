"""A thread that works on the newest item: those that come while it is busy are let go, and counted."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Calls `handle(item)` in a thread of its own. `handle` must not raise."""

    def __init__(self, handle: Callable[[T], None], name: str) -> None:
        self._handle = handle
        self._ready = threading.Condition()
        self._item: T | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> bool:
        """Hand over an item; whether it took the place of one that nobody had begun with."""
        with self._ready:
            replaced = self._item is not None
            self._item = item
            self._ready.notify()
        return replaced

    def stop(self) -> None:
        """Finish what is being worked on, and nothing else."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._stopped or self._item is not None)
                if self._stopped or self._item is None:
                    return
                item, self._item = self._item, None
            self._handle(item)
            del item  # a frame need not stay in memory until the next one
