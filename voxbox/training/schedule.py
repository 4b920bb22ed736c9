"""What changes over a run, as pure functions of its progress in [0, 1]; and the clock that measures progress.

Progress can be counted in steps or in wall-clock time: on a machine that others use too, a run then ends when it
should, with its learning rate annealed, however many steps it got.
"""

import math
import time
from dataclasses import dataclass, field


def learning_rate(progress: float, warmup: float) -> float:
    """Fraction of the peak rate: linear warm-up over the first `warmup` of the run, then half a cosine down to zero."""
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min((progress - warmup) / (1 - warmup), 1.0)))


def stepped_rate(progress: float, drops: tuple[float, ...]) -> float:
    """Fraction of the peak rate: divided by ten at each of `drops` (KM3D, A7: epochs 90 and 120 of 200)."""
    return 0.1 ** sum(progress >= drop for drop in drops)


def linear_rate(progress: float, warmup: float) -> float:
    """Fraction of the peak rate: constant for half of the run, then linearly down to zero (Z-GAN's rule, which SSZ's
    paper does not contradict); after the same warm-up."""
    return min(max(progress / warmup, 1e-3) if progress < warmup else 1.0, 2 * (1 - progress))


@dataclass
class Clock:
    """How far a run is. steps or minutes is its whole length; `resumed` is what earlier parts took, s."""

    steps: int
    minutes: float
    step: int = 0
    resumed: float = 0.0
    _start: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds spent, earlier parts of a resumed run included."""
        return self.resumed + time.monotonic() - self._start

    @property
    def progress(self) -> float:
        """Fraction of the run that is done."""
        done = self.step / self.steps if self.steps else self.elapsed / (60 * self.minutes)
        return min(done, 1.0)
