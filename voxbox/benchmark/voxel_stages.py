"""An image's way from message to voxels by stage, in the node's own functions, and what showing voxels costs by their
number."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from msgs.ground import GroundMap
from msgs.images import read_image
from msgs.voxels import VoxelMarkers, voxel_cloud
from ssz_ros.reconstructor import SSZ
from voxbox.benchmark.turns import Case, in_turn, ratio, spread
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import messages
from voxbox_core.fruxel import STREET
from voxbox_core.voxels import AIR, CLASSES, Voxels

STAGES = ("read", "preprocess", "inference", "postprocess", "surface", "cloud", "ground")
"""Image to RGB, RGB to the grid's image, the graph, its outputs to voxels, which of them touch air, these to
PointCloud2, all to OccupancyGrid."""
CPU = "cpu"
SHOWN = ("cloud", "cubes", "ground")

_HEIGHT = 1.65  # m, of it above the ground


def by_backend(
    model: Path | str, backends: Sequence[str], image: np.ndarray, camera: Camera, rounds: int, threads: int
) -> dict[str, dict[str, Any]]:
    """One image message through every backend, `rounds` times in turn.

    Returns by backend: the spread of each stage and of CPU, ms; `voxels`, how many the cloud has; and the ratio of its
    CPU time to the first backend's.
    """
    message, count = messages.image(0, "camera", image), {}
    cases = {}
    for name in backends:
        cases[name], count[name] = _case(SSZ.open(model, name, threads), message, camera)
    times = in_turn(cases, rounds, "stages")
    first = times[backends[0]][CPU]
    return {
        name: {"voxels": count[name], "stages_ms": _spreads(found, (*STAGES, CPU)), "ratio": ratio(found[CPU], first)}
        for name, found in times.items()
    }


def _case(ssz: SSZ, message: Any, camera: Camera) -> tuple[Case, int]:
    from std_msgs.msg import Header

    header, ground = Header(), GroundMap(0.2, 2.0, _HEIGHT)

    def once() -> dict[str, float]:
        cpu, begun = process_time(), perf_counter()
        taken = read_image(message)
        read = perf_counter()
        voxels = ssz(taken, camera)
        found = perf_counter()
        surface = voxels.surface
        chosen = perf_counter()
        voxel_cloud(voxels, surface, header)
        written = perf_counter()
        ground.of(voxels, header)
        stages = {"read": read - begun, **ssz.stages, "surface": chosen - found, "cloud": written - chosen}
        return stages | {"ground": perf_counter() - written, CPU: process_time() - cpu}

    return once, int(ssz(read_image(message), camera).surface.sum())


def by_count(counts: Sequence[int], rounds: int) -> dict[str, dict[str, Any]]:
    """Voxels of `counts` cells each in the street's grid, as messages ready to be sent, `rounds` times in turn.

    Returns by count: for the cloud, the cubes (all of them) and the ground, the spread, ms, of making the message and
    serializing it, and how many `bytes` that gives.
    """
    cases, sizes = {}, {}
    for count in counts:
        for what, make in _messages(count).items():
            cases[f"{count} {what}"] = _serialized(make)
            sizes[f"{count} {what}"] = len(_serialize(make()))
    times = in_turn(cases, rounds, "voxels")
    return {
        str(count): {
            what: {"ms": spread(times[f"{count} {what}"]["all"]), "bytes": sizes[f"{count} {what}"]} for what in SHOWN
        }
        for count in counts
    }


def scattered(count: int) -> Voxels:
    """`count` cells of the street's grid anywhere, of any class but air; ground and air besides are not there."""
    rng = np.random.default_rng(0)
    labels = np.full(STREET.shape, AIR, np.uint8)
    chosen = rng.permutation(labels.size)[:count]
    labels.ravel()[chosen] = rng.integers(1, len(CLASSES), len(chosen))
    return Voxels(labels, STREET, np.full(STREET.shape, 200, np.uint8))


def _messages(count: int) -> dict[str, Callable[[], Any]]:
    from std_msgs.msg import Header

    voxels, header = scattered(count), Header()
    cells, ground = voxels.occupied, GroundMap(0.2, 2.0, _HEIGHT)
    markers = VoxelMarkers(count, 0.5)
    return {
        "cloud": lambda: voxel_cloud(voxels, cells, header),
        "cubes": lambda: markers.of(voxels, cells, header),
        "ground": lambda: ground.of(voxels, header),
    }


def _serialized(make: Callable[[], Any]) -> Case:
    def once() -> dict[str, float]:
        begun = process_time()
        _serialize(make())
        return {"all": process_time() - begun}

    return once


def _serialize(message: Any) -> bytes:
    from rclpy.serialization import serialize_message

    return message if isinstance(message, bytes) else bytes(serialize_message(message))


def _spreads(times: Mapping[str, np.ndarray], stages: Sequence[str]) -> dict[str, dict[str, float]]:
    return {stage: spread(times[stage]) for stage in stages}


def backend_table(result: Mapping[str, Mapping[str, Any]]) -> str:
    """A line per backend: medians."""
    lines = [f"{'backend':14}" + "".join(f"{stage:>13}" for stage in STAGES) + f"{'all, CPU':>11}   p50, ms"]
    for name, found in result.items():
        stages, r = found["stages_ms"], found["ratio"]
        cells = "".join(f"{stages[stage]['p50']:13.2f}" for stage in STAGES)
        ratios = f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f}) of {next(iter(result))}"
        lines.append(f"{name:14}{cells}{stages[CPU]['p50']:11.2f}   {ratios}; {found['voxels']} voxels")
    return "\n".join(lines)


def count_table(result: Mapping[str, Mapping[str, Any]]) -> str:
    """A line per number of voxels: medians of CPU time, and sizes."""
    lines = [f"{'voxels':>8}" + "".join(f"{what:>12}, ms{'kB':>9}" for what in SHOWN)]
    for count, found in result.items():
        cells = "".join(f"{found[what]['ms']['p50']:16.2f}{found[what]['bytes'] / 1e3:9.0f}" for what in SHOWN)
        lines.append(f"{count:>8}{cells}")
    return "\n".join(lines)
