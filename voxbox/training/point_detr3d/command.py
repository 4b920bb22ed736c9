"""Train Point-DETR3D from few boxes and many points.

    voxbox train point-detr3d --data DIR --validation DIR --out runs/x --labelled 5

Stages, each kept in the run's folder, all of them by default:
    s0  a student on the frames with boxes; its LiDAR encoder begins the teacher
    s1  the teacher: a point and a class to a box, learned on the frames with boxes
    s2  pseudo labels: the teacher's boxes for the points of all other frames
    s3  the student on both; this is what is deployed
Stop it with Ctrl-C; the same command with --resume goes on. Full supervision is --labelled 100 --stage s3.
Where only some frames have boxes, and others clicks (`voxbox bag rig`), --split given takes them as they are.
"""

import argparse
import os
from typing import Any

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.losses import LossWeights
from voxbox.training.options import add_options, run_parser
from voxbox.training.plans import planned
from voxbox.training.point_detr3d.recipe import PARTS, PRESETS, STAGES, Plan, Recipe
from voxbox_core.datasets.augment_cloud import CloudAugmentation
from voxbox_core.datasets.prompts import PromptSettings

CONTRACT_HELP = {
    "x": "range of the networks ahead, m: from to",
    "y": "range of the networks to the left, m: from to",
    "cell": "side of a pillar, m",
    "per_pillar": "most points of a pillar",
    "max_pillars": "most pillars of a cloud",
    "sweeps": "clouds put together, of nuScenes and Argoverse 2; rigs have as many as they were rendered with",
    "reference": "where a prompt's attention begins: explicit (at it) or learned",
    "roi_grid": "points along a side of the teacher's RoI grid, 0 for none",
    "cameras": "a teacher that looks at images too",
}
LOSS_HELP = {
    "heatmap": "weight of the student's heat map loss",
    "box": "weight of the student's box loss",
    "axis": "weight of the student's loss of the axis, front or rear alike",
    "consistency": "weight of the loss between two views (lambda)",
}
PROMPT_HELP = {
    "spread": "half extent of the points about the centre, as a part of the box's",
    "surface": "probability that a point lies on what the LiDAR saw of the object",
    "ground": "probability that a point's height is lost",
}


def configure(systems: Any) -> None:
    parser = run_parser(
        systems, "point-detr3d", "Point-DETR3D: LiDAR boxes from few boxes and many points", __doc__ or "", PRESETS
    )
    parser.add_argument("--stage", choices=("all", *STAGES), default="all", help="what to run (default all)")
    add_options(parser, Recipe, "recipe")
    add_options(parser, Contract, "network", CONTRACT_HELP)
    add_options(parser, LossWeights, "losses", LOSS_HELP)
    add_options(parser, CloudAugmentation, "augmentation")
    add_options(parser, PromptSettings, "prompts", PROMPT_HELP)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, and return what was done."""
    from voxbox.training.point_detr3d.stages import train  # torch takes seconds to import; --help does not need it

    stages = STAGES if args.stage == "all" else (args.stage,)
    result = train(planned(args, Plan, PARTS, PRESETS[args.preset]), args.out, stages)
    if int(os.environ.get("RANK", 0)):  # of torchrun's processes the first one alone reports
        args.json = None
    elif result["finished"]:
        print(f"{args.out}: {', '.join(result['stages'])} done; `voxbox export point-detr3d` makes a model of it")
    else:
        print(f"{args.out}: stopped; --resume goes on")
    return result
