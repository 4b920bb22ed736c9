"""Train a system on labelled recordings.

    voxbox train km3d --data DIR --out runs/x --preset street --minutes 90

Stop it with Ctrl-C, go on with --resume. With several processes or GPUs:

    torchrun --nproc-per-node N -m voxbox.cli train km3d …
"""

import argparse
import os
from typing import Any

from km3d_ros.contract import Contract
from km3d_ros.losses import LossWeights
from voxbox.training.edges2image import command as edges2image
from voxbox.training.options import add_options, given, run_parser
from voxbox.training.plans import planned
from voxbox.training.point_detr3d import command as point_detr3d
from voxbox.training.recipe import LENGTHS, PARTS, PRESETS, Plan, Recipe
from voxbox.training.ssz import command as ssz
from voxbox_core.datasets.augment import Augmentation

CONTRACT_HELP = {
    "input_width": "width of the network's input, px, a multiple of 32",
    "input_height": "height of the network's input, px, a multiple of 32",
    "backbone": "resnet18 or dla34",
    "width": "channel multiplier of resnet18",
    "neck": "deconv (KM3D) or skip (RTM3D) with resnet18, dla with dla34",
    "head_channels": "channels inside each head",
    "auxiliary_heads": "train the four heads that help training and give the 2D box",
    "depth_head": "train a head that predicts depth, which the geometric module weighs with the keypoints'",
    "max_objects": "objects learned per image, the nearest first",
}
LOSS_HELP = {
    "ramp_end": "fraction of the run where conf and position reach full weight",
    "position_gate": "the position loss is off while its ramp is below this",
    "keypoint_dropout": "solve for the position with a random subset of the keypoints",
}


def configure(parser: argparse.ArgumentParser) -> None:
    systems = parser.add_subparsers(dest="system", required=True, metavar="SYSTEM")
    km3d = run_parser(systems, "km3d", "KM3D-Net: monocular 3D boxes", __doc__ or "", PRESETS)
    add_options(km3d, Recipe, "recipe")
    add_options(km3d, Contract, "network", CONTRACT_HELP)
    losses = {name: LOSS_HELP.get(name, f"weight of the loss term {name}") for name in vars(LossWeights())}
    add_options(km3d, LossWeights, "losses", losses)
    add_options(km3d, Augmentation, "augmentation")
    point_detr3d.configure(systems)
    ssz.configure(systems)
    edges2image.configure(systems)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, and return where the weights are and what it took."""
    if args.system == "point-detr3d":
        return point_detr3d.run(args)
    if args.system == "ssz":
        return ssz.run(args)
    if args.system == "edges2image":
        return edges2image.run(args)
    from voxbox.training.km3d import train  # torch and TensorBoard take seconds to import; --help does not need them

    result = train(_plan_of(args), args.out, args.resume)
    if int(os.environ.get("RANK", 0)):  # of torchrun's processes the first one alone reports
        args.json = None
    elif result["finished"]:
        print(f"{result['weights']}: {result['steps']} steps; `voxbox export km3d` makes a model of it")
    else:
        print(f"stopped after {result['steps']} steps; --resume goes on")
    return result


def _plan_of(args: argparse.Namespace) -> Plan:
    """A length on the command line overrules every length of the preset."""
    preset = {name: dict(values) for name, values in PRESETS[args.preset].items()}
    if any(name in given(args, Recipe) for name in LENGTHS):
        preset["recipe"] = {k: v for k, v in preset["recipe"].items() if k not in LENGTHS}
    return planned(args, Plan, PARTS, preset)
