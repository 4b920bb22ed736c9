"""`voxbox export point-detr3d` and `point-detr3d-assist`: the student's graph, and the teacher's three."""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from point_detr3d_ros.assist import Assist
from point_detr3d_ros.assist import load_deployed as load_part
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.detector import SYSTEM, graph_inputs, grounded_pillars, load_deployed
from voxbox.export import accuracy, parity, release
from voxbox.export.graphs import lowered
from voxbox.export.lidar_frames import calibration_frames, lidar_frames
from voxbox.export.onnx_graph import write_onnx
from voxbox.export.parity import Arrays, Tolerance
from voxbox.export.precision import lower
from voxbox_core import weights as weights_file
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.rig import Prompts, RigSample
from voxbox_core.errors import InputError
from voxbox_core.runtime import DeployedModule, open_model
from voxbox_core.runtime.torch import Runner

# Of a score, a part of a size, in m of a centre, and of the heading's sine and cosine: far below what a box is worth,
# far above float32 rounding in another order.
# Of fp16 and int8 twice of what was seen of the released models and more, by nearly all boxes: where two candidates are
# all but as good for one object, rounding decides which comes out.
TOLERANCE = {
    "fp32": Tolerance({"score": 1e-3, "center": 2e-3, "size": 1e-3, "heading": 2e-3}, least_score=1e-2),
    "fp16": Tolerance({"score": 5e-3, "center": 2e-2, "size": 1e-2, "heading": 2e-2}, least_score=0.1, part=0.98),
    "int8": Tolerance(
        {"score": 0.1, "center": 0.2, "size": 0.15, "heading": 0.25}, least_score=0.1, part=0.9, missing=0.15
    ),
}
PROMPTS = (1, 7, 23)
"""Clicks at once that the assistant is checked with."""
_SAME = 0.5  # m between centres of the same box by two engines


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--score-thresholds",
        nargs="+",
        type=float,
        metavar="S",
        help="least score of a published box, a number per class in the contract's order: `voxbox evaluate` prints "
        "those of the best F1",
    )
    configure_assist(parser)


def configure_assist(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        help="rig frames, KITTI clouds or a bag, whose first frames check the backends (default: the street world's), "
        "and which int8 is calibrated on too",
    )
    parser.add_argument("--frames", type=int, default=4, help="how many frames check the backends (default 4)")


def export(args: argparse.Namespace) -> dict[str, Any]:
    """The student. Returns the manifest and the largest differences by backend and precision.

    Raises InputError; writes nothing then.
    """
    source = weights_file.load(args.weights)
    contract = Contract.from_json(source.contract)
    if args.score_thresholds is not None:
        contract = replace(contract, score_thresholds=tuple(args.score_thresholds))
    frames = [_inputs(frame, contract) for frame in lidar_frames(args.data, args.frames)]
    with tempfile.TemporaryDirectory(prefix="voxbox-export-") as temporary:
        folder = Path(temporary)
        weights_file.save(folder / release.WEIGHTS, source.state, contract.to_json(), half=True)
        deployed = write_student(folder / release.WEIGHTS, folder / release.ONNX)
        differences, scores = lowered(
            args,
            folder / release.ONNX,
            lambda: (_inputs(frame, contract) for frame in calibration_frames(args.data, args.calibration)),
            lambda file, precision: _check(file, deployed, frames, TOLERANCE[precision]),
        )
        manifest = release.seal(folder, SYSTEM, args.out.name, contract.to_json())
        release.install(folder, args.out)
    return {"model": str(args.out), "manifest": manifest, "parity": differences, "accuracy": scores}


def _check(
    graph: Path, deployed: DeployedModule, frames: Sequence[Arrays], tolerance: Tolerance
) -> dict[str, dict[str, float]]:
    """Hold every backend against PyTorch. Raises InputError where one strays."""
    reference, differences = Runner(deployed), {}
    for backend in release.engines():
        run = open_model(graph, backend).run
        differences[backend] = parity.compare(reference, run, frames, _nearest, _difference, tolerance)
        parity.judge(backend, differences[backend], tolerance)
    return differences


def export_assist(args: argparse.Namespace) -> dict[str, Any]:
    """The teacher, whose three graphs are too small for int8 to be worth its errors. Returns the manifest of each part
    and the largest differences by backend. Raises InputError; writes nothing then."""
    precision, *others = args.precision
    if others or precision == "int8":
        value = " ".join(args.precision)
        raise InputError("--precision", value, "fp32 or fp16 for the assistant", "Choose one of these.")
    source = weights_file.load(args.weights)
    contract = Contract.from_json(source.contract)
    frames = [Asked(frame, _prompts(frame, contract)) for frame in lidar_frames(args.data, args.frames)]
    with tempfile.TemporaryDirectory(prefix="voxbox-export-") as temporary:
        folder = Path(temporary)
        weights_file.save(folder / release.WEIGHTS, source.state, contract.to_json(), half=True)
        parts = write_teacher(folder)
        seal_teacher(folder, parts, args.out.name)
        scores = {"fp32": accuracy.measure(args, folder)}
        for part in parts:
            lower(folder / part / release.ONNX, precision)
        manifests = seal_teacher(folder, parts, args.out.name)
        tolerance = replace(TOLERANCE[precision], least_score=0.0)  # a click's box is one, whatever its score
        differences = {}
        reference = _answers(folder, "torch")
        for backend in release.engines():
            found = _answers(folder, backend)
            compared = parity.compare(reference, found, frames, _same, _difference, tolerance)
            parity.judge(backend, compared, tolerance)
            differences[f"{backend} {precision}"] = compared
        if precision not in scores:
            scores[precision] = accuracy.measure(args, folder)
        release.install(folder, args.out)
    return {"model": str(args.out), "manifest": manifests, "parity": differences, "accuracy": scores}


