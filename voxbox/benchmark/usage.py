"""What a process takes of the machine, by Linux's /proc."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from voxbox_core.errors import InputError

_TICKS = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12  # fields of /proc/PID/stat behind the command's name


@dataclass(frozen=True)
class Usage:
    """At one moment.  at: s, monotonic.  cpu: s so far.  rss, own: MiB resident, and what no other process shares.
    handles: open file descriptors."""

    at: float
    cpu: float
    rss: float
    own: float
    handles: int
    threads: int

    def percent_since(self, before: "Usage") -> float:
        """CPU time per time since then; 100 is one core."""
        return 100 * (self.cpu - before.cpu) / max(self.at - before.at, 1e-6)


def usage(pid: int) -> Usage:
    """Of a process of this user. Raises InputError when it has ended."""
    folder = Path("/proc", str(pid))
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        handles, threads = len(os.listdir(folder / "fd")), len(os.listdir(folder / "task"))
        memory = {
            line.split(":")[0]: int(line.split()[1])
            for line in (folder / "smaps_rollup").read_text().splitlines()[1:]
            if line.endswith("kB")
        }
    except OSError as error:
        raise InputError(f"process {pid}", "gone", "running until it is measured", "See its log.") from error
    cpu = (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS
    own = memory["Private_Clean"] + memory["Private_Dirty"]
    return Usage(time.monotonic(), cpu, memory["Rss"] / 1024, own / 1024, handles, threads)
