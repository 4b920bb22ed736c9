"""The time of a replay."""

import time

from voxbox.bag.pace import paced
from voxbox_core.datasets.bag import Message
from voxbox_core.datasets.bag.types import CAMERA_INFO, IMAGE


def recording(count, step):
    return [Message("/image", IMAGE, 10**9 + i * step, b"") for i in range(count)]


def test_messages_come_when_they_are_due():
    begun = time.monotonic()
    due = [time.monotonic() - begun for _ in paced(recording(4, 40_000_000), speed=2.0)]
    assert due[0] < 0.02
    for i, moment in enumerate(due):
        assert moment >= 0.02 * i - 1e-4
    assert due[-1] < 0.5


def test_the_clock_never_goes_back_and_meets_every_message():
    ticks = []
    at = [ticks[-1] for _ in paced(recording(3, 30_000_000), 1.0, ticks.append)]
    assert ticks == sorted(ticks)
    assert at == [10**9, 10**9 + 30_000_000, 10**9 + 60_000_000]
    assert len(ticks) > 5  # it goes on between the messages


def test_calibration_precedes_the_image_of_the_same_time():
    both = [Message("/image", IMAGE, 5, b""), Message("/info", CAMERA_INFO, 5, b"")]
    assert [m.topic for m in paced(both, 1.0)] == ["/info", "/image"]
