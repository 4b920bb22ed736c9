"""A thread that works on the newest items: those that come while it is busy wait in turn, or are let go and counted."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Calls `handle(item)` in a thread of its own. `handle` must not raise.

    waiting: items that may wait; where one more comes, the oldest of them goes.
    """

    def __init__(self, handle: Callable[[T], None], name: str, waiting: int = 1) -> None:
        self._handle = handle
        self._ready = threading.Condition()
        self._items: deque[T] = deque(maxlen=waiting)
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> bool:
        """Hand over an item; whether it took the place of one that nobody had begun with."""
        with self._ready:
            replaced = len(self._items) == self._items.maxlen
            self._items.append(item)
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
                self._ready.wait_for(lambda: self._stopped or bool(self._items))
                if self._stopped:
                    return
                item = self._items.popleft()
            self._handle(item)
            del item  # a frame need not stay in memory until the next one
