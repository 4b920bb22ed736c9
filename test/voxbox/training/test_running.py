"""Signals are heard between steps, and are the process's own again afterwards."""

import subprocess
import sys

# In a process of its own: one that other tests have shared with ROS and engines may have other ideas of its signals.
PROGRAM = """
import signal
from voxbox.training.running import signals

both = signal.SIGTERM, signal.SIGINT
before = [signal.getsignal(number) for number in both]
with signals() as caught:
    for number in both:
        signal.raise_signal(number)
assert caught == list(both)
assert [signal.getsignal(number) for number in both] == before
"""


def test_signals_are_caught_and_then_let_go():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
