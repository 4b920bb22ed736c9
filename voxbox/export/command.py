"""Turn trained weights into a model that nodes and people can run.

  voxbox export km3d runs/street/weights.pt --out models/km3d-street

writes model.onnx (raw uint8 image in, boxes out, the contract in its metadata), weights.pt (float16) and manifest.yaml,
after every installed backend has found PyTorch's boxes, all of them, value by value. The manifest, written last, seals
the folder: a model whose bytes are not those it names is refused.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
import yaml

from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D, load_deployed
from voxbox.bag.samples import samples
from voxbox.demo.command import SHIPPED_DRIVE
from voxbox.export.onnx_graph import write_onnx
from voxbox.export.parity import compare
from voxbox.export.sizes import with_scaled_sizes
from voxbox_core import weights as weights_file
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.kitti import KittiFolder
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file
from voxbox_core.runtime import DeployedModule, available, open_model
from voxbox_core.runtime.model import MANIFEST, checksum
from voxbox_core.runtime.torch import Runner

# Relative or in rad: far below what a box is worth, far above float32 rounding in another order.
TOLERANCE = {"score": 1e-3, "yaw": 2e-3, "center": 2e-3, "size": 1e-3}
# Part of the boxes that an engine may miss: the last of the K candidates may change places with the next by a rounding.
MISSING = 0.05


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", choices=("km3d",), help="the system the weights belong to")
    parser.add_argument("weights", type=Path, help="weights.pt of a training run")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write, for example models/NAME")
    parser.add_argument("--keypoints", type=int, help="keypoints the geometric module solves with: 2, 4, 8 or 9")
    parser.add_argument(
        "--scale-size",
        nargs="+",
        default=[],
        metavar="CLASS=L,W,H",
        help="mean length, width, height of the class where the model will be used, over those where it was trained",
    )
    parser.add_argument(
        "--score-thresholds",
        nargs="+",
        type=float,
        metavar="S",
        help="least score of a published box, a number per class in the contract's order (Car, Pedestrian, Cyclist): "
        "`voxbox evaluate` prints those of the best F1",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="KITTI-layout folder whose first frames check the backends (default: the shipped drive)",
    )
    parser.add_argument("--frames", type=int, default=4, help="how many frames check the backends (default 4)")


def run(args: argparse.Namespace) -> dict:
    """Returns the manifest and the largest differences by backend. Raises InputError; writes nothing then."""
    if args.frames < 1:
        raise InputError("--frames", args.frames, "at least 1", "Correct it or leave it out.")
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
        weights_file.save(folder / "weights.pt", source.state, contract.to_json(), half=True)
        deployed = load_deployed(folder / "weights.pt")
        example = tuple(torch.from_numpy(array) for array in frames[0].values())
        write_onnx(
            deployed.module, example, list(frames[0]), deployed.outputs, deployed.metadata, folder / "model.onnx"
        )
        differences = _check(folder, deployed, frames)
        manifest = _manifest(folder, args.system, args.out.name, contract)
        _install(folder, args.out, manifest)
    print(f"{args.out}: " + ", ".join(f"{b} differs by {d['center']:.1e} in position" for b, d in differences.items()))
    return {"model": str(args.out), "manifest": manifest, "parity": differences}


def _frames(contract: Contract, data: Path | None, count: int) -> list[Mapping[str, np.ndarray]]:
    """Inputs of the deployed graph: the first frames of a folder, or of the shipped drive."""
    prepare = KM3D(contract, run=lambda inputs: {}).preprocess
    if data is not None:
        folder = KittiFolder(data, points=False)
        return [prepare(s.image, s.camera) for s in (folder[i] for i in range(min(count, len(folder))))]
    with Bag(SHIPPED_DRIVE) as bag:
        return [prepare(s.image, s.camera) for s in samples(bag, find_topics(bag), count)]


def _check(
    folder: Path, deployed: DeployedModule, frames: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, dict[str, float]]:
    """Hold every backend against PyTorch. Raises InputError where one strays beyond TOLERANCE or MISSING."""
    reference = Runner(deployed)
    found = {}
    for backend in available():
        if backend in ("torch", "tensorrt"):
            continue
        found[backend] = compare(reference, open_model(folder / "model.onnx", backend).run, frames)
        _judge(backend, found[backend])
    return found


def _judge(backend: str, found: Mapping[str, float]) -> None:
    remedy = "Report this model: the engine computes something else."
    boxes = found["compared"] + found["missing"]
    if not boxes:
        raise InputError(
            "boxes to compare the backends by", 0, "at least 1", "Give --data with frames in which the model sees some."
        )
    if found["missing"] > MISSING * boxes:
        value = f"{found['missing']:.0f} of {boxes:.0f}"
        raise InputError(f"boxes of PyTorch that {backend} misses", value, f"at most {MISSING:.0%}", remedy)
    for name, limit in TOLERANCE.items():
        if found[name] > limit:
            raise InputError(
                f"{backend}'s difference from PyTorch in {name}", f"{found[name]:.2e}", f"at most {limit:.0e}", remedy
            )


def _manifest(folder: Path, system: str, name: str, contract: Contract) -> dict[str, object]:
    return {
        "name": name,
        "system": system,
        "onnx": "model.onnx",
        "sha256": checksum(folder / "model.onnx"),
        "weights": "weights.pt",
        "weights_sha256": checksum(folder / "weights.pt"),
        "precision": "fp32",
        "exported": date.today().isoformat(),
        "contract": json.loads(contract.to_json()),
    }


def _install(folder: Path, out: Path, manifest: Mapping[str, object]) -> None:
    """Copy the files into the model folder, each whole, the manifest last; a model card already there stays."""
    for name in ("model.onnx", "weights.pt"):
        with whole_file(out / name) as temporary:
            shutil.copyfile(folder / name, temporary)
    with whole_file(out / MANIFEST) as temporary:
        temporary.write_text(yaml.safe_dump(dict(manifest), sort_keys=False))
