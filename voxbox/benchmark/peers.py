"""A system as its node runs it against the same network by other engines, each in the straightforward way.

All cases take turns on one frame in one process, from data in memory to the answer in memory. After each go the process
sleeps until idle threads that spin (ONNX Runtime's, OpenMP's) sleep too: their CPU time is that of the case they belong
to, and slows none of the others. Memory is that of a process of the case's own.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple, Protocol

import numpy as np

from voxbox.benchmark.agreement import told
from voxbox.benchmark.memory import resident
from voxbox.benchmark.peer_engines import ENGINES, Network, open_engine
from voxbox.benchmark.processes import in_own_process
from voxbox.benchmark.turns import Case, in_turn, ratio, spread
from voxbox_core.errors import InputError
from voxbox_core.runtime import Run
from voxbox_core.runtime.model import ModelFile

OURS, WHOLE = "voxbox", "voxbox fp32"
"""Ours, in the precision that its engine prefers; and the same in fp32, as peers are."""
PEERS = (WHOLE, *ENGINES)
WALL, CPU = "wall", "cpu"
FILE = "network.onnx"
COMPARED = 5
"""Frames on which answers are compared."""
_REST = 0.05  # s after each go
_SETTLED = 5  # frames until an engine has taken the memory it wants

# A sample of whichever kind the system takes, and the boxes or voxels in it.
Frame = Any
Answer = Any


class Pipeline(Protocol):
    """What is around a network: `before` makes its inputs, and what `after` needs besides its outputs."""

    def before(self, frame: Frame, /) -> tuple[dict[str, np.ndarray], Any]: ...

    def after(self, outputs: Mapping[str, np.ndarray], made: Any, frame: Frame, /) -> Answer: ...


class Ours(NamedTuple):
    """The detector as a node calls it, and what it says of its engine."""

    answer: Callable[[Frame], Answer]
    backend: str
    precision: str


@dataclass(frozen=True)
class System:
    """What there is to know of a system to measure it. All are functions of modules, so that other processes get them.

    ours: model folder, backend, threads, precision.  pipeline: of a model folder.  network: of a weights file.
    agreement: of a model folder, and our answer and a peer's to some frames.
    """

    ours: Callable[[Path, str, int, str], Ours]
    pipeline: Callable[[Path], Pipeline]
    network: Callable[[Path], Network]
    agreement: Callable[[Path, Sequence[tuple[Answer, Answer]]], dict[str, float]]


@dataclass(frozen=True)
class Contest:
    """A system's released model, the backend of our side, the file of the network alone, and the CPU threads of all
    (0: as each one's default is). Raises InputError for a model without weights."""

    system: System
    model: Path
    backend: str
    file: Path
    threads: int = 0

    def __post_init__(self) -> None:
        if not (self.model.is_dir() and ModelFile.find(self.model).weights):
            raise InputError("model", self.model, "a released folder with weights", "Peers need the weights.")

    def network(self) -> Network:
        """The trained network alone."""
        weights = ModelFile.find(self.model).weights
        assert weights is not None
        return self.system.network(weights)

    def open(self, name: str) -> "Contestant":
        """name: OURS, WHOLE or an engine's. Raises InputError where this machine cannot run it."""
        if name in (OURS, WHOLE):
            precision = "auto" if name == OURS else "fp32"
            own = self.system.ours(self.model, self.backend, self.threads, precision)
            return Contestant(own.answer, f"{own.backend} {own.precision}")
        engine = open_engine(name, self.network, self.file, self.threads)
        return Contestant(_straightforward(self.system.pipeline(self.model), engine.run), engine.precision)


class Contestant(NamedTuple):
    """answer: a frame to its answer.  engine: what runs."""

    answer: Callable[[Frame], Answer]
    engine: str


def _straightforward(pipeline: Pipeline, run: Run) -> Callable[[Frame], Answer]:
    def answer(frame: Frame) -> Answer:
        inputs, made = pipeline.before(frame)
        return pipeline.after(run(inputs), made, frame)

    return answer


def timed(answer: Callable[[Frame], Answer], frame: Frame) -> Case:
    """A turn: seconds on the clock, and CPU seconds of all threads until they rest."""

    def once() -> dict[str, float]:
        cpu, begun = process_time(), perf_counter()
        answer(frame)
        wall = perf_counter() - begun
        time.sleep(_REST)
        return {WALL: wall, CPU: process_time() - cpu}

    return once


def open_all(contest: Contest, peers: Sequence[str]) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Ours and the peers that run here, by name; and why the others do not."""
    opened, skipped = {OURS: contest.open(OURS)}, {}
    for name in peers:
        try:
            opened[name] = contest.open(name)
        except InputError as error:
            skipped[name] = str(error)
    return opened, skipped


def measure(
    system: System, model: Path, frames: Sequence[Frame], backend: str, peers: Sequence[str], rounds: int, threads: int
) -> dict[str, Any]:
    """The first of the frames through ours and each peer, `rounds` times in turn; all of them to compare answers.

    Returns `frames`, how many; under `cases` by name: `engine`; spreads of WALL and CPU, ms; `wall_ratio` and
    `cpu_ratio` to ours, round by round; `peak`, MiB, and how much `more` than before the engine was loaded; and
    `agreement` with ours. `skipped` tells why peers are missing. Raises InputError for a model without weights.
    """
    with tempfile.TemporaryDirectory(prefix="voxbox-benchmark-") as folder:
        contest = Contest(system, model, backend, Path(folder) / FILE, threads)
        contest.network().write(contest.file)
        opened, skipped = open_all(contest, peers)
        answers = {name: [each.answer(frame) for frame in frames] for name, each in opened.items()}
        times = in_turn({name: timed(each.answer, frames[0]) for name, each in opened.items()}, rounds, "peers")
        memory = {name: in_own_process(_memory, contest, name, frames[0]) for name in opened}
    first = times[OURS]
    cases = {
        name: {
            "engine": each.engine,
            WALL: spread(times[name][WALL]),
            CPU: spread(times[name][CPU]),
            "wall_ratio": ratio(times[name][WALL], first[WALL]),
            "cpu_ratio": ratio(times[name][CPU], first[CPU]),
            **memory[name],
            "agreement": system.agreement(model, list(zip(answers[OURS], answers[name]))),
        }
        for name, each in opened.items()
    }
    return {"frames": len(frames), "cases": cases, "skipped": skipped}


def _memory(contest: Contest, name: str, frame: Frame) -> dict[str, Any]:
    before = resident()
    answer = contest.open(name).answer
    for _ in range(_SETTLED):
        answer(frame)
    return {"peak": round(resident("VmHWM"), 1), "more": round(resident("VmHWM") - before, 1)}


HEADER = ("", "engine", "wall p50 (p90), ms", "of ours", "CPU p50, ms", "of ours", "memory, MiB", "agrees with ours")


def rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Cells of a table with HEADER, a row per case."""
    made: list[tuple[str, ...]] = []
    for name, found in result["cases"].items():
        wall, cpu = found[WALL], found[CPU]
        times = f"{wall['p50']:.1f} ({wall['p90']:.1f})", _ratio(found["wall_ratio"])
        cpus = f"{cpu['p50']:.1f}", _ratio(found["cpu_ratio"])
        same = "" if name == OURS else told(found["agreement"])
        made.append((name, found["engine"], *times, *cpus, f"{found['more']:.0f}", same))
    return made


def _ratio(r: Mapping[str, float]) -> str:
    return f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})"


def table(result: Mapping[str, Any]) -> str:
    """For the terminal, with what was skipped."""
    cells = [HEADER, *rows(result)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
    return "\n".join(lines + [f"{name} skipped: {why}" for name, why in result["skipped"].items()])
