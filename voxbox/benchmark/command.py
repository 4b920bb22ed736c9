"""Measure speed: a system by stage and backend, on the machine at hand.

  voxbox benchmark km3d                          every backend, the node at 10 and 30 images/s, and DDS alone
  voxbox benchmark km3d --parts engines          the backends alone, in turn, ratios round by round
  voxbox benchmark km3d --parts node --rates 30  the node alone
  voxbox benchmark km3d --parts delivery         images that reach a node, with the shipped DDS profile and without
  voxbox benchmark km3d --parts graph            an untrained network with more or less of a frame's work in its graph
  voxbox benchmark point-detr3d                  every backend, clouds of 10k to 1M points, clicks, memory
  voxbox benchmark point-detr3d --parts clicks   the assistant alone: a frame encoded, clicks decoded
  voxbox benchmark ssz                           the graph as trained and as deployed, stages, clouds of voxels
  voxbox benchmark ssz --parts peers             ours against PyTorch, ONNX Runtime and OpenVINO as users run them
  voxbox benchmark ssz --parts roofline          networks against what this device can do at most, by backend
  voxbox benchmark all --out out/benchmark       peers and scaling of the three released models, with a page and a table
  voxbox benchmark load|together|soak            the running nodes: frames/s, latency, CPU and memory, growth

KM3D's and SSZ's image is the first of the bag, Point-DETR3D's cloud one of the street world or of --data. Machines are
noisy: trust the ratios of one run, not times of different days. --out DIR leaves benchmark.json, report.html with plots
and table.md.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxbox.arguments import require_least
from voxbox.benchmark import km3d, nodes, point_detr3d, ssz
from voxbox.benchmark.options import chosen
from voxbox.benchmark.peers import PEERS
from voxbox.demo.outcome import machine
from voxbox_core.files import whole_folder
from voxbox_core.runtime import usable

SYSTEMS = {
    "km3d": (km3d, "KM3D-Net: monocular 3D boxes"),
    "point-detr3d": (point_detr3d, "Point-DETR3D: LiDAR boxes, and boxes of clicks"),
    "ssz": (ssz, "SSZ: semantic voxels of one image"),
}


ALL = "all"
_PARTS_OF_ALL = "peers,scaling"


def configure(parser: argparse.ArgumentParser) -> None:
    systems = parser.add_subparsers(dest="system", required=True, metavar="SYSTEM")
    for name, (system, summary) in SYSTEMS.items():
        sub = systems.add_parser(name, help=summary)
        system.configure(sub)
        _configure_shared(sub)
    _configure_shared(systems.add_parser(ALL, help="peers and scaling of all three, as released"))
    nodes.configure(systems)


def _configure_shared(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.formatter_class = __doc__, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--backends", default="", help="comma-separated, the first is ours (default: all that run here)")
    add("--peers", default=",".join(PEERS), help="whom ours is held against (default: %(default)s)")
    add("--rounds", type=int, default=50, help="times each backend runs (default: %(default)s)")
    add("--threads", type=int, default=0, help="CPU threads of the engine; 0 leaves it the choice")
    add("--out", type=Path, metavar="DIR", help="folder for a page, a table and the numbers; a former one is replaced")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Returns machine facts and the result of each part; of all systems, by name under `systems`.

    Raises InputError for unknown parts, backends and peers.
    """
    if args.system in nodes.VERBS:
        return {"machine": machine(), **nodes.measure(args)}
    require_least(args, rounds=1, threads=0)
    args.peers = chosen(args.peers, PEERS, "--peers")
    facts = {"machine": machine()}
    if args.out is None:
        systems = _measured(args)
    else:
        from voxbox.benchmark import publish  # matplotlib, which the rest can do without

        with whole_folder(args.out, publish.RESULT) as folder:
            systems = _measured(args)
            publish.write(folder, facts | {"systems": systems})
        print(args.out / publish.REPORT)
    return facts | ({"systems": systems} if args.system == ALL else {"system": args.system, **systems[args.system]})


def _measured(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By system."""
    here = usable()
    backends = chosen(args.backends, here, "--backends") if args.backends else here
    if args.system == ALL:
        return {name: _of_system(name, _usual(name, args), backends) for name in SYSTEMS}
    return {args.system: _of_system(args.system, args, backends)}


def _of_system(name: str, args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    measured: Mapping[str, Any] = SYSTEMS[name][0].measure(args, backends)
    return {"model": args.model, **measured}


def _usual(name: str, args: argparse.Namespace) -> argparse.Namespace:
    """A system's own options at their defaults, with those that all share as given."""
    parser = argparse.ArgumentParser()
    SYSTEMS[name][0].configure(parser)
    return parser.parse_args(["--parts", _PARTS_OF_ALL], argparse.Namespace(**vars(args)))
