"""Frames rendered on several cores, in order: every process has its own renderer and keeps its last scene."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np

from voxbox.street.plan import Plan
from voxbox_core.datasets.sample import Sample
from voxbox_core.datasets.street.capture import Capture, capture
from voxbox_core.datasets.street.layout import StreetSettings, build_scene
from voxbox_core.datasets.street.lidar import PATTERNS, LidarPattern
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.scene import Scene

Result = TypeVar("Result")


class Films(Protocol):
    """What makes frames of a plan, in one process."""

    def frame(self, index: int, /) -> Any: ...


class Filming:
    """One process's renderer, and the scene it filmed last (a drive stays in one)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.renderer = Renderer(plan.width, plan.height)
        self._pattern = _pattern(plan)
        self._scene: tuple[int, Scene] | None = None

    def frame(self, index: int) -> Capture:
        seed, time = self.plan.moment(index)
        if self._scene is None or self._scene[0] != seed:
            self._scene = seed, build_scene(seed, StreetSettings(self.plan.width, self.plan.height))
        rng = np.random.default_rng([seed, index])
        plan = self.plan
        return capture(self._scene[1], self.renderer, time, plan.name(index), self._pattern, rng, plan.stamp(index))


def _pattern(plan: Plan) -> LidarPattern | None:
    if plan.beams is None:
        return None
    pattern = PATTERNS[plan.beams]
    return pattern if plan.columns is None else replace(pattern, columns=plan.columns)


def film(
    plan: Plan,
    indices: Sequence[int],
    finish: Callable[[Any], Result],
    jobs: int,
    studio: Callable[[Any], Films] = Filming,
) -> Iterator[Result]:
    """finish(frame) of every index, in order, computed in `jobs` processes (in this one when jobs is 1).

    studio: makes, of the plan, what each process films with. It, `finish` and its results travel between processes:
    a class, a module's function or a dataclass's method.
    """
    if jobs == 1:
        filming = studio(plan)
        yield from (finish(filming.frame(i)) for i in indices)
        return
    # A forked process would share the parent's OpenGL state; a spawned one has its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start, (plan, finish, studio)) as pool:
        try:
            yield from pool.map(_work, indices, chunksize=plan.moments)
        finally:
            pool.shutdown(cancel_futures=True)


def sample_of(frame: Capture) -> Sample:
    """What of a frame any data set has: the whole capture would be thrice as much to send between processes."""
    return frame.sample


_process: dict = {}


def _start(plan: Plan, finish: Callable[[Any], Result], studio: Callable[[Any], Films]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends its workers
    _process.update(filming=studio(plan), finish=finish)


def _work(index: int) -> Any:
    return _process["finish"](_process["filming"].frame(index))
