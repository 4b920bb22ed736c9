"""What the teacher is asked in training: a prompt for each object, some of them boxes as a detector finds them, some of
another class, and some where nothing is.

The class is part of the question, so that of true ones alone the teacher would learn to repeat it: its score would be
the same wherever one clicks. (The release and the paper ask so.)
"""

from dataclasses import replace

import numpy as np

from voxbox.training.point_detr3d.recipe import Plan
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.rig import RigSample

# How far a detector's boxes are off: deviations of the centre, m, of the logarithm of sizes, and of the yaw, rad; and
# how often one faces backwards.
OFF_CENTER, OFF_SIZE, OFF_YAW, BACKWARDS = 0.3, 0.1, 0.15, 0.1
NOTHING = -1  # in place of an object's class
CLEAR = 2.0  # m from all boxes, where nothing is
TALL = 0.3  # m above ground: what is mistaken for an object


def asked(sample: RigSample, plan: Plan, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Of a sample of the network frame, with boxes and clicks on them -> Q prompts inside of the contract's range.

    points (Q, 3), label (Q,), roi (Q, 5): as the decoder takes them.  object (Q,): the class of what is there, or
    NOTHING.  center, size (Q, 3), yaw (Q,): its box.
    """
    boxes, clicks, recipe = sample.boxes, sample.prompts, plan.recipe
    assert boxes is not None and clicks is not None
    mistaken = nowhere(sample, rng.binomial(len(boxes), recipe.wrong), plan, rng)
    everything = Boxes3D.concatenate([boxes, mistaken])
    count, classes = len(everything), len(boxes.classes)
    other = rng.integers(1, classes, count) if classes > 1 else 0  # of one class, none is another
    wrong = (rng.random(count) < recipe.wrong) * other
    detected = (rng.random(count) < recipe.rois)[:, None]
    near = as_detected(everything, rng)
    points = np.where(detected, near.center, np.concatenate([clicks.points, mistaken.center]))
    roi = np.where(detected, np.column_stack([near.size, np.sin(near.yaw), np.cos(near.yaw)]), 0.0)
    inside = plan.contract.grid.contains(points)
    found = {"points": points, "roi": roi, "center": everything.center, "size": everything.size, "yaw": everything.yaw}
    classed = {
        "label": (everything.label + wrong) % classes,
        "object": np.concatenate([boxes.label, np.full(len(mistaken), NOTHING)]),
    }
    return {name: values[inside].astype(np.float32) for name, values in found.items()} | {
        name: values[inside] for name, values in classed.items()
    }


def as_detected(boxes: Boxes3D, rng: np.random.Generator) -> Boxes3D:
    """Boxes as a detector might find them: a little off."""
    count = len(boxes)
    turn = rng.normal(0.0, OFF_YAW, count) + np.pi * (rng.random(count) < BACKWARDS)
    return replace(
        boxes,
        center=boxes.center + rng.normal(0.0, OFF_CENTER, (count, 3)),
        size=boxes.size * np.exp(rng.normal(0.0, OFF_SIZE, (count, 3))),
        yaw=boxes.yaw + turn,
    )


def nowhere(sample: RigSample, count: int, plan: Plan, rng: np.random.Generator) -> Boxes3D:
    """At most `count` boxes of any class that stand where the LiDAR saw something, but no object; in a sample of the
    network frame."""
    boxes, contract = sample.boxes, plan.contract
    assert boxes is not None
    tall = sample.points[(sample.points[:, 2] > TALL) & contract.grid.contains(sample.points[:, :3])]
    chosen = tall[rng.integers(len(tall), size=count), :2] if len(tall) else np.zeros((0, 2))
    away = np.linalg.norm(chosen[:, None] - boxes.center[None, :, :2], axis=2)
    places = chosen[(away > np.linalg.norm(boxes.size[:, :2], axis=1) / 2 + CLEAR).all(1)].astype(np.float64)
    label = rng.integers(len(contract.classes), size=len(places))
    size = np.array(contract.mean_sizes)[label]
    return Boxes3D(
        center=np.column_stack([places, size[:, 2] / 2]),
        size=size,
        yaw=rng.uniform(-np.pi, np.pi, len(places)),
        label=label,
        score=np.ones(len(places)),
        box2d=np.full((len(places), 4), np.nan),
        classes=boxes.classes,
        axes=boxes.axes,
    )
