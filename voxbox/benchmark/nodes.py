"""Measure running nodes, each started by the launch file that a vehicle uses, over DDS.

  voxbox benchmark load --json load.json            frames/s with < 5% dropped; latency and jitter at 10 and 30 frames/s
  voxbox benchmark load --systems ssz --backends openvino --rates 10 --no-highest
  voxbox benchmark together                         the three nodes in one process against three: CPU, memory
  voxbox benchmark soak --minutes 30 --json soak.json --picture soak.png    what grows, and what is dropped

The image is the first of the shipped street drive, the cloud that of the shipped LiDAR drive, the models are those that
are released.
"""

import argparse
from typing import Any

from voxbox.arguments import require_least
from voxbox.bag.command import require_ros
from voxbox.benchmark import load, soak, together
from voxbox.benchmark.options import chosen
from voxbox_core.runtime import usable

VERBS = {
    "load": (load, "nodes: how many frames they take, how late their answers are, and what they need"),
    "together": (together, "nodes: in one process against a process each"),
    "soak": (soak, "nodes: for half an hour, what grows and what is dropped"),
}


def configure(verbs: Any) -> None:
    """Add a parser for each of VERBS."""
    for name, (verb, summary) in VERBS.items():
        parser = verbs.add_parser(
            name, help=summary, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        verb.configure(parser)
        add = parser.add_argument
        add(
            "--backends", default="", help="comma-separated (default: all that run here; the first, where one is asked)"
        )
        add("--threads", type=int, default=0, help="CPU threads of the engine; 0 leaves it the choice")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The result of one of VERBS. Raises InputError for unknown nodes and backends, and nodes that do not run."""
    require_least(args, threads=0)
    require_ros()
    known = usable()
    backends = chosen(args.backends, known, "--backends") if args.backends else known
    return VERBS[args.system][0].measure(args, backends)
