"""`voxbox export ssz`: SSZ's deployed graph."""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from tqdm import tqdm

from ssz_ros.contract import Contract
from ssz_ros.network import Deployed, build
from ssz_ros.reconstructor import align, load_deployed
from voxbox.bag.samples import samples
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox.export import release
from voxbox.export.class_bias import best_bias, gather
from voxbox.export.graphs import lowered
from voxbox.export.image_frames import calibration_images
from voxbox.export.onnx_graph import write_onnx
from voxbox.export.parity import Arrays
from voxbox.training.ssz.data import Frame, open_folders
from voxbox_core import weights as weights_file
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.voxel_folder import VoxelFolder
from voxbox_core.errors import InputError
from voxbox_core.runtime import DeployedModule, Run, open_model
from voxbox_core.runtime.torch import Runner

AGREEMENT = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.97}
"""Least part of the cells that a backend must label as PyTorch does, by precision: between two classes that are all but
equally likely, rounding decides, of float32 its order alone."""

_TOLD = 6  # kinds of differences


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--probability",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the graph tells how certain each label is (default: it does)",
    )
    add(
        "--data",
        type=Path,
        help="folder of voxel samples whose first images check the backends (default: the shipped drive's), and which "
        "int8 is calibrated on too",
    )
    add(
        "--balance",
        type=Path,
        metavar="FOLDER",
        help="voxel samples, neither of training nor of validation, to find the bias of each class by that makes the "
        "labels' mean IoU best (default: the weights' own bias, which is none after training)",
    )
    add("--frames", type=int, default=4, help="how many images check the backends (default %(default)s)")


