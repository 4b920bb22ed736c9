"""Replay a drive into the real node and leave pictures and numbers.

  voxbox demo                          the drive that comes with voxbox
  voxbox demo DRIVE.mcap --rate 30     any ROS 2 bag, mcap or sqlite3, at 30 images/s

The node runs in its own process, started by the launch file that a vehicle uses, and gets the drive over DDS. What
comes back lies in --out: video.mp4, camera.png, birds_eye.png, detections.mcap (for Foxglove and RViz), metrics.json
and report.html. Accuracy is measured where the bag holds ground truth.
"""

import argparse
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from voxbox.bag.command import require_ros
from voxbox.bag.pace import recorded_rate
from voxbox.bag.samples import samples
from voxbox.demo.artefacts import make_artefacts
from voxbox.demo.replay import Replay
from voxbox.demo.summary import metrics_of, page_of, text_of
from voxbox.report.page import write_page
from voxbox_core.datasets.bag import Bag, DriveTopics, find_topics
from voxbox_core.errors import InputError
from voxbox_core.files import write_json

SHIPPED_DRIVE = Path(__file__).with_name("street_drive.mcap")
SYSTEMS = ("km3d",)
_STALE = ("video.mp4", "video.gif")  # an earlier demo's film may be of the other kind


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bag", nargs="?", type=Path, default=SHIPPED_DRIVE, help="ROS 2 bag (default: the shipped street drive)")
    add("--system", choices=SYSTEMS, default="km3d", help="whose node (default: %(default)s)")
    add("--out", type=Path, default=Path("out/demo"), help="folder to fill (default: %(default)s)")
    add("--rate", type=float, metavar="HZ", help="images/s to play at (default: as recorded)")
    add("--lockstep", action="store_true", help="wait for each answer, so that a slow machine drops nothing")
    add("--limit", type=int, metavar="N", help="play only the first N images")
    add("--model", default="", help="released model's name, folder or .onnx file (default: the node's)")
    add("--backend", default="", help="inference engine (default: the node's, the fastest here)")
    add(
        "--score-threshold",
        default="",
        metavar="S",
        help="least score of a box, 0 to 1 (default: the model's own, by class)",
    )
    add("--image-topic", help="the camera (default: the likeliest Image or CompressedImage)")
    add("--camera-info-topic", help="its calibration (default: the nearest by name)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Replay, then make everything; -> the content of metrics.json. An error leaves --out as it was."""
    _check(args)
    with _stoppable(), Bag(args.bag) as bag:
        topics = find_topics(bag, args.image_topic, args.camera_info_topic)
        for note in topics.notes:
            print(f"note: {note}")
        next(samples(bag, topics, limit=1))  # what cannot be read is said before anything is started
        recorded = recorded_rate(bag, topics)
        rate = args.rate or recorded
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".demo.", dir=args.out.parent) as temporary:
            folder = Path(temporary)
            replay = _replay(args, bag, topics, rate / recorded, folder / ".node.log")
            result = make_artefacts(folder, bag, topics, replay, recorded)
            setting = {
                "bag": str(args.bag),
                "system": args.system,
                "image_topic": topics.image.name,
                "rate_hz": round(rate, 3),
                "lockstep": args.lockstep,
                "recorded_hz": round(recorded, 3),
                "notes": list(topics.notes),
            }
            metrics = metrics_of(setting, replay, result)
            write_json(folder / "metrics.json", metrics)
            write_page(folder / "report.html", page_of(metrics, folder, result))
            _install(folder, args.out)
    print(text_of(metrics, args.out))
    return metrics


def _check(args: argparse.Namespace) -> None:
    if args.rate is not None and args.rate <= 0:
        raise InputError("--rate", args.rate, "images/s above 0", "Choose another.")
    if args.limit is not None and args.limit <= 0:
        raise InputError("--limit", args.limit, "a number of images above 0", "Choose another.")
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"--out {args.out}", "a file", "a folder, or a name for one", "Choose another.")
    require_ros()


def _replay(args: argparse.Namespace, bag: Bag, topics: DriveTopics, speed: float, log: Path) -> Replay:
    parameters = {
        "model": args.model and str(Path(args.model).absolute() if Path(args.model).exists() else args.model),
        "backend": args.backend,
        "score_threshold": args.score_threshold,
    }
    from voxbox.demo.live import replay_into_node  # --help needs no ROS

    return replay_into_node(args.system, parameters, bag, topics, log, speed, args.limit, args.lockstep)


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends the demo as ctrl-c does, so that the node's process ends with it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _install(folder: Path, out: Path) -> None:
    """Move the finished files into place; what else lies there stays."""
    out.mkdir(parents=True, exist_ok=True)
    for name in _STALE:
        (out / name).unlink(missing_ok=True)
    for path in folder.iterdir():
        if not path.name.startswith("."):
            os.replace(path, out / path.name)
