"""How time grows: with the camera's image, the cloud's points, the grid's cells, the cameras, and the threads.

Ours and peers take turns through all points of an axis, timed as `peers` does.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from point_detr3d_ros.assist import Assist
from ssz_ros.contract import PRESETS, Contract
from ssz_ros.network import build
from ssz_ros.reconstructor import SYSTEM as SSZ_SYSTEM
from voxbox.benchmark import plain_ssz
from voxbox.benchmark.peers import CPU, OURS, WALL, Contest, Frame, System, open_all, timed
from voxbox.benchmark.turns import Case, in_turn, spread
from voxbox.export import release
from voxbox.export.ssz import write_graph
from voxbox_core import weights
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.sample import Sample

IMAGES = ((640, 480), (1242, 375), (1920, 1080))
"""Width and height, px, of the camera's image. The network's own input is of one size."""
GRIDS = (32, 64, 96, 128)
"""Cells along each side."""
EXPORTED = ("onnxruntime", "openvino")
"""Peers that take part: those that are opened in no time."""


@dataclass(frozen=True)
class Point:
    """One place on an axis.  threads: 0 leaves each engine its default."""

    model: Path
    frame: Frame
    threads: int = 0


def sweep(
    system: System, axis: str, points: Mapping[str, Point], backend: str, peers: Sequence[str], rounds: int
) -> dict[str, Any]:
    """Ours and each of EXPORTED among the peers at every point, by its label, `rounds` times in turn.

    Returns `axis`, what the labels are; `cases`: by name and label the spreads of WALL and CPU, ms; and `skipped`, why
    peers are missing.
    """
    taking_part = [name for name in peers if name in EXPORTED]
    cases: dict[str, Case] = {}
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="voxbox-benchmark-") as folder:
        files: dict[Path, Path] = {}
        for label, point in points.items():
            known = point.model in files
            file = files.setdefault(point.model, Path(folder) / f"{len(files)}.onnx")
            contest = Contest(system, point.model, backend, file, point.threads)
            if not known:
                contest.network().write(file)
            opened, missing = open_all(contest, taking_part)
            skipped |= missing
            cases |= {f"{name}\t{label}": timed(each.answer, point.frame) for name, each in opened.items()}
        return {"axis": axis, "cases": _by_name(in_turn(cases, rounds, axis)), "skipped": skipped}


def _by_name(times: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, stages in times.items():
        name, label = key.split("\t")
        found.setdefault(name, {})[label] = {what: spread(stages[what]) for what in (WALL, CPU)}
    return found


def by_threads(
    system: System, model: Path, frame: Frame, backend: str, peers: Sequence[str], rounds: int
) -> dict[str, Any]:
    """With 1, 2, 4 ... CPU threads, up to all that this process may use."""
    points = {str(count): Point(model, frame, count) for count in thread_counts(len(os.sched_getaffinity(0)))}
    return sweep(system, "threads", points, backend, peers, rounds)


def thread_counts(cores: int) -> list[int]:
    """Powers of two below, and all of them."""
    return [2**i for i in range(cores.bit_length()) if 2**i < cores] + [cores]


def by_image(
    system: System, model: Path, sample: Sample, backend: str, peers: Sequence[str], rounds: int, threads: int
) -> dict[str, Any]:
    """The same picture by cameras of IMAGES' sizes."""
    points = {f"{w}x{h}": Point(model, resized(sample, w, h), threads) for w, h in IMAGES}
    return sweep(system, "image", points, backend, peers, rounds)


def resized(sample: Sample, width: int, height: int) -> Sample:
    """The picture stretched to another size, px, with the camera that sees it so."""
    scale_x, scale_y = width / sample.camera.width, height / sample.camera.height
    stretch = np.array([[scale_x, 0, scale_x / 2 - 0.5], [0, scale_y, scale_y / 2 - 0.5]])
    camera: Camera = sample.camera.warped(stretch, width, height)
    return Sample(sample.name, cv2.resize(sample.image, (width, height)), camera)


def by_grid(sample: Sample, backend: str, peers: Sequence[str], rounds: int, threads: int) -> dict[str, Any]:
    """Untrained networks (c2d) that fill the paper's frustum with cubes of GRIDS' cells: speed hangs on no weights."""
    with tempfile.TemporaryDirectory(prefix="voxbox-benchmark-") as folder:
        models = {side: _untrained(Path(folder) / str(side), side) for side in GRIDS}
        points = {f"{side}^3": Point(model, sample, threads) for side, model in models.items()}
        return sweep(plain_ssz.SYSTEM, "voxels", points, backend, peers, rounds)


def cube(side: int) -> Contract:
    """A network of `side` cells along each side of the paper's frustum."""
    return replace(PRESETS["c2d128"], slices=side, rows=side, columns=side)


def _untrained(folder: Path, side: int) -> Path:
    torch.manual_seed(0)
    contract = cube(side)
    file = folder / release.WEIGHTS
    weights.save(file, build(contract).state_dict(), contract.to_json())
    write_graph(file, folder / release.ONNX, True)
    release.seal(folder, SSZ_SYSTEM, folder.name, contract.to_json())
    return folder


def by_cameras(model: Path, backends: Sequence[str], sample: RigSample, rounds: int, threads: int) -> dict[str, Any]:
    """The assistant's encoding of a frame with none, one, ... all of the sample's cameras, by each backend.

    Returns what `sweep` does; the first backend is ours.
    """
    cases: dict[str, Case] = {}
    for backend in backends:
        assist = Assist.open(model, backend, threads)
        name = OURS if backend == backends[0] else f"{OURS}, {backend}"
        for count in range(len(sample.views) + 1 if assist.contract.cameras else 1):
            cases[f"{name}\t{count}"] = timed(_encoding(assist, count), sample)
    return {"axis": "cameras", "cases": _by_name(in_turn(cases, rounds, "cameras")), "skipped": {}}


def _encoding(assist: Assist, cameras: int) -> Any:
    return lambda sample: assist.encode(sample.points, sample.height, sample.views[:cameras])


def rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Cells of a table, its header first: a row per point of the axis; wall and CPU time, medians, ms."""
    names = list(found["cases"])
    labels = list(found["cases"][names[0]])
    made = [[found["axis"], *(f"{name}, {what}" for name in names for what in ("ms", "CPU ms"))]]
    for label in labels:
        cells = [found["cases"][name].get(label) for name in names]
        made.append([label, *(f"{c[what]['p50']:.1f}" if c else "-" for c in cells for what in (WALL, CPU))])
    return made


def table(found: Mapping[str, Any]) -> str:
    """For the terminal, with what was skipped."""
    cells = rows(found)
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in cells]
    return "\n".join(lines + [f"{name} skipped: {why}" for name, why in found["skipped"].items()])
