"""`ros2 launch` in a process of its own, with all that it starts: the real command, or the bare machine's."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

STARTED, ENDED = "process started with pid", "process has finished cleanly"
PATIENCE = 90  # s; nobody waits that long unless the machine is busy with something else


def shared_memory(of: int | None = None) -> set[Path]:
    """The segments of DDS's shared memory on this computer, or those that a process has mapped: its own, and those of
    whom it hears."""
    if of is None:
        return set(Path("/dev/shm").glob("fastrtps_*"))
    maps = Path(f"/proc/{of}/maps").read_text()
    return {Path(path) for path in re.findall(r"/dev/shm/fastrtps_[0-9a-f]{16}$", maps, re.MULTILINE)}


class Launched:
    """`ros2 launch voxbox SYSTEM.launch.py …`; `output` is what it has said so far."""

    def __init__(self, log: Path, system: str, arguments: tuple[str, ...]) -> None:
        ros2 = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
        if not Path(ros2).is_file():
            pytest.skip("no ros2 command: neither ROS 2 nor the environment of make setup")
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [ros2, "launch", "voxbox", f"{system}.launch.py", *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_LOGGING_USE_STDOUT": "1"},
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def started(self) -> list[int]:
        """The processes that were started."""
        return [int(pid) for pid in re.findall(rf"{STARTED} \[(\d+)\]", self.output)]

    @property
    def alive(self) -> set[int]:
        """Those that still run."""
        return {pid for pid in self.started if Path(f"/proc/{pid}").exists()}

    def interrupt(self) -> None:
        """Ctrl-c on its terminal."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE)

    def wait(self) -> int:
        """-> exit status."""
        return self.process.wait(PATIENCE)

    def wait_for(self, holds: Callable[[], object]) -> None:
        """Until it holds; the launch must live so long."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, self.output
            assert self.process.poll() is None, self.output
            time.sleep(0.05)

    def wait_to_say(self, words: str) -> None:
        self.wait_for(lambda: words in self.output)


@contextmanager
def launching(system: str, folder: Path) -> Iterator[Callable[..., Launched]]:
    """What starts launches of a system, with logs in a folder; what still runs is killed at the end."""
    running: list[Launched] = []

    def start(*arguments: str) -> Launched:
        running.append(Launched(folder / f"{len(running)}.log", system, arguments))
        return running[-1]

    try:
        yield start
    finally:
        for each in running:
            if each.process.poll() is None:
                os.killpg(each.process.pid, signal.SIGKILL)
                each.process.wait()
