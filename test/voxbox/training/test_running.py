"""Signals are heard between steps, and are the process's own again afterwards."""

import signal

from voxbox.training.running import signals


def test_signals_are_caught_and_then_let_go():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals() as caught:
        # At once: a ROS context of an earlier test that is collected now would put the process's handlers back.
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert caught == [signal.SIGTERM, signal.SIGINT]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
