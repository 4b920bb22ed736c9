"""`voxbox benchmark ssz`: the deployed graph against the trained one, an image by stage, what showing voxels costs."""

import argparse
from pathlib import Path
from typing import Any

from ssz_ros.contract import PRESETS
from voxbox.bag.command import require_ros
from voxbox.bag.samples import samples
from voxbox.benchmark import voxel_forms, voxel_stages
from voxbox.benchmark.options import chosen
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.ros.models import model_path

PARTS = ("forms", "stages", "voxels")


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bag", nargs="?", type=Path, default=SHIPPED_DRIVE, help="ROS 2 bag (default: the shipped street drive)")
    add("--model", default="ssz-street", help="released model's name, folder or .onnx file (default: %(default)s)")
    add("--parts", default=",".join(PARTS), help="comma-separated (default: %(default)s)")
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
        with Bag(args.bag) as bag:
            sample = next(samples(bag, find_topics(bag), limit=1))
        model = model_path(args.model)
        found = voxel_stages.by_backend(model, backends, sample.image, sample.camera, args.rounds, args.threads)
        result["stages"] = found
        print(f"an image of {sample.camera.width}x{sample.camera.height}\n" + voxel_stages.backend_table(found))
    if "voxels" in parts:
        result["voxels"] = voxel_stages.by_count(args.voxels, args.rounds)
        print(voxel_stages.count_table(result["voxels"]))
    return result


def _counts(text: str) -> list[int]:
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers of voxels such as 1000,20000")
    return counts
