"""The time of a replay: each message of a bag when it is due."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from voxbox_core.datasets.bag import Bag, Message
from voxbox_core.datasets.bag.types import COMPRESSED_IMAGE, IMAGE

TICK = 0.01  # s between ticks of the replay's clock

Tick = Callable[[int], None]


def paced(messages: Iterable[Message], speed: float, tick: Tick | None = None) -> Iterator[Message]:
    """Each message when it is due, the first at once. The next one is read from the file before its time comes.

    speed: recorded seconds per second.  tick: called with the replay's time, ns, at least every TICK seconds.
    Among messages of the same time, images come last, so that a camera's calibration is there before its image.
    """
    begun: float | None = None
    first = 0
    for message in _calibration_first(messages):
        if begun is None:
            begun, first = time.monotonic(), message.time
        due = begun + (message.time - first) / 1e9 / speed
        while (left := due - time.monotonic()) > 0:
            if tick is not None:
                tick(first + round((time.monotonic() - begun) * speed * 1e9))
            time.sleep(min(left, TICK))
        if tick is not None:
            tick(message.time)
        yield message


def _calibration_first(messages: Iterable[Message]) -> Iterator[Message]:
    for _, together in groupby(messages, key=lambda m: m.time):
        yield from sorted(together, key=lambda m: m.msgtype in (IMAGE, COMPRESSED_IMAGE))


def recorded_rate(bag: Bag, topic: str) -> float:
    """Messages/s of a topic by their times of recording; 10 where there is a single one."""
    times = [message.time for message in bag.messages([topic])]
    span = (times[-1] - times[0]) / 1e9
    return (len(times) - 1) / span if span > 0 else 10.0