def export(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the manifest, the size of the ONNX file and the agreement by backend and precision.

    Raises InputError; writes nothing then.
    """
    source = weights_file.load(args.weights)
    contract = Contract.from_json(source.contract)
    if args.balance is not None:
        contract = balanced(source, contract, args.balance)
    frames = aligned_images(contract, args.data, args.frames)
    with tempfile.TemporaryDirectory(prefix="voxbox-export-") as temporary:
        folder = Path(temporary)
        weights_file.save(folder / release.WEIGHTS, source.state, contract.to_json(), half=True)
        deployed = write_graph(folder / release.WEIGHTS, folder / release.ONNX, args.probability)
        graph = folder / release.ONNX
        agreement, scores = lowered(
            args,
            graph,
            lambda: _calibration(contract, args.data, args.calibration),
            lambda file, precision: _check(file, deployed, frames, contract.classes, AGREEMENT[precision]),
        )
        manifest = release.seal(folder, args.system, args.out.name, contract.to_json())
        release.install(folder, args.out)
        size = (args.out / release.ONNX).stat().st_size
    facts = {"model": str(args.out), "manifest": manifest, "onnx_mb": round(size / 1e6, 2)}
    return facts | {"parity": agreement, "accuracy": scores}


def balanced(source: weights_file.Weights, contract: Contract, folder: Path) -> Contract:
    """The contract with the biases that suit a folder of voxel samples. Raises InputError for one of another grid."""
    (samples,) = open_folders([str(folder)], contract)
    network = build(contract).eval()
    weights_file.load_into(network, source)
    shown = tqdm(range(len(samples)), "looking for the classes' bias", unit="frame")
    cells = gather(network, (Frame.of(samples[i], contract) for i in shown), contract)
    bias = best_bias(cells)
    before, after = (cells.mean_iou(np.array(b, np.float32)) for b in (np.zeros(len(bias)), bias))
    told = ", ".join(f"{name} {value:+.3f}" for name, value in zip(contract.classes, bias) if value)
    print(f"mean IoU {before:.3f} becomes {after:.3f} with biases: {told or 'none'}")
    return replace(contract, class_bias=bias)


def write_graph(weights: Path, onnx: Path, probability: bool = True) -> DeployedModule:
    """Write the deployed graph of a weights file, with or without the labels' probability; -> the same in PyTorch."""
    deployed = load_deployed(weights, probability)
    module = cast(Deployed, deployed.module)
    write_onnx(module, module.example(), Deployed.INPUTS, deployed.outputs, deployed.metadata, onnx)
    return deployed


def told(result: Mapping[str, Any]) -> str:
    """The result in a line, and a line for each backend that labels cells otherwise, naming what as what."""
    lines = [f"ONNX {result['onnx_mb']} MB"]
    for backend, found in result["parity"].items():
        line = f"{backend} labels {found['agreement']:.4%} of {found['cells']} cells as PyTorch does"
        kinds = [f"{kind['cells']} {kind['pytorch']} as {kind['other']}" for kind in found["differing"]]
        lines.append(line + (f"; not {', '.join(kinds)}" if kinds else ""))
    return "\n  ".join(lines)


def aligned_images(contract: Contract, data: Path | None, count: int) -> list[Arrays]:
    """Inputs of the deployed graph: the first images of a folder of voxel samples, or of the shipped drive."""
    if data is not None:
        folder = VoxelFolder(data, depth=False)
        pairs = [(s.image, s.camera) for s in (folder[i] for i in range(min(count, len(folder))))]
    else:
        with Bag(SHIPPED_DRIVE) as bag:
            pairs = [(s.image, s.camera) for s in islice(samples(bag, find_topics(bag)), count)]
    return [{"image": align(*pair, contract.fruxel, contract.per_cell).image[None]} for pair in pairs]


def _calibration(contract: Contract, data: Path | None, count: int) -> Iterator[Arrays]:
    """Inputs that int8 is calibrated on."""
    folder = None if data is None else VoxelFolder(data, depth=False)
    images = calibration_images(folder, count)
    return ({"image": align(*each, contract.fruxel, contract.per_cell).image[None]} for each in images)


def _check(
    graph: Path, deployed: DeployedModule, frames: Sequence[Arrays], classes: tuple[str, ...], least: float
) -> dict[str, dict[str, Any]]:
    """Hold every backend against PyTorch. Raises InputError where one strays."""
    reference = Runner(deployed)
    found = {}
    for backend in release.engines():
        found[backend] = compare(reference, open_model(graph, backend).run, frames, classes)
        judge(backend, found[backend], least)
    return found


def compare(reference: Run, other: Run, frames: Sequence[Arrays], classes: tuple[str, ...]) -> dict[str, Any]:
    """Cell by cell, of what two runs of the graph say of images.

    Returns `cells`; `agreement`, the part with the same label; `differing`, how many cells are what to the reference
    and what to the other, the most frequent kinds; `probability`, the largest difference of that, 0..1, where labels
    agree, None where the graph does not tell it.
    """
    count = len(classes)
    confused, certainty = np.zeros((count, count), np.int64), []
    for frame in frames:
        a, b = reference(frame), other(frame)
        pairs = a["labels"].astype(np.int64) * count + b["labels"]
        confused += np.bincount(pairs.ravel(), minlength=count * count).reshape(count, count)
        if "probability" in a:
            same = a["labels"] == b["labels"]
            difference = np.abs(a["probability"].astype(int) - b["probability"])[same]
            certainty.append(float(difference.max(initial=0)) / 255)
    cells, agreeing = int(confused.sum()), int(np.trace(confused))
    np.fill_diagonal(confused, 0)
    return {
        "cells": cells,
        "agreement": agreeing / cells,
        "differing": _kinds(confused, classes),
        "probability": max(certainty, default=None),
    }


def _kinds(confused: np.ndarray, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """confused: (C, C) cells by both labels."""
    ranked = np.argsort(-confused, axis=None, kind="stable")[:_TOLD]
    places = (np.unravel_index(place, confused.shape) for place in ranked)
    told = ((a, b, int(confused[a, b])) for a, b in places)
    return [{"pytorch": classes[a], "other": classes[b], "cells": cells} for a, b, cells in told if cells]


def judge(backend: str, found: Mapping[str, Any], least: float) -> None:
    """Raises InputError where a backend labels too many cells otherwise.  least: part of the cells that must agree."""
    if found["agreement"] >= least:
        return
    kinds = ", ".join(f"{kind['pytorch']} as {kind['other']}" for kind in found["differing"])
    raise InputError(
        f"part of the cells that {backend} labels as PyTorch does",
        f"{found['agreement']:.4%} (it takes {kinds})",
        f"at least {least:.2%}",
        "Report this model: the engine computes something else.",
    )
