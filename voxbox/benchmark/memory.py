"""What a detector keeps in memory, in a process of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from point_detr3d_ros.assist import Assist
from point_detr3d_ros.detector import PointDETR3D

CLOUDS = 100  # all of different numbers of pillars, as on a drive: engines may keep something of each


_OPEN: dict[str, Callable[[Path | str, str, int], Callable[[np.ndarray, float], object]]] = {
    "detector": PointDETR3D.open,
    "assist": lambda *model: Assist.open(*model).encode,
}


def measure(
    what: str, model: Path | str, backend: str, threads: int, points: np.ndarray, height: float
) -> dict[str, Any]:
    """what: of _OPEN.

    Returns MiB resident: `imported`; `opened`, with the model loaded and warm; after the `first` and the `last` of
    CLOUDS clouds, thinned from points (P, 5); and the greatest at any time, `peak`.
    """
    imported = resident()
    see = _OPEN[what](model, backend, threads)
    opened = resident()
    after = []
    for share in np.random.default_rng(0).uniform(0.3, 1.0, CLOUDS):
        see(points[: int(share * len(points))], height)
        after.append(resident())
    found = {"imported": imported, "opened": opened, "first": after[0], "last": after[-1], "peak": resident("VmHWM")}
    return {"what": what, "backend": backend, **{name: round(value, 1) for name, value in found.items()}}


def resident(what: str = "VmRSS") -> float:
    """MiB of this process, by Linux: VmRSS now, VmHWM at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{what}:")).split()[1]) / 1024


def table(results: list[dict[str, Any]]) -> str:
    """A line per process."""
    columns = ("imported", "opened", "first", "last", "peak")
    lines = [f"{'backend':14}{'':10}" + "".join(f"{name:>10}" for name in columns) + "   MiB"]
    lines += [f"{r['backend']:14}{r['what']:10}" + "".join(f"{r[name]:10.0f}" for name in columns) for r in results]
    return "\n".join(lines)