def write_student(weights: Path, graph: Path) -> DeployedModule:
    """Write the student's graph with the weights of a file; -> the same for PyTorch."""
    deployed = load_deployed(weights)
    module: Any = deployed.module
    write_onnx(module, module.example(), module.INPUTS, deployed.outputs, deployed.metadata, graph, module.DYNAMIC)
    return deployed


def write_teacher(folder: Path) -> tuple[str, ...]:
    """Write the graphs of a folder's weights, each into a folder of its own; -> their names."""
    weights = folder / release.WEIGHTS
    contract = Contract.from_json(weights_file.load(weights).contract)
    parts = ("lidar", "image", "prompt") if contract.cameras else ("lidar", "prompt")
    for part in parts:
        deployed, own = load_part(weights, part), folder / part
        module: Any = deployed.module
        inputs = module.inputs if part == "prompt" else module.INPUTS
        own.mkdir()
        graph = own / release.ONNX
        write_onnx(module, module.example(), inputs, deployed.outputs, deployed.metadata, graph, module.DYNAMIC)
    return parts


def seal_teacher(folder: Path, parts: Sequence[str], name: str) -> dict[str, dict[str, object]]:
    """Seal each part's folder; -> their manifests.  name: of the release."""
    contract, shared = weights_file.load(folder / release.WEIGHTS).contract, f"../{release.WEIGHTS}"
    return {part: release.seal(folder / part, SYSTEM, f"{name}/{part}", contract, shared) for part in parts}


@dataclass(frozen=True)
class Asked:
    """A frame and the clicks on it."""

    sample: RigSample
    prompts: Prompts


def _inputs(sample: RigSample, contract: Contract) -> dict[str, np.ndarray]:
    return graph_inputs(grounded_pillars(sample.points, sample.height, contract))


def _prompts(sample: RigSample, contract: Contract) -> Prompts:
    """Clicks on points of the cloud, all classes in turn."""
    rng = np.random.default_rng(0)
    seen = sample.points[contract.grid.contains(sample.grounded().points)]
    places = seen[:, :3] if len(seen) else np.zeros((1, 3))
    count = max(PROMPTS)
    label = np.arange(count) % len(contract.classes)
    return Prompts(places[rng.integers(0, len(places), count)], label, contract.classes)


def _answers(folder: Path, backend: str) -> Callable[[Asked], Arrays]:
    """The answers to so many clicks at once as PROMPTS says, and the same refined, with the frame's cameras and
    without, as arrays (1, K)."""
    assist = Assist.open(folder, backend)

    def answer(asked: Asked) -> Arrays:
        sample, prompts, answers = asked.sample, asked.prompts, []
        for views in ((), sample.views):
            encoded = assist.encode(sample.points, sample.height, views)
            answers += [assist.decode(encoded, prompts[:count]) for count in PROMPTS]
            answers.append(assist.refine(encoded, answers[-1]))
        boxes = Boxes3D.concatenate(answers)
        columns = {"score": boxes.score, "center": boxes.center, "size": boxes.size}
        columns["heading"] = np.stack([np.sin(boxes.yaw), np.cos(boxes.yaw)], 1)
        return {name: values[None] for name, values in columns.items()}

    return answer


def _same(a: Arrays, b: Arrays, i: int) -> int:
    """A click's box has its place."""
    return i


def _nearest(a: Arrays, b: Arrays, i: int) -> int | None:
    """The box of `b` of the same class whose centre lies nearest to that of box i of `a`.

    Engines order near ties differently, so boxes are paired by where they were found and not by rank."""
    distance = np.linalg.norm(b["center"][0] - a["center"][0, i], axis=1)
    distance = np.where(b["label"][0] == a["label"][0, i], distance, np.inf)
    j = int(distance.argmin())
    return j if distance[j] < _SAME else None


def _difference(a: Arrays, i: int, b: Arrays, j: int) -> dict[str, float]:
    apart = {name: a[name][0, i] - b[name][0, j] for name in ("score", "center", "size", "heading")}
    return {
        "score": abs(apart["score"]),
        "center": np.linalg.norm(apart["center"]),
        "size": np.linalg.norm(apart["size"]) / np.linalg.norm(a["size"][0, i]),
        "heading": np.abs(apart["heading"]).max(),
    }
