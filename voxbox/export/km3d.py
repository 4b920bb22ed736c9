"""`voxbox export km3d`: KM3D's deployed graph."""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D, load_deployed
from voxbox.bag.samples import samples
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox.export import parity, release
from voxbox.export.graphs import lowered
from voxbox.export.image_frames import calibration_images
from voxbox.export.onnx_graph import write_onnx
from voxbox.export.parity import Arrays, Tolerance
from voxbox.export.sizes import with_scaled_sizes
from voxbox_core import weights as weights_file
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.kitti import KittiFolder
from voxbox_core.runtime import DeployedModule, open_model
from voxbox_core.runtime.torch import Runner

# Relative or in rad. Of fp32 far below what a box is worth, far above float32 rounding in another order; of the others
# twice of what was seen of the released model and more.
TOLERANCE = {
    "fp32": Tolerance({"score": 1e-3, "yaw": 2e-3, "center": 2e-3, "size": 1e-3}, least_score=1e-3),
    "fp16": Tolerance({"score": 5e-3, "yaw": 2e-2, "center": 1e-2, "size": 5e-3}, least_score=0.05),
    "int8": Tolerance(
        {"score": 0.05, "yaw": 0.1, "center": 0.05, "size": 0.02}, least_score=0.05, part=0.9, missing=0.1
    ),
}
_SAME = 4.0  # px between the keypoints of a box by two engines, on average


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--keypoints", type=int, help="keypoints the geometric module solves with: 2, 4, 8 or 9")
    add(
        "--scale-size",
        nargs="+",
        default=[],
        metavar="CLASS=L,W,H",
        help="mean length, width, height of the class where the model will be used, over those where it was trained",
    )
    add(
        "--score-thresholds",
        nargs="+",
        type=float,
        metavar="S",
        help="least score of a published box, a number per class in the contract's order (Car, Pedestrian, Cyclist): "
        "`voxbox evaluate` prints those of the best F1",
    )
    add(
        "--data",
        type=Path,
        help="KITTI-layout folder whose first frames check the backends (default: the shipped drive), and which int8 "
        "is calibrated on too",
    )
    add("--frames", type=int, default=4, help="how many frames check the backends (default 4)")


def export(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the manifest and the largest differences by backend and precision.

    Raises InputError; writes nothing then.
    """
    source = weights_file.load(args.weights)
    contract = Contract.from_json(source.contract)
    if args.keypoints is not None:
        contract = replace(contract, keypoints_used=args.keypoints)
    if args.score_thresholds is not None:
        contract = replace(contract, score_thresholds=tuple(args.score_thresholds))
    contract = with_scaled_sizes(contract, args.scale_size)
    frames = _frames(contract, args.data, args.frames)
    with tempfile.TemporaryDirectory(prefix="voxbox-export-") as temporary:
        folder = Path(temporary)
        weights_file.save(folder / release.WEIGHTS, source.state, contract.to_json(), half=True)
        deployed = load_deployed(folder / release.WEIGHTS)
        example = tuple(torch.from_numpy(array) for array in frames[0].values())
        graph = folder / release.ONNX
        write_onnx(deployed.module, example, list(frames[0]), deployed.outputs, deployed.metadata, graph)
        differences, scores = lowered(
            args,
            graph,
            lambda: _calibration(contract, args.data, args.calibration),
            lambda file, precision: _check(file, deployed, frames, TOLERANCE[precision]),
        )
        manifest = release.seal(folder, args.system, args.out.name, contract.to_json())
        release.install(folder, args.out)
    return {"model": str(args.out), "manifest": manifest, "parity": differences, "accuracy": scores}


def _frames(contract: Contract, data: Path | None, count: int) -> list[Mapping[str, np.ndarray]]:
    """Inputs of the deployed graph: the first frames of a folder, or of the shipped drive."""
    prepare = KM3D(contract, run=lambda inputs: {}).preprocess
    if data is not None:
        folder = KittiFolder(data, points=False)
        return [prepare(s.image, s.camera) for s in (folder[i] for i in range(min(count, len(folder))))]
    with Bag(SHIPPED_DRIVE) as bag:
        return [prepare(s.image, s.camera) for s in samples(bag, find_topics(bag), count)]


def _calibration(contract: Contract, data: Path | None, count: int) -> Iterator[Arrays]:
    """Inputs that int8 is calibrated on."""
    prepare = KM3D(contract, run=lambda inputs: {}).preprocess
    folder = None if data is None else KittiFolder(data, points=False)
    return (prepare(image, camera) for image, camera in calibration_images(folder, count))


def _check(
    graph: Path, deployed: DeployedModule, frames: Sequence[Arrays], tolerance: Tolerance
) -> dict[str, dict[str, float]]:
    """Hold every backend against PyTorch. Raises InputError where one strays."""
    reference = Runner(deployed)
    found = {}
    for backend in release.engines():
        found[backend] = compare(reference, open_model(graph, backend).run, frames, tolerance)
        parity.judge(backend, found[backend], tolerance)
    return found


def compare(
    reference: Callable[[Arrays], Arrays],
    other: Callable[[Arrays], Arrays],
    frames: Sequence[Arrays],
    tolerance: Tolerance,
) -> dict[str, float]:
    """Of boxes: the absolute differences of score and yaw (rad); of the centre, relative to the distance; and of the
    size, relative to the size. See `parity.compare`."""
    return parity.compare(reference, other, frames, _partner, _difference, tolerance)


def _partner(a: Arrays, b: Arrays, i: int) -> int | None:
    """The box of `b` of the same class whose nine keypoints lie nearest to box i of `a`.

    Engines order near ties differently, so boxes are paired by where they were found and not by rank."""
    distance = np.abs(b["keypoints"][0] - a["keypoints"][0, i]).mean((-1, -2))
    distance = np.where(b["label"][0] == a["label"][0, i], distance, np.inf)
    j = int(distance.argmin())
    return j if distance[j] < _SAME else None


def _difference(a: Arrays, i: int, b: Arrays, j: int) -> dict[str, float]:
    turn = a["yaw"][0, i] - b["yaw"][0, j]
    distance, size = (float(np.linalg.norm(a[name][0, i])) for name in ("center", "size"))
    return {
        "score": abs(a["score"][0, i] - b["score"][0, j]),
        "yaw": abs(np.arctan2(np.sin(turn), np.cos(turn))),
        "center": np.linalg.norm(a["center"][0, i] - b["center"][0, j]) / max(distance, 1e-6),
        "size": np.linalg.norm(a["size"][0, i] - b["size"][0, j]) / max(size, 1e-6),
    }
