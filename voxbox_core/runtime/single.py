"""What a process has one of, whichever threads ask for it first: nodes of one process load in parallel."""

import threading
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

T = TypeVar("T")


def single(make: Callable[..., T]) -> Callable[..., T]:
    """`make`, which makes one thing for each of its arguments and keeps it. A cache alone would let two threads that
    miss at once make two, and destroy one."""
    lock, kept = threading.Lock(), lru_cache(maxsize=None)(make)

    @wraps(make)
    def get(*args: Any) -> T:
        with lock:
            return kept(*args)

    return get
