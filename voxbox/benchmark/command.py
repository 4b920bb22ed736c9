"""Measure speed: a system by stage and backend, on the machine at hand.

  voxbox benchmark km3d                          every backend, the node at 10 and 30 images/s, and DDS alone
  voxbox benchmark km3d --parts engines          the backends alone, in turn, ratios round by round
  voxbox benchmark km3d --parts node --rates 30  the node alone
  voxbox benchmark km3d --parts delivery         images that reach a node, with the shipped DDS profile and without
  voxbox benchmark km3d --parts graph            an untrained network with more or less of a frame's work in its graph
  voxbox benchmark point-detr3d                  every backend, clouds of 10k to 1M points, clicks, memory
  voxbox benchmark point-detr3d --parts clicks   the assistant alone: a frame encoded, clicks decoded
  voxbox benchmark ssz                           the graph as trained and as deployed, stages, clouds of voxels

KM3D's and SSZ's image is the first of the bag, Point-DETR3D's cloud one of the street world or of --data. Machines are
noisy: trust the ratios of one run, not times of different days.
"""

import argparse
from typing import Any

from voxbox.arguments import require_least
from voxbox.benchmark import km3d, point_detr3d, ssz
from voxbox.benchmark.options import chosen
from voxbox.demo.outcome import machine
from voxbox_core.runtime import available

SYSTEMS = {
    "km3d": (km3d, "KM3D-Net: monocular 3D boxes"),
    "point-detr3d": (point_detr3d, "Point-DETR3D: LiDAR boxes, and boxes of clicks"),
    "ssz": (ssz, "SSZ: semantic voxels of one image"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    systems = parser.add_subparsers(dest="system", required=True, metavar="SYSTEM")
    for name, (system, summary) in SYSTEMS.items():
        sub = systems.add_parser(
            name, help=summary, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        system.configure(sub)
        add = sub.add_argument
        add("--backends", default="", help="comma-separated (default: all that are installed here)")
        add("--rounds", type=int, default=50, help="times each backend runs (default: %(default)s)")
        add("--threads", type=int, default=0, help="CPU threads of the engine; 0 leaves it the choice")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Returns machine facts and the result of each part. Raises InputError for unknown parts and backends."""
    require_least(args, rounds=1, threads=0)
    installed = tuple(name for name in available() if name != "tensorrt")
    backends = chosen(args.backends, installed, "--backends") if args.backends else installed
    measured = SYSTEMS[args.system][0].measure(args, backends)
    return {"system": args.system, "model": args.model, "machine": machine()} | measured
