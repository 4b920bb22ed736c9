"""Weak labels made from boxes: the points that somebody who clicks on objects would have given."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.rig import Prompts, RigSample, points_in_boxes
from voxbox_core.errors import InputError

DEVIATION = 0.6  # of the truncated normal on [-1, 1], which is 0.3 on [0, 1]


@dataclass(frozen=True)
class PromptSettings:
    """How clicks fall. Raises InputError on a value outside of its range.

    spread: half extent, as a part of the box's, of the points about the centre: the paper's noise density, 0 for
    centres, 1 for the whole box.
    surface: probability that the point lies where the sensor saw the object instead, as an RViz click does.
    ground: probability that the height is lost, as in a bird's-eye click.
    jitter: deviation, m, of a surface click on an object without returns.
    """

    spread: float = 1 / 3
    surface: float = 0.5
    ground: float = 0.25
    jitter: float = 0.1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise InputError(f"prompt setting {name}", value, "a number from 0 to 1", "Correct it.")

    @classmethod
    def paper(cls, spread: float = spread) -> "PromptSettings":
        """Points in the middle of the boxes alone, as the paper's experiments have them."""
        return cls(spread=spread, surface=0.0, ground=0.0)


def simulate(
    sample: RigSample, settings: PromptSettings, mean_heights: Sequence[float], random: np.random.Generator | int
) -> Prompts:
    """A point for every box of the sample, in the order of the boxes.

    sample: in the LiDAR frame, where the sensor is at the origin.  mean_heights: m, of each of the boxes' classes.
    random: a generator draws anew at every call; a seed gives every object a point of its own for ever, by the
    sample's name and the object's place among its boxes, so call it before boxes are filtered. Under other settings a
    seed's points lie in the same directions, farther out or nearer.
    Raises InputError for a sample without boxes.
    """
    boxes = sample.boxes
    if boxes is None:
        raise InputError(f"boxes of {sample.name}", "absent", "a labelled sample", "Leave it out.")
    if len(mean_heights) != len(boxes.classes):
        expected = f"one for each of {boxes.classes}"
        raise InputError("mean heights", f"{len(mean_heights)} numbers", expected, "Give those of these classes.")
    draws = [_Draw.of(rng) for rng in _generators(sample.name, len(boxes), random)]
    points = np.array([draw.offset for draw in draws]).reshape(-1, 3) * settings.spread * boxes.size / 2
    points = boxes.center + np.einsum("nij,nj->ni", boxes.rotation(), points)

    clicked = np.flatnonzero([draw.surface < settings.surface for draw in draws])
    if len(clicked):
        newest = sample.points[sample.points[:, 4] == 0]
        nearest = nearest_surface(boxes[clicked])
        for i, inside, surface in zip(clicked, points_in_boxes(newest, boxes[clicked]), nearest):
            returns = np.flatnonzero(inside)
            points[i] = surface + settings.jitter * draws[i].jitter
            if len(returns):
                points[i] = newest[returns[int(draws[i].which * len(returns))], :3]

    lost = np.array([draw.ground < settings.ground for draw in draws], bool)
    points[lost, 2] = standing(boxes.label[lost], sample.height, mean_heights)
    return Prompts(points, boxes.label, boxes.classes)


def nearest_surface(boxes: Boxes3D) -> np.ndarray:
    """(N, 3), m: the point of each box (Axes.BODY) that is nearest to the frame's origin, the sensor."""
    rotation = boxes.rotation()
    sensor = np.einsum("nji,nj->ni", rotation, -boxes.center)
    local = np.clip(sensor, -boxes.size / 2, boxes.size / 2)
    return boxes.center + np.einsum("nij,nj->ni", rotation, local)


def standing(label: np.ndarray, height: float, mean_heights: Sequence[float]) -> np.ndarray:
    """(N,) m, in the LiDAR frame: half of the mean height of the classes `label` (N,) above the ground, which is
    `height` below the LiDAR."""
    return np.asarray(mean_heights, np.float64)[label] / 2 - height


@dataclass(frozen=True)
class _Draw:
    """What chance says of one click, whatever the settings, so that settings do not change other clicks."""

    offset: np.ndarray
    surface: float
    ground: float
    which: float
    jitter: np.ndarray

    @classmethod
    def of(cls, rng: np.random.Generator) -> "_Draw":
        offset = rng.normal(0.0, DEVIATION, 3)
        while (outside := np.abs(offset) > 1).any():
            offset[outside] = rng.normal(0.0, DEVIATION, int(outside.sum()))
        surface, ground, which = rng.random(3)
        return cls(offset, surface, ground, which, rng.normal(0.0, 1.0, 3))


def _generators(name: str, count: int, random: np.random.Generator | int) -> list[np.random.Generator]:
    if isinstance(random, np.random.Generator):
        return [random] * count
    frame = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return [np.random.default_rng([random, frame, i]) for i in range(count)]
