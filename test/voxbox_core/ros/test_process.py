"""What signals do to a process of nodes."""

import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

PROGRAM = """
import os, signal, time
from voxbox_core.ros.process import _AGAIN, _Asked
asked = _Asked()
signal.signal(signal.SIGINT, asked)
for _ in range(2):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
print("asked to stop" if asked.yes else "goes on", flush=True)
time.sleep(_AGAIN)
os.kill(os.getpid(), signal.SIGINT)
time.sleep(5)
print("survived", flush=True)
"""


def test_a_signal_that_comes_twice_at_once_is_one_and_a_later_one_ends_the_process():
    """Of Ctrl-C a node hears twice where launch has no terminal: from the process group, and from launch."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.stdout == "asked to stop\n"
    assert done.returncode == -signal.SIGINT
