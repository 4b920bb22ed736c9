"""One process of a launch, its output on this terminal line by line, with its name in front."""

import subprocess
import sys
import threading


class Process:
    """A started process."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self._popen = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.name = name
        report(f"{name}: process started with pid [{self._popen.pid}]")
        self._printer = threading.Thread(target=self._print_output, daemon=True)
        self._printer.start()

    def _print_output(self) -> None:
        for line in self._popen.stdout or ():
            print(f"[{self.name}] {line}", end="", flush=True)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    def signal(self, number: int) -> None:
        if self.running:
            self._popen.send_signal(number)

    def finish(self) -> None:
        """Print what is left of the output of a process that has ended, and how it ended."""
        self._printer.join(timeout=1.0)
        if self.returncode == 0:
            report(f"{self.name}: process has finished cleanly")
        else:
            report(f"{self.name}: process has died, exit code {self.returncode}")


def report(line: str) -> None:
    """A line of launch itself."""
    print(f"[launch] {line}", file=sys.stderr, flush=True)
