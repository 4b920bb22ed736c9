"""A cloud's way from message to message by stage: by backend, and by the number of its points."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from msgs.boxes import detection_array
from msgs.clouds import Intensity, read_cloud
from point_detr3d_ros.detector import PointDETR3D, grounded_pillars
from voxbox.benchmark.turns import Case, in_turn, ratio, spread
from voxbox_core.datasets.bag import messages
from voxbox_core.datasets.rig import RigSample

STAGES = ("read", "pillars", "inference", "postprocess", "write")
"""PointCloud2 to points, points to pillars, the graph, its outputs to boxes, boxes to Detection3DArray."""
CPU = "cpu"
"""All of them, CPU time of all threads, in which other programs' share of the machine does not count."""

_NOISE = 0.02  # m, as of LiDARs
_TURN = np.radians(0.5)  # at most, of copies of a cloud: they lie between the beams' marks on the ground


def by_backend(
    model: Path | str, backends: Sequence[str], sample: RigSample, rounds: int, threads: int
) -> dict[str, dict[str, Any]]:
    """One cloud through every backend, `rounds` times in turn.

    Returns by backend: the spread of each stage and of CPU, ms, and the ratio of its CPU time to the first backend's.
    """
    cases = {name: _case(PointDETR3D.open(model, name, threads), sample) for name in backends}
    times = in_turn(cases, rounds, "backends")
    first = times[backends[0]][CPU]
    return {name: _summary(found) | {"ratio": ratio(found[CPU], first)} for name, found in times.items()}


def by_points(
    model: Path | str, backend: str, sample: RigSample, counts: Sequence[int], rounds: int, threads: int
) -> dict[str, dict[str, Any]]:
    """The cloud thinned or tiled to each of `counts` points, through one backend, `rounds` times in turn.

    Returns by count: how many `pillars`, how many points `left_out` for want of a place, and each stage's spread, ms.
    """
    detector, cases, facts = PointDETR3D.open(model, backend, threads), {}, {}
    for count in counts:
        cloud = resized(sample.points, count)
        cases[str(count)] = _case(detector, RigSample(sample.name, cloud, sample.height))
        standing = grounded_pillars(cloud, sample.height, detector.contract)
        facts[str(count)] = {"pillars": len(standing.cell), "left_out": standing.overflow_points}
    times = in_turn(cases, rounds, "points")
    return {name: facts[name] | _summary(found) for name, found in times.items()}


def resized(points: np.ndarray, count: int) -> np.ndarray:
    """Points (P, 5) -> (count, 5): fewer of them in their order, or copies turned a little about the LiDAR."""
    rng = np.random.default_rng(0)
    copies = [points]
    while sum(map(len, copies)) < count:
        angle, turned = rng.uniform(-_TURN, _TURN), points.copy()
        sin, cos = np.sin(angle), np.cos(angle)
        turned[:, :2] = points[:, :2] @ np.array([[cos, sin], [-sin, cos]], np.float32)
        turned[:, :3] += rng.normal(0, _NOISE, (len(points), 3)).astype(np.float32)
        copies.append(turned)
    every = np.concatenate(copies)
    return every[np.sort(rng.permutation(len(every))[:count])]


def _case(detector: PointDETR3D, sample: RigSample) -> Case:
    from std_msgs.msg import Header

    message, header, intensity = messages.point_cloud(0, "lidar", sample.points[:, :4]), Header(), Intensity()

    def once() -> dict[str, float]:
        cpu, begun = process_time(), perf_counter()
        cloud = read_cloud(message)
        intensity.scale(cloud.points)
        read = perf_counter()
        boxes = detector(cloud.points, sample.height)
        found = perf_counter()
        detection_array(boxes, header)
        stages = {"read": read - begun, **detector.stages, "write": perf_counter() - found}
        return stages | {CPU: process_time() - cpu}

    return once


def _summary(times: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {"stages_ms": {stage: spread(times[stage]) for stage in (*STAGES, CPU)}}


def table(result: Mapping[str, Mapping[str, Any]], what: str) -> str:
    """A line per case: medians, and 90th percentiles of the graph."""
    lines = [f"{what:14}" + "".join(f"{stage:>13}" for stage in STAGES) + f"{'(p90)':>9}{'all, CPU':>11}   p50, ms"]
    for name, found in result.items():
        stages = found["stages_ms"]
        cells = "".join(f"{stages[stage]['p50']:13.2f}" for stage in STAGES)
        line = f"{name:14}{cells}{stages['inference']['p90']:9.2f}{stages[CPU]['p50']:11.2f}"
        if "ratio" in found:
            r = found["ratio"]
            line += f"   {r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f}) of {next(iter(result))}"
        else:
            line += f"   {found['pillars']} pillars, {found['left_out']} points left out"
        lines.append(line)
    return "\n".join(lines)
