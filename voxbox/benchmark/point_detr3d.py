"""`voxbox benchmark point-detr3d`: a cloud by stage, backend and number of points; clicks; memory."""

import argparse
from pathlib import Path
from typing import Any

from voxbox.bag.command import require_ros
from voxbox.benchmark import clicks, cloud_stages, memory
from voxbox.benchmark.options import chosen
from voxbox.benchmark.processes import in_own_process
from voxbox.export.lidar_frames import lidar_frames
from voxbox_core.ros.models import model_path

PARTS = ("engines", "points", "clicks", "memory")


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", default="point-detr3d-street", help="the detector: released name or folder (default: %(default)s)")
    add("--assist", default="point-detr3d-street-assist", help="what answers clicks, likewise (default: %(default)s)")
    add("--parts", default=",".join(PARTS), help="comma-separated (default: %(default)s)")
    add(
        "--data",
        type=Path,
        help="rig frames or one of them (.npz), KITTI clouds or one of them (.bin), or a bag; its first frame is taken "
        "(default: one of the street world, 64 beams, six cameras)",
    )
    add("--points", type=_counts, default="10000,30000,120000,300000,1000000", help="points (default: %(default)s)")


def measure(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    """The result of each part. Raises InputError for unknown parts, models and data."""
    parts = chosen(args.parts, PARTS, "--parts")
    require_ros()  # a cloud's way ends with a message
    models = {"detector": model_path(args.model)} if {"engines", "points", "memory"} & set(parts) else {}
    if {"clicks", "memory"} & set(parts):
        models["assist"] = model_path(args.assist)
    sample = lidar_frames(args.data, 1)[0]
    result: dict[str, Any] = {"points": len(sample.points)}
    if "engines" in parts:
        found = cloud_stages.by_backend(models["detector"], backends, sample, args.rounds, args.threads)
        result["engines"] = found
        print(f"a cloud of {len(sample.points)} points\n" + cloud_stages.table(found, "backend"))
    if "points" in parts:
        found = cloud_stages.by_points(models["detector"], backends[0], sample, args.points, args.rounds, args.threads)
        result["by_points"] = found
        print(f"{backends[0]}\n" + cloud_stages.table(found, "points"))
    if "clicks" in parts:
        result["clicks"] = clicks.measure(models["assist"], backends, sample, args.rounds, args.threads)
        print(clicks.table(result["clicks"]))
    if "memory" in parts:
        result["memory"] = [
            in_own_process(memory.measure, what, model, backend, args.threads, sample.points, sample.height)
            for what, model in models.items()
            for backend in backends
        ]
        print(memory.table(result["memory"]))
    return result


def _counts(text: str) -> list[int]:
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers of points such as 30000,120000")
    return counts
