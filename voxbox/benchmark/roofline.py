"""A network against what its device can do: the time that its work takes at least, and what it takes.

A frame goes alone, batch 1. On a GPU the moments between its stages are events among the GPU's own work.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from voxbox.benchmark import ceilings, graph_cost
from voxbox.benchmark.ceilings import Ceilings
from voxbox.benchmark.graph_cost import Cost, Shape
from voxbox.benchmark.stopwatch import Stopwatch
from voxbox.benchmark.turns import Case, in_turn, spread
from voxbox_core.errors import InputError
from voxbox_core.runtime import ModelFile, OnDevice

UPLOAD, PREPARE, NETWORK, FINISH = STAGES = ("upload", "prepare", "network", "finish")
"""The frame to the device; warp or pillars there, or on the CPU; the graph; its outputs to the host, and to boxes or
voxels. Where an engine brings its data to a GPU and back by itself, that is part of the network."""

_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}


class Detector(Protocol):
    """What the three systems have in common."""

    run: Any
    device: OnDevice | None
    backend: str
    precision: str

    def __call__(self, *frame: Any) -> object: ...


# A model's path, a backend and its CPU threads -> the detector.
Open = Callable[[Path, str, int], Detector]


class Watched:
    """An engine, between a detector and its own `run` and `device`, that marks the stages of a frame.

    shapes: of the inputs of the last frame, by name.
    """

    def __init__(self, detector: Detector, watch: Stopwatch) -> None:
        self._run, self._device, self._watch = detector.run, detector.device, watch
        self.shapes: dict[str, Shape] = {}
        detector.run = self
        if self._device is not None:
            detector.device = self

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """As the engine's `run`."""
        if self._device is not None:
            return self.download(self.compute(inputs))
        return dict(self._marked(self._run, inputs))

    def upload(self, name: str, data: Any) -> torch.Tensor:
        """See `runtime.OnDevice`."""
        assert self._device is not None
        there = self._device.upload(name, data)
        if UPLOAD not in self._watch:  # what comes later is part of other stages
            self._watch.mark(UPLOAD)
        return there

    def compute(self, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """See `runtime.OnDevice`."""
        assert self._device is not None
        return dict(self._marked(self._device.compute, inputs))

    def download(self, outputs: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
        """See `runtime.OnDevice`."""
        assert self._device is not None
        return self._device.download(outputs)

    def _marked(self, compute: Callable[[Mapping[str, Any]], Any], inputs: Mapping[str, Any]) -> Any:
        self._watch.mark(PREPARE)
        outputs = compute(inputs)
        self._watch.mark(NETWORK)
        self.shapes = {name: tuple(value.shape) for name, value in inputs.items()}
        return outputs


def measure(
    open_detector: Open, model: Path, frame: Sequence[Any], backends: Sequence[str], rounds: int, threads: int
) -> dict[str, Any]:
    """One frame through every backend, `rounds` times in turn, after the ceilings of the devices that they run on.

    frame: what the detector is called with.
    Returns `ceilings` by device, cpu or cuda; and by backend under `networks` its `precision`, what `of_network` tells,
    and `stages_ms`, the spread of those of STAGES that it has.
    Raises InputError where the network sees nothing of the frame, where `graph_cost` cannot count its graph, and where
    PyTorch cannot measure the GPU that it runs on.
    """
    cases, watched, where, precisions = {}, {}, {}, {}
    for name in backends:
        detector = open_detector(model, name, threads)
        on_gpu = detector.device is not None and torch.cuda.is_available()
        where[name] = "cuda" if on_gpu or detector.backend == "tensorrt" else "cpu"
        _require_torch_on(where[name], name)
        precisions[name] = detector.precision
        watch = Stopwatch(on_gpu)
        watched[name] = Watched(detector, watch)
        cases[name] = _case(detector, frame, watch)
    limits = {each: ceilings.measure(torch.device(each), threads) for each in dict.fromkeys(where.values())}
    times = in_turn(cases, rounds, "roofline")
    networks = {}
    for name, found in times.items():
        cost = graph_cost.of_file(
            ModelFile.find(model).onnx, watched[name].shapes, _BYTES[_arithmetic(precisions[name])]
        )
        told = of_network(cost, limits[where[name]], _arithmetic(precisions[name]), float(np.median(found[NETWORK])))
        stages = {stage: spread(found[stage]) for stage in STAGES if stage in found}
        networks[name] = {"device": where[name], "precision": precisions[name], **told, "stages_ms": stages}
    return {"ceilings": {each: asdict(limit) for each, limit in limits.items()}, "networks": networks}


def _require_torch_on(device: str, backend: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        remedy = "Install PyTorch for CUDA, which measures the GPU's ceilings, or choose others."
        raise InputError("--backends", backend, "such as run where PyTorch can compute", remedy)


def of_network(cost: Cost, limit: Ceilings, precision: str, ms: float) -> dict[str, Any]:
    """What a network reaches, which takes `ms`.

    Returns `flops`, `bytes` and `intensity` of its cost; `attainable_ms`, the least time on such a device, and what it
    is `bound` by, compute or memory; `network_ms`; `flops_per_s` and `bytes_per_s` reached; and `share`, percent, the
    least time of the time taken.
    """
    compute, memory = 1e3 * cost.flops / limit.flops(precision), 1e3 * cost.bytes / limit.memory
    return {
        "flops": cost.flops,
        "bytes": cost.bytes,
        "intensity": cost.intensity,
        "attainable_ms": max(compute, memory),
        "bound": "compute" if compute > memory else "memory",
        "network_ms": ms,
        "flops_per_s": 1e3 * cost.flops / ms,
        "bytes_per_s": 1e3 * cost.bytes / ms,
        "share": 100 * max(compute, memory) / ms,
    }


def _arithmetic(precision: str) -> str:
    """The word of a sentence such as `fp32 (the model is int8)`."""
    return precision.split()[0]


def _case(detector: Detector, frame: Sequence[Any], watch: Stopwatch) -> Case:
    def once() -> dict[str, float]:
        watch.mark("begun")
        detector(*frame)
        if NETWORK not in watch:
            raise InputError("frame", "one of which the network sees nothing", "points in its range", "Give another.")
        watch.mark(FINISH)
        return watch.stop()

    return once


def table(result: Mapping[str, Any]) -> str:
    """A line per device, and two tables with a line per backend: the network against its ceilings, and stages."""
    lines = [ceilings.table(Ceilings(**limit)) for limit in result["ceilings"].values()]
    lines.append(
        f"{'backend':14}{'precision':12}{'GFLOP':>8}{'MB':>8}{'FLOP/B':>8}{'at least':>12}{'by':>9}{'network p50':>14}"
        f"{'GFLOP/s':>10}{'GB/s':>8}{'share':>8}"
    )
    for name, r in result["networks"].items():
        lines.append(
            f"{name:14}{_arithmetic(r['precision']):12}{r['flops'] / 1e9:8.2f}{r['bytes'] / 1e6:8.1f}"
            f"{r['intensity']:8.0f}{r['attainable_ms']:9.3f} ms{r['bound']:>9}{r['network_ms']:11.3f} ms"
            f"{r['flops_per_s'] / 1e9:10,.0f}{r['bytes_per_s'] / 1e9:8,.1f}{r['share']:7.0f}%"
        )
    lines.append(f"{'backend':14}" + "".join(f"{stage:>12}" for stage in STAGES) + "   p50, ms")
    for name, r in result["networks"].items():
        stages = r["stages_ms"]
        lines.append(f"{name:14}" + "".join(_cell(stages.get(stage)) for stage in STAGES).rstrip())
    return "\n".join(lines)


def _cell(found: Mapping[str, float] | None) -> str:
    return f"{found['p50']:12.3f}" if found else f"{'-':>12}"
