"""Replay a drive into the real node and leave pictures and numbers.

  voxbox demo                          the drive that comes with voxbox
  voxbox demo DRIVE.mcap --rate 30     any ROS 2 bag, mcap or sqlite3, at 30 images/s
  voxbox demo --system point_detr3d    a LiDAR's drive, and clicks on what it shows
  voxbox demo --system ssz             the first drive again, as voxels

The node runs in its own process, started by the launch file that a vehicle uses, and gets the drive over DDS. What
comes back lies in --out: video.mp4, camera.png, birds_eye.png, detections.mcap (for Foxglove and RViz), metrics.json
and report.html; of clicks also clicks_N.png and labels.jsonl, the accepted boxes; of voxels, in the place of boxes,
voxels.png, above.png, side.png, ground.png and voxels.mcap. Accuracy is measured where the bag holds ground truth; of
voxels, where samples lie in DRIVE.voxels beside DRIVE.mcap, as `voxbox street voxels` writes them.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from voxbox.bag.command import require_ros
from voxbox.bag.pace import recorded_rate
from voxbox.demo import km3d, point_detr3d, ssz
from voxbox.demo.drives import SHIPPED_DRIVE, SHIPPED_RIG_DRIVE
from voxbox.demo.node_process import as_given
from voxbox.demo.replay import Replay
from voxbox.demo.summary import metrics_of, page_of, text_of
from voxbox.demo.system import System
from voxbox.report.page import write_page
from voxbox_core.datasets.bag import Bag
from voxbox_core.errors import InputError
from voxbox_core.files import write_json

SYSTEMS: Mapping[str, tuple[Callable[[argparse.Namespace, Bag], System], tuple[str, ...], Path]] = {
    "km3d": (km3d.Km3dDemo, km3d.OPTIONS, SHIPPED_DRIVE),
    "point_detr3d": (point_detr3d.PointDetr3dDemo, point_detr3d.OPTIONS, SHIPPED_RIG_DRIVE),
    "ssz": (ssz.SszDemo, ssz.OPTIONS, SHIPPED_DRIVE),
}
"""Of each: its demo, the options that are not everybody's, and the drive that comes with it."""

_STALE = ("video.mp4", "video.gif", "labels.jsonl")  # an earlier demo's film may be of the other kind
_STALE_CLICKS = "clicks_*.png"


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bag", nargs="?", type=Path, help="ROS 2 bag (default: the shipped street drive)")
    add("--system", choices=tuple(SYSTEMS), default="km3d", help="whose node (default: %(default)s)")
    add("--out", type=Path, default=Path("out/demo"), help="folder to fill (default: %(default)s)")
    add("--rate", type=float, metavar="HZ", help="images/s, or clouds/s, to play at (default: as recorded)")
    add("--lockstep", action="store_true", help="wait for each answer, so that a slow machine drops nothing")
    add("--limit", type=int, metavar="N", help="play only the first N images, or clouds")
    add("--model", default="", help="released model's name, folder or .onnx file (default: the node's)")
    add("--backend", default="", help="inference engine (default: the node's, the fastest here)")
    add(
        "--score-threshold",
        default="",
        metavar="S",
        help="km3d, point_detr3d: least score of a box, 0 to 1 (default: the model's own, by class)",
    )
    km3d.configure(parser)
    point_detr3d.configure(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Replay, then make everything; -> the content of metrics.json. An error leaves --out as it was."""
    _check(args)
    demo, _, drive = SYSTEMS[args.system]
    path = args.bag or drive
    with Bag(path) as bag:
        system = demo(args, bag)
        for note in system.notes:
            print(f"note: {note}")
        recorded = recorded_rate(bag, system.feed.frames.name)
        rate = args.rate or recorded
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".demo.", dir=args.out.parent) as temporary:
            folder = Path(temporary)
            replay = _replay(args, system, bag, rate / recorded, folder)
            result = system.make(folder, replay, recorded)
            setting = {
                "bag": str(path),
                "system": args.system,
                "unit": system.feed.unit,
                "found": system.feed.found,
                **system.setting,
                "rate_hz": round(rate, 3),
                "lockstep": args.lockstep,
                "recorded_hz": round(recorded, 3),
                "notes": list(system.notes),
            }
            metrics = metrics_of(setting, replay, result)
            write_json(folder / "metrics.json", metrics)
            write_page(folder / "report.html", page_of(metrics, system.feed.frames.name, result))
            _install(folder, args.out)
    print(text_of(metrics, args.out, result))
    return metrics


def _check(args: argparse.Namespace) -> None:
    if args.rate is not None and args.rate <= 0:
        raise InputError("--rate", args.rate, "frames/s above 0", "Choose another.")
    if args.limit is not None and args.limit <= 0:
        raise InputError("--limit", args.limit, "a number of frames above 0", "Choose another.")
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"--out {args.out}", "a file", "a folder, or a name for one", "Choose another.")
    own = SYSTEMS[args.system][1]
    for name in {option for _, options, _ in SYSTEMS.values() for option in options if option not in own}:
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(option, getattr(args, name), f"nothing with --system {args.system}", "Leave it out.")
    require_ros()


def _replay(args: argparse.Namespace, system: System, bag: Bag, speed: float, folder: Path) -> Replay:
    parameters = {
        "model": as_given(args.model),
        "backend": args.backend,
        **system.parameters(folder),
    }
    from voxbox.demo.live import replay_into_node  # --help needs no ROS

    return replay_into_node(
        system.feed,
        parameters,
        bag,
        folder / ".node.log",
        speed,
        args.limit,
        args.lockstep,
        prepare=system.prepare,
    )


def _install(folder: Path, out: Path) -> None:
    """Move the finished files into place; what else lies there stays."""
    out.mkdir(parents=True, exist_ok=True)
    for stale in (*(out / name for name in _STALE), *out.glob(_STALE_CLICKS)):
        stale.unlink(missing_ok=True)
    for path in folder.iterdir():
        if not path.name.startswith("."):
            os.replace(path, out / path.name)
