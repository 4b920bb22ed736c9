"""What became of the frames of a node, and how quickly."""

import statistics
import time
from collections import deque
from dataclasses import dataclass

_REMEMBERED = 100  # frames whose latency is summed up


@dataclass
class Counts:
    """Since the node was activated."""

    received: int = 0
    processed: int = 0
    superseded: int = 0  # a newer one came before its turn
    too_old: int = 0  # beyond max_age on arrival
    refused: int = 0  # something about it was wrong, or missing


class Pace:
    """How many frames there are a second, and how long one takes."""

    def __init__(self) -> None:
        self._totals: deque[float] = deque(maxlen=_REMEMBERED)
        self._ticked = (time.monotonic(), 0)

    def took(self, seconds: float) -> None:
        """Another frame has been handled."""
        self._totals.append(seconds)

    def values(self, processed: int) -> dict[str, str]:
        """For the diagnostics.  processed: frames so far; their rate is that since the last call."""
        now = time.monotonic()
        (then, before), self._ticked = self._ticked, (now, processed)
        values = {"frames per second": f"{(processed - before) / max(now - then, 1e-6):.1f}"}
        if self._totals:
            values["latency median ms"] = f"{1e3 * statistics.median(tuple(self._totals)):.1f}"
        return values
