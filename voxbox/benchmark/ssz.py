"""`voxbox benchmark ssz`: the deployed graph against the trained one, an image by stage, what showing voxels costs,
peers, and the device's ceilings."""

import argparse
from pathlib import Path
from typing import Any

from ssz_ros.contract import PRESETS
from ssz_ros.reconstructor import SSZ
from voxbox.bag.command import require_ros
from voxbox.benchmark import voxel_forms, voxel_stages
from voxbox.benchmark.km3d import first_samples
from voxbox.benchmark.options import chosen
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox_core.ros.models import model_path

USUAL = ("forms", "stages", "voxels")
PARTS = (*USUAL, "peers", "scaling", "roofline")


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bag", nargs="?", type=Path, default=SHIPPED_DRIVE, help="ROS 2 bag (default: the shipped street drive)")
    add("--model", default="ssz-street", help="released model's name, folder or .onnx file (default: %(default)s)")
    add("--parts", default=",".join(USUAL), help=f"of {','.join(PARTS)} (default: %(default)s)")
    add(
        "--presets",
        default="street,ssz-street",
        help=f"networks whose forms are compared, untrained, of {','.join(PRESETS)} (default: %(default)s)",
    )
    add("--voxels", type=_counts, default="1000,5000,20000,100000", help="how many are shown (default: %(default)s)")


def measure(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    """The result of each part. Raises InputError for unknown parts, presets, models and data."""
    parts = chosen(args.parts, PARTS, "--parts")
    presets = chosen(args.presets, tuple(PRESETS), "--presets")
    if {"stages", "voxels"} & set(parts):
        require_ros()  # an image's way ends with a message
    result: dict[str, Any] = {}
    if "forms" in parts:
        result["forms"] = {}
        for name in presets:
            found = voxel_forms.measure(PRESETS[name], backends, args.rounds, args.threads)
            result["forms"][name] = found
            print(voxel_forms.table(name, found))
    if "stages" in parts:
        sample, model = first_samples(args.bag, 1)[0], model_path(args.model)
        found = voxel_stages.by_backend(model, backends, sample.image, sample.camera, args.rounds, args.threads)
        result["stages"] = found
        print(f"an image of {sample.camera.width}x{sample.camera.height}\n" + voxel_stages.backend_table(found))
    if "voxels" in parts:
        result["voxels"] = voxel_stages.by_count(args.voxels, args.rounds)
        print(voxel_stages.count_table(result["voxels"]))
    if "peers" in parts:
        result["peers"] = _peers(args, backends[0])
    if "scaling" in parts:
        result["scaling"] = _scaling(args, backends[0])
    if "roofline" in parts:
        result["roofline"] = _roofline(args, backends)
    return result


def _peers(args: argparse.Namespace, backend: str) -> dict[str, Any]:
    from voxbox.benchmark import peers, plain_ssz

    seen, model = first_samples(args.bag, peers.COMPARED), model_path(args.model)
    found = peers.measure(plain_ssz.SYSTEM, model, seen, backend, args.peers, args.rounds, args.threads)
    print(peers.table(found))
    return found


def _scaling(args: argparse.Namespace, backend: str) -> dict[str, Any]:
    from voxbox.benchmark import plain_ssz, scaling

    sample, settings = first_samples(args.bag, 1)[0], (backend, args.peers, args.rounds)
    what = plain_ssz.SYSTEM, model_path(args.model), sample, *settings
    found = {
        "image": scaling.by_image(*what, args.threads),
        "voxels": scaling.by_grid(sample, *settings, args.threads),
        "threads": scaling.by_threads(*what),
    }
    print("\n".join(map(scaling.table, found.values())))
    return found


def _roofline(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    from voxbox.benchmark import roofline

    sample, model = first_samples(args.bag, 1)[0], model_path(args.model)
    found = roofline.measure(SSZ.open, model, (sample.image, sample.camera), backends, args.rounds, args.threads)
    print(roofline.table(found))
    return found


def _counts(text: str) -> list[int]:
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers of voxels such as 1000,20000")
    return counts
