"""The detector's stages by backend, measured in turn so that a drifting machine treats all alike."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from km3d_ros.detector import KM3D
from voxbox.benchmark.turns import in_turn
from voxbox_core.datasets.sample import Sample

STAGES = ("preprocess", "inference", "postprocess")


def measure(model: Path | str, backends: Sequence[str], sample: Sample, rounds: int, threads: int) -> dict[str, Any]:
    """One image through every backend, `rounds` times in turn.

    Returns by backend: p50 and p95 of each stage, ms, and the ratio of its inference time to the first backend's,
    round by round: median, lowest, highest.
    """
    detectors = {name: KM3D.open(model, name, threads) for name in backends}
    cases = {name: partial(_once, detector, sample) for name, detector in detectors.items()}
    times = in_turn(cases, rounds, "engines")
    arrays = {name: np.stack([found[stage] for stage in STAGES], 1) for name, found in times.items()}
    first = arrays[backends[0]][:, 1]
    return {name: _summary(array, first) for name, array in arrays.items()}


def _once(detector: KM3D, sample: Sample) -> dict[str, float]:
    detector(sample.image, sample.camera)
    return detector.stages


def _summary(times: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """times: (rounds, stages) ms.  reference: (rounds,) inference of the first backend, ms."""
    ratio = times[:, 1] / reference
    stages = {
        stage: {"p50": float(np.median(column)), "p95": float(np.percentile(column, 95))}
        for stage, column in zip(STAGES, times.T)
    }
    return {
        "stages_ms": stages,
        "ratio": {"median": float(np.median(ratio)), "low": float(ratio.min()), "high": float(ratio.max())},
    }


def table(result: dict[str, Any]) -> str:
    """A line per backend."""
    first = next(iter(result))
    lines = [f"{'backend':14}" + "".join(f"{s + ' p50':>18}" for s in STAGES) + f"{'inference / ' + first:>28}"]
    for name, found in result.items():
        cells = "".join(f"{found['stages_ms'][s]['p50']:15.2f} ms" for s in STAGES)
        r = found["ratio"]
        lines.append(f"{name:14}{cells}{r['median']:14.2f} ({r['low']:.2f} to {r['high']:.2f})")
    return "\n".join(lines)
