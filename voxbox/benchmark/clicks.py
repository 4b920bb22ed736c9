"""From a click to a box: a frame encoded once, clicks on it decoded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from point_detr3d_ros.assist import Assist
from voxbox.benchmark.turns import Case, in_turn, ratio, spread
from voxbox_core.datasets.rig import Prompts, RigSample

CLICKS = (1, 8, 64)
STAGES = ("pillars", "encode_lidar", "encode_images", *(f"decode_{count}" for count in CLICKS))


def measure(
    model: Path | str, backends: Sequence[str], sample: RigSample, rounds: int, threads: int
) -> list[dict[str, Any]]:
    """A frame without its cameras and with them, by every backend, `rounds` times in turn.

    Returns of each backend and number of cameras: the spread of each stage, ms, and `ratio` of the time of one click to
    that of the first backend with as many cameras.
    """
    views = [sample.views[:count] for count in sorted({0, len(sample.views)})]
    named: dict[str, tuple[str, int]] = {}
    cases: dict[str, Case] = {}
    for backend in backends:
        assist = Assist.open(model, backend, threads)
        for own in views if assist.contract.cameras else views[:1]:
            name = f"{backend}, {len(own)} cameras"
            named[name] = backend, len(own)
            cases[name] = _case(assist, RigSample(sample.name, sample.points, sample.height, own))
    times = in_turn(cases, rounds, "clicks")
    first = {cameras: times[name]["decode_1"] for name, (backend, cameras) in named.items() if backend == backends[0]}
    return [
        {
            "backend": backend,
            "cameras": cameras,
            "stages_ms": {stage: spread(times[name][stage]) for stage in STAGES},
            "ratio": ratio(times[name]["decode_1"], first[cameras]),
        }
        for name, (backend, cameras) in named.items()
    ]


def _case(assist: Assist, sample: RigSample) -> Case:
    classes = assist.contract.classes
    rng = np.random.default_rng(0)
    places = sample.points[rng.integers(0, len(sample.points), max(CLICKS)), :3]
    prompts = Prompts(places, np.arange(max(CLICKS)) % len(classes), classes)

    def once() -> dict[str, float]:
        encoded = assist.encode(sample.points, sample.height, sample.views)
        stages = dict(assist.stages)
        for count in CLICKS:
            begun = perf_counter()
            assist.decode(encoded, prompts[:count])
            stages[f"decode_{count}"] = perf_counter() - begun
        return stages

    return once


def table(result: Sequence[Mapping[str, Any]]) -> str:
    """A line per backend and number of cameras: medians."""
    lines = [f"{'backend':14}{'cameras':>8}" + "".join(f"{stage:>15}" for stage in STAGES) + "   p50, ms"]
    for found in result:
        cells = "".join(f"{found['stages_ms'][stage]['p50']:15.2f}" for stage in STAGES)
        r = found["ratio"]
        compared = f"   one click {r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f}) of {result[0]['backend']}"
        lines.append(f"{found['backend']:14}{found['cameras']:8}{cells}{compared}")
    return "\n".join(lines)
