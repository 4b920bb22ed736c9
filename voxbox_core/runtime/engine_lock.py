"""One process at a time builds an engine: the others wait, and find it.

A file beside the engine is locked. The kernel unlocks it when its process ends, however that ends, so that the file may
stay; what is in it, the process that builds, is for people.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voxbox_core.errors import InputError
from voxbox_core.runtime.progress import Listener

_PATIENCE = 0.1  # s
_WAITING = 0.001  # what is told while nothing is known of how far the other is: 0, the beginning, is told once


@contextmanager
def alone(engine: Path, tell: Listener) -> Iterator[bool]:
    """Nobody else, in this process or another, is in this block for the same engine; -> whether somebody was before.

    tell: hears whom it waits for.  Where the file system has no locks, or the folder cannot be written, nobody waits.
    Raises InputError when the listener wants to wait no more.
    """
    file = _opened(engine.with_suffix(".lock"))
    if file is None:
        yield False
        return
    try:
        waited = _wait(file, engine, tell)
        _sign(file, str(os.getpid()))
        try:
            yield waited
        finally:
            _sign(file, "")  # who comes next may be asked before it has signed
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)  # closing alone would leave it to a process that was forked meanwhile
    finally:
        os.close(file)


def _opened(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # another user's, perhaps, which can be locked all the same
        with suppress(OSError):
            return os.open(path, os.O_RDONLY)
    return None


def _wait(file: int, engine: Path, tell: Listener) -> bool:
    """Lock the file; -> whether somebody else had it."""
    told = ""
    while not _locked(file):
        what = f"waiting for the engine that {_holder(file)} builds"
        if not tell(what, _WAITING if what == told else 0.0):
            value = f"given up while {_holder(file)} builds it"
            raise InputError(f"engine {engine}", value, "a whole one", "Begin again.")
        told = what
        time.sleep(_PATIENCE)
    return bool(told)


def _locked(file: int) -> bool:
    """Whether it is locked now, or cannot be."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks on this file system
        return True
    return True


def _sign(file: int, holder: str) -> None:
    with suppress(OSError):  # a full disk is the builder's to complain of
        os.ftruncate(file, 0)
        os.pwrite(file, holder.encode(), 0)


def _holder(file: int) -> str:
    process = os.pread(file, 20, 0).decode(errors="replace")
    return f"process {process}" if process.isdigit() else "another process"
