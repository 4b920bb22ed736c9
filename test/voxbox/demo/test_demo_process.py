"""The node's process ends with the demo, whatever became of launch."""

import time
from contextlib import suppress
from pathlib import Path

import pytest

from voxbox.demo import node_process
from voxbox.demo.node_process import NodeProcess
from voxbox_core.errors import InputError

LIMIT = 10.0  # s


def test_a_node_that_launch_has_left_behind_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = tmp_path / "ros2"
    launch.write_text(f"#!/bin/sh\nsleep 300 &\necho $! > {tmp_path / 'left'}\necho error: no memory\nexit 1\n")
    launch.chmod(0o755)
    monkeypatch.setattr(node_process, "_ros2", lambda: str(launch))
    with NodeProcess("km3d", {"image": "/image"}, tmp_path / "log") as node:
        assert node._process.wait(LIMIT) == 1
        with pytest.raises(InputError, match=r"node km3d is gone \(error: no memory\)"):
            node.check()
        status = Path("/proc", (tmp_path / "left").read_text().strip(), "status")
        assert _runs(status)
    end = time.monotonic() + LIMIT
    while _runs(status):
        assert time.monotonic() < end


def _runs(status: Path) -> bool:
    """Whether the process is there, and more than a memory of itself."""
    with suppress(OSError):
        return "State:\tZ" not in status.read_text()
    return False
