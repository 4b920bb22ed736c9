"""The detector's stages by backend, measured in turn so that a drifting machine treats all alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from km3d_ros.detector import KM3D
from voxbox_core.datasets.sample import Sample

WARM_UP = 3
STAGES = ("preprocess", "inference", "postprocess")


def measure(model: Path | str, backends: Sequence[str], sample: Sample, rounds: int, threads: int) -> dict[str, Any]:
    """One image through every backend, `rounds` times in turn.

    Returns by backend: p50 and p95 of each stage, ms, and the ratio of its inference time to the first backend's,
    round by round: median, lowest, highest.
    """
    detectors = {name: KM3D.open(model, name, threads) for name in backends}
    times: dict[str, list[list[float]]] = {name: [] for name in backends}
    for turn in tqdm(range(WARM_UP + rounds), desc="engines", unit="round"):
        for name, detector in detectors.items():
            detector(sample.image, sample.camera)
            if turn >= WARM_UP:
                times[name].append([1e3 * detector.stages[stage] for stage in STAGES])
    arrays = {name: np.array(rows) for name, rows in times.items()}
    first = arrays[backends[0]][:, 1]
    return {name: _summary(array, first) for name, array in arrays.items()}


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
