"""Look into ROS 2 bags, make them from KITTI frames, play them, and train on them. No rosbag2 is needed.

voxbox bag info DRIVE                     topics, rates, and what the demo would take for the camera
voxbox bag from-kitti DIR OUT.mcap        KITTI frames with calibration, LiDAR and ground truth as a drive
voxbox bag play DRIVE --clock             publish a recording, at its own pace
voxbox bag rig DRIVE --out DIR --labels FILE
                                          clouds, images and labels as frames that `voxbox train point-detr3d` reads
"""

import argparse
import importlib.util
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from voxbox.bag.pace import paced
from voxbox.bag.to_rig import configure_rig, run_rig
from voxbox_core.datasets.bag import Bag, Topic, find_topics, write_drive
from voxbox_core.datasets.bag.types import COMPRESSED_IMAGE, IMAGE, POINTS
from voxbox_core.datasets.bag.writer import FRAMES_PER_SECOND, IMAGE_KINDS, START
from voxbox_core.datasets.kitti import KittiFolder
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError

_POLL = 0.05  # s
_SETTLING = 0.5  # s that the other subscribers of the same node get


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="sub", required=True, metavar="info | from-kitti | play | rig")

    info = verbs.add_parser("info", help="what a bag holds")
    info.add_argument("bag", type=Path, help="folder with metadata.yaml, or file .mcap or .db3")
    info.add_argument("--image-topic", help="the camera (default: the likeliest)")

    kitti = verbs.add_parser("from-kitti", help="make a drive of KITTI frames")
    kitti.add_argument("folder", type=Path, help="with image_2, calib, and if there are any label_2 and velodyne")
    kitti.add_argument("out", type=Path, help="file to write, .mcap or .db3")
    kitti.add_argument("--image", choices=IMAGE_KINDS, default="raw", help="Image bgr8, or CompressedImage")
    kitti.add_argument("--rate", type=float, default=FRAMES_PER_SECOND, help="frames/s (default: %(default)g)")
    kitti.add_argument("--limit", type=int, help="first frames only")
    kitti.add_argument("--no-points", action="store_true", help="leave the LiDAR out")

    play = verbs.add_parser("play", help="publish a bag")
    play.add_argument("bag", type=Path, help="folder with metadata.yaml, or file .mcap or .db3")
    play.add_argument("--clock", action="store_true", help="publish its time on /clock, for use_sim_time")
    play.add_argument("--speed", type=float, default=1.0, help="recorded seconds per second (default: %(default)g)")
    play.add_argument("--loop", action="store_true", help="start again at the end, until interrupted")
    play.add_argument(
        "--wait",
        type=float,
        default=10.0,
        help="s to wait at most for a subscriber of an image or a cloud (default: %(default)g)",
    )
    configure_rig(verbs.add_parser("rig", help="make a folder of frames that training reads"))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Dispatch; -> what was found, written or published."""
    return {"info": run_info, "from-kitti": run_from_kitti, "play": run_play, "rig": run_rig}[args.sub](args)


def run_info(args: argparse.Namespace) -> dict[str, Any]:
    with Bag(args.bag) as bag:
        topics, duration = bag.topics, bag.duration
        print(f"{args.bag}: {duration:.2f} s, {sum(t.count for t in topics)} messages")
        width = max(len(t.name) for t in topics)
        for t in topics:
            rate = f"{_rate(t, duration):6.1f} Hz" if t.count > 1 and duration > 0 else " " * 9
            print(f"  {t.name:{width}}  {t.count:5} {rate}  {t.msgtype}{'  latched' if t.latched else ''}")
        drive = find_topics(bag, args.image_topic)
    for role in ("camera_info", "points", "truth"):
        print(f"{role:12} {getattr(drive, role) or 'none'}")
    print(f"{'image':12} {drive.image.name}")
    for note in drive.notes:
        print(f"note: {note}")
    return {
        "duration": duration,
        "topics": {t.name: {"type": t.msgtype, "count": t.count} for t in topics},
        "image": drive.image.name,
        "camera_info": drive.camera_info,
        "points": drive.points,
        "truth": drive.truth,
        "notes": list(drive.notes),
    }


def _rate(topic: Topic, duration: float) -> float:
    return (topic.count - 1) / duration


def run_from_kitti(args: argparse.Namespace) -> dict[str, Any]:
    if args.rate <= 0:
        raise InputError("--rate", args.rate, "frames/s above 0", "Choose another.")
    folder = KittiFolder(args.folder, points=not args.no_points)
    count = min(len(folder), len(folder) if args.limit is None else max(args.limit, 0))
    samples = tqdm(_drive(folder, count, args.rate), total=count, desc=args.out.name, unit="frame")
    written = write_drive(args.out, samples, args.image)
    size = args.out.stat().st_size
    print(f"{args.out}: {written} frames, {size / 1e6:.1f} MB")
    return {"frames": written, "bytes": size, "path": str(args.out)}


def _drive(folder: KittiFolder, count: int, rate: float) -> Iterator[Sample]:
    for index in range(count):
        yield replace(folder[index], stamp=START + index / rate)


def run_play(args: argparse.Namespace) -> dict[str, Any]:
    if args.speed <= 0:
        raise InputError("--speed", args.speed, "a number above 0", "Choose another.")
    require_ros()
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from voxbox.bag.player import Player

    with Bag(args.bag) as bag:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        try:
            player = Player(rclpy.create_node("voxbox_player"), bag.topics, args.clock)
            for topic in player.left_out:
                print(f"left out: {topic.name}, since {topic.msgtype} is not installed")
            _wait_for_subscriber(bag, player, args.wait)
            published = _play(bag, player.publish, player.tick, args)
        finally:
            rclpy.try_shutdown()
    return {"published": published}


def require_ros() -> None:
    """Raises InputError on a machine without ROS 2."""
    if importlib.util.find_spec("rclpy") is None:
        raise InputError("ROS 2 (rclpy)", "absent", "a sourced ROS 2, or what `make setup` brings", "Run `make setup`.")


def _wait_for_subscriber(bag: Bag, player: Any, limit: float) -> None:
    """Until somebody listens to a camera or a LiDAR, who may still be loading a model; at most `limit` s."""
    sensors = [t.name for t in bag.topics if t.msgtype in (IMAGE, COMPRESSED_IMAGE, POINTS)]
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline and not any(player.subscribers(name) for name in sensors):
        player.tick(bag.start)
        time.sleep(_POLL)
    time.sleep(min(_SETTLING, limit))


def _play(bag: Bag, publish: Any, tick: Any, args: argparse.Namespace) -> int:
    """Publish all messages, again and again when asked; -> count."""
    published = 0
    while True:
        with tqdm(total=sum(t.count for t in bag.topics), desc=args.bag.name, unit="message") as progress:
            for message in paced(bag.messages(), args.speed, tick):
                publish(message)
                published += 1
                progress.update()
        if not args.loop:
            return published
