"""Who may build an engine: one at a time, among threads and processes, and nobody waits who does not want to."""

import errno
import fcntl
import signal
import subprocess
import sys
import threading
import time

import pytest

from voxbox_core.errors import InputError
from voxbox_core.runtime.engine_lock import alone

_HOLD = """
import sys
from pathlib import Path
from voxbox_core.runtime.engine_lock import alone

with alone(Path(sys.argv[1]), lambda what, done: True):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def engine(tmp_path):
    return tmp_path / "engines" / "some.engine"


@pytest.fixture
def other(engine):
    """A process that has the engine to itself until it gets a line, or dies."""
    command = [sys.executable, "-c", _HOLD, engine]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def never(what, done):
    raise AssertionError(what)


def test_who_is_alone_is_told_nothing_time_after_time(engine):
    for _ in range(2):
        with alone(engine, never) as waited:
            assert not waited


def test_other_engines_are_not_waited_for(engine, other):
    with alone(engine.with_stem("another"), never) as waited:
        assert not waited


@pytest.mark.parametrize("end", [lambda process: process.stdin.close(), lambda process: process.kill()])
def test_who_waits_hears_for_whom_and_goes_on_when_the_other_has_ended(engine, other, end):
    heard = []

    def hear(what, done):
        heard.append((what, done))
        if len(heard) == 3:
            end(other)
        return True

    with alone(engine, hear) as waited:
        assert waited
    what = f"waiting for the engine that process {other.pid} builds"
    assert {each for each, _ in heard} == {what}
    assert heard[0] == (what, 0.0)  # the beginning, once
    assert all(0.0 < done < 0.01 for _, done in heard[1:])


def test_who_waits_may_want_no_more(engine, other):
    begun = time.monotonic()
    with (
        pytest.raises(InputError, match=f"some.engine is given up while process {other.pid} builds it"),
        alone(engine, lambda what, done: time.monotonic() < begun + 0.3),
    ):
        pytest.fail("the other still has it")


def test_ctrl_c_ends_the_wait(engine, other):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pressed = threading.Timer(0.3, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
    pressed.start()
    try:
        with pytest.raises(KeyboardInterrupt), alone(engine, lambda what, done: True):
            pytest.fail("the other still has it")
    finally:
        pressed.join()
        signal.signal(signal.SIGINT, before)
    other.kill()
    other.wait()
    with alone(engine, never):
        pass


def test_threads_of_one_process_take_turns_too(engine):
    inside, most = [], []

    def build():
        with alone(engine, lambda what, done: True):
            inside.append(1)
            time.sleep(0.05)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]


def test_a_file_system_without_locks_lets_everybody_in(engine, other, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)  # none here is so
    with alone(engine, never) as waited:
        assert not waited


def test_a_folder_that_cannot_be_written_is_for_the_builder_to_complain_of(tmp_path):
    (tmp_path / "file").touch()
    with alone(tmp_path / "file" / "some.engine", never) as waited:
        assert not waited
