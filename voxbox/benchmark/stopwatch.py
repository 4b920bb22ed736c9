"""Moments of work, on the device that does it."""

from itertools import pairwise
from time import perf_counter
from typing import Any

import torch


class Stopwatch:
    """Takes the time between moments: on a GPU, which works behind the program's back, by events among its work.

    on_gpu: PyTorch's present one, and its current stream.
    """

    def __init__(self, on_gpu: bool) -> None:
        self._on_gpu = on_gpu
        self._marks: list[tuple[str, Any]] = []

    def __contains__(self, name: str) -> bool:
        return any(name == marked for marked, _ in self._marks)

    def mark(self, name: str) -> None:
        """This moment, in which what is called so is done; the first begins."""
        self._marks.append((name, _event() if self._on_gpu else perf_counter()))

    def stop(self) -> dict[str, float]:
        """Seconds from one moment to the next, by the name of the latter; a GPU is waited for. All are forgotten."""
        marks, self._marks = self._marks, []
        if self._on_gpu:
            marks[-1][1].synchronize()
            return {name: begun.elapsed_time(done) / 1e3 for (_, begun), (name, done) in pairwise(marks)}
        return {name: done - begun for (_, begun), (name, done) in pairwise(marks)}


def _event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
