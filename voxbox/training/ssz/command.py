"""Train SSZ: one image to semantic voxels.

    voxbox train ssz --data DIR --validation DIR --out runs/x --preset street --steps 20000

Stop it with Ctrl-C, go on with --resume. With several processes or GPUs:

    torchrun --nproc-per-node N -m voxbox.cli train ssz …
"""

import argparse
import os
from typing import Any

from ssz_ros.contract import Contract
from ssz_ros.losses import LossWeights
from voxbox.training.options import add_options, run_parser
from voxbox.training.plans import planned
from voxbox.training.ssz.recipe import PARTS, PRESETS, Plan, Recipe

CONTRACT_HELP = {
    "near": "where the grid begins, m",
    "far": "where it ends, m",
    "slices": "cells along the depth",
    "rows": "cells down",
    "columns": "cells across",
    "alpha": "horizontal field of view, deg",
    "spacing": "of the slices: uniform, log or inverse",
    "per_cell": "pixels of the input along each row and column of cells",
    "architecture": "c2d, ssz or zgan",
    "encoder": "channels of the encoder by level, of the stem first",
    "decoder": "channels of the decoder, from the deepest level up",
    "expansion": "of the inverted residuals (t)",
    "inverted_2d": "an encoder of inverted residuals",
    "inverted_3d": "a decoder of inverted residuals",
    "order": "of a volumetric block: pointwise_first or depthwise_first, which is the paper's",
}


def configure(systems: Any) -> None:
    parser = run_parser(systems, "ssz", "SSZ: one image to semantic voxels", __doc__ or "", PRESETS)
    add_options(parser, Recipe, "recipe")
    add_options(parser, Contract, "network", CONTRACT_HELP)
    add_options(parser, LossWeights, "losses", {name: f"weight of the loss {name}" for name in vars(LossWeights())})


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, and return where the weights are and what it took."""
    from voxbox.training.ssz.train import train  # torch and TensorBoard take seconds to import; --help needs neither

    result = train(planned(args, Plan, PARTS, PRESETS[args.preset]), args.out)
    if int(os.environ.get("RANK", 0)):  # of torchrun's processes the first one alone reports
        args.json = None
    elif result["finished"]:
        print(f"{result['weights']}: {result['steps']} steps; `voxbox export ssz` makes a model of it")
    else:
        print(f"stopped after {result['steps']} steps; --resume goes on")
    return result
