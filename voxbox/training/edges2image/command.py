"""Train a painter that makes images of edges, so that rendered scenes may look like photos.

    voxbox train edges2image --data PHOTOS --out runs/painter --steps 20000
    voxbox street repaint data/voxels-train data/voxels-painted --weights runs/painter/weights.pt

Stop it with Ctrl-C, go on with --resume.
"""

import argparse
from pathlib import Path
from typing import Any

from voxbox.training.edges2image.contract import PainterContract
from voxbox.training.edges2image.recipe import PARTS, Plan, Recipe
from voxbox.training.options import add_options
from voxbox.training.plans import planned


def configure(systems: Any) -> None:
    parser = systems.add_parser(
        "edges2image",
        help="images from edges, to repaint rendered scenes",
        description=__doc__,
        usage="voxbox train edges2image --data DIR [DIR …] --out DIR [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own recipe")
    add_options(parser, Recipe, "recipe")
    add_options(parser, PainterContract, "network and edges")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, and return where the weights are and what it took."""
    from voxbox.training.edges2image.train import train  # torch and TensorBoard take seconds to import

    result = train(planned(args, Plan, PARTS, {}), args.out)
    print(f"{result['weights']}: {result['steps']} steps" if result["finished"] else "stopped; --resume goes on")
    return result
