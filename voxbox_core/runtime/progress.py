"""How far the building of an engine has come, told to whoever wants to know.

Engines are built deep inside of `open_model`; the node, or a command with a bar, listens around it:

    with progress.told_to(listener):
        KM3D.open(...)
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# What is done, in words, and how much of it, 0 to 1 -> whether to go on. It may be called from any thread.
# Beginning, 0, and end, 1, are told once; between them a part may be told again, to ask.
Listener = Callable[[str, float], bool]

_STEP = 0.01
_PATIENCE = 0.1  # s


def _log(what: str, done: float) -> bool:
    """Beginning and end as warnings, which the commands show: minutes of silence look like a fault."""
    if done in (0.0, 1.0):
        logging.getLogger("voxbox").warning(what)
    return True


_listener: ContextVar[Listener] = ContextVar("listener", default=_log)


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """What is built in the block is told to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Listener:
    """Who listens here; to be asked for in the thread that builds, for others do not know."""
    return _listener.get()


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Phases:
    """Nested phases of a build, each of some steps, as one number from 0 to 1 that never falls.

    tell: is given the number whenever it has grown by a hundredth, and at a step 0.1 s after it was asked last; its
    answer, whether to go on, is remembered. Beginning and end are for the builder to tell. Phases may come from several
    threads.  clock: s.
    """

    def __init__(self, tell: Callable[[float], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self.wanted = True
        self._tell, self._clock = tell, clock
        self._asked = clock()
        self._active: dict[str, _Phase] = {}
        self._told = 0.0
        self._lock = threading.Lock()

    def give_up(self) -> None:
        """Go on no more, whoever listens."""
        self.wanted = False

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins, inside of another or by itself."""
        with self._lock:
            self._active[name] = _Phase(parent, max(steps, 1))

    def step(self, name: str, index: int) -> bool:
        """Step `index`, from 0, of a phase is done. Returns whether to go on."""
        with self._lock:
            if name in self._active:
                self._active[name].done = index + 1
            done = max((self._share(root) for root, p in self._active.items() if p.parent is None), default=0.0)
            part = max(done, self._told) if done < 1.0 else self._told
            if part >= self._told + _STEP or (part > 0.0 and self._clock() >= self._asked + _PATIENCE):
                self._ask(part)
            return self.wanted

    def finish(self, name: str) -> None:
        """A phase has ended; those that did not reach their last step, too."""
        with self._lock:
            self._active.pop(name, None)

    def _ask(self, part: float) -> None:
        self._told = part
        self.wanted = self._tell(part) and self.wanted
        self._asked = self._clock()

    def _share(self, name: str) -> float:
        """Of a phase: the steps that are done, and as much of the next as the phase inside of it has come."""
        phase = self._active[name]
        inside = [self._share(child) for child, p in self._active.items() if p.parent == name]
        return min((phase.done + max(inside, default=0.0)) / phase.steps, 1.0)
