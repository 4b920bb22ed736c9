"""`voxbox benchmark point-detr3d`: a cloud by stage, backend and number of points; clicks; memory; peers; the device's
ceilings."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from point_detr3d_ros.detector import PointDETR3D
from voxbox.bag.command import require_ros
from voxbox.benchmark import clicks, cloud_stages, memory
from voxbox.benchmark.options import chosen
from voxbox.benchmark.processes import in_own_process
from voxbox.export.lidar_frames import lidar_frames
from voxbox_core.datasets.rig import RigSample
from voxbox_core.ros.models import model_path

USUAL = ("engines", "points", "clicks", "memory")
PARTS = (*USUAL, "peers", "scaling", "roofline")


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", default="point-detr3d-street", help="the detector: released name or folder (default: %(default)s)")
    add("--assist", default="point-detr3d-street-assist", help="what answers clicks, likewise (default: %(default)s)")
    add("--parts", default=",".join(USUAL), help=f"of {','.join(PARTS)} (default: %(default)s)")
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
    if {"engines", "points"} & set(parts):
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
    if "peers" in parts:
        result["peers"] = _peers(args, backends[0])
    if "scaling" in parts:
        result["scaling"] = _scaling(args, backends, sample)
    if "roofline" in parts:
        result["roofline"] = _roofline(args, backends, sample)
    return result


def _peers(args: argparse.Namespace, backend: str) -> dict[str, Any]:
    from voxbox.benchmark import peers, plain_point_detr3d

    frames, model = lidar_frames(args.data, peers.COMPARED), model_path(args.model)
    found = peers.measure(plain_point_detr3d.SYSTEM, model, frames, backend, args.peers, args.rounds, args.threads)
    print(peers.table(found))
    return found


def _scaling(args: argparse.Namespace, backends: Sequence[str], sample: RigSample) -> dict[str, Any]:
    from voxbox.benchmark import plain_point_detr3d, scaling

    system, model, rounds = plain_point_detr3d.SYSTEM, model_path(args.model), args.rounds
    clouds = {
        f"{count:,}": RigSample(sample.name, cloud_stages.resized(sample.points, count), sample.height)
        for count in args.points
    }
    points = {label: scaling.Point(model, cloud, args.threads) for label, cloud in clouds.items()}
    found = {
        "points": scaling.sweep(system, "points", points, backends[0], args.peers, rounds),
        "cameras": scaling.by_cameras(model_path(args.assist), backends, sample, rounds, args.threads),
        "threads": scaling.by_threads(system, model, sample, backends[0], args.peers, rounds),
    }
    print("\n".join(map(scaling.table, found.values())))
    return found


def _roofline(args: argparse.Namespace, backends: Sequence[str], sample: RigSample) -> dict[str, Any]:
    from voxbox.benchmark import roofline

    frame, model = (sample.points, sample.height), model_path(args.model)
    found = roofline.measure(PointDETR3D.open, model, frame, backends, args.rounds, args.threads)
    print(roofline.table(found))
    return found


def _counts(text: str) -> list[int]:
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers of points such as 30000,120000")
    return counts
