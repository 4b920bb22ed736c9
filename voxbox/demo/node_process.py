"""The node in its own process, started by the launch file that a vehicle uses."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from voxbox_core.errors import InputError

_PATIENCE = 20.0  # s that launch gets to end its processes in order


def as_given(model: str) -> str:
    """A model's path, for a process in another folder, or its name."""
    return str(Path(model).absolute()) if model and Path(model).exists() else model


class NodeProcess:
    """`ros2 launch voxbox SYSTEM.launch.py NAME:=VALUE …`; its output goes to a file. Ends with the block.

    arguments: of the launch file; those with an empty value are left out.
    """

    def __init__(self, system: str, arguments: Mapping[str, str], log: Path) -> None:
        self.system = system
        self.log = log
        given = [f"{name}:={value}" for name, value in arguments.items() if value]
        self.command = [_ros2(), "launch", "voxbox", f"{system}.launch.py", *given]

    def __enter__(self) -> "NodeProcess":
        with self.log.open("wb") as output:
            # A session of its own: ctrl-c reaches the demo alone, which then ends launch in order.
            self._process = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)  # as a terminal does
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what is left, also when launch went without its node
        self._process.wait()

    def check(self) -> None:
        """Raises InputError when the node has ended."""
        if self._process.poll() is None:
            return
        raise InputError(
            f"node {self.system}",
            f"gone ({self._last_words()})",
            "running until the drive has ended",
            f"To see all it says: {' '.join(['ros2', *self.command[1:]])}",
        )

    def _last_words(self) -> str:
        """The line of its output that tells most: the node's last one about an error, else how launch saw it end."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        ends = [line for line in lines if "process has died" in line]
        errors = [line for line in lines if "error" in line.lower() or "expected" in line]
        return ([line for line in errors if line not in ends] or ends or lines or ["no output"])[-1]


def _ros2() -> str:
    """The `ros2` command of this environment, else the one on the path."""
    beside = Path(sys.executable).with_name("ros2")
    found = str(beside) if beside.is_file() else shutil.which("ros2")
    if found is None:
        raise InputError("command ros2", "absent", "ROS 2, or what `make setup` brings", "Run `make setup`.")
    return found
