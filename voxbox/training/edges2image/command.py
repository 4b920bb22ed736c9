"""Train a painter that makes images of edges, so that rendered scenes may look like photos.

    voxbox train edges2image --data PHOTOS --out runs/painter --steps 20000
    voxbox street repaint data/voxels-train data/voxels-painted --weights runs/painter/weights.pt

Stop it with Ctrl-C, go on with --resume.
"""

import argparse
from typing import Any

from voxbox.training.edges2image.contract import PainterContract
from voxbox.training.edges2image.recipe import PARTS, Plan, Recipe
from voxbox.training.options import add_options, run_parser
from voxbox.training.plans import planned


def configure(systems: Any) -> None:
    parser = run_parser(systems, "edges2image", "images from edges, to repaint rendered scenes", __doc__ or "")
    add_options(parser, Recipe, "recipe")
    add_options(parser, PainterContract, "network and edges")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, and return where the weights are and what it took."""
    from voxbox.training.edges2image.train import train  # torch and TensorBoard take seconds to import

    result = train(planned(args, Plan, PARTS, {}), args.out)
    print(f"{result['weights']}: {result['steps']} steps" if result["finished"] else "stopped; --resume goes on")
    return result
