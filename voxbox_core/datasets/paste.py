"""Objects of labelled frames, pasted into others (ground-truth sampling, Yan et al., 2018)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D, pairwise_intersection
from voxbox_core.datasets.rig import Prompts, RigSample, points_in_boxes
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file

LEAST_RETURNS = 5  # of the newest sweep, for an object to be worth pasting


@dataclass(frozen=True)
class ObjectBank:
    """Objects cut out of labelled frames, each where it was recorded.

    boxes: N, Axes.BODY, in their LiDAR's frame.  points: (P, 5) float32 as in RigSample, object after object.
    start: (N + 1,) int64, object i has the points start[i]:start[i + 1].  height: (N,) m, of its LiDAR above the
    ground.  frame: (N,) names of the frames they are from.
    """

    boxes: Boxes3D
    points: np.ndarray
    start: np.ndarray
    height: np.ndarray
    frame: np.ndarray

    def __post_init__(self) -> None:
        shapes = {"start": (len(self.boxes) + 1,), "height": (len(self.boxes),), "frame": (len(self.boxes),)}
        for name, shape in (shapes | {"points": (self.start[-1], 5)}).items():
            if getattr(self, name).shape != shape:
                found = getattr(self, name).shape
                raise InputError(f"shape of the object bank's {name}", found, str(shape), "Build it again.")

    @classmethod
    def build(cls, samples: Iterable[RigSample], classes: tuple[str, ...]) -> "ObjectBank":
        """The objects with LEAST_RETURNS and more. samples: of D_F alone, with boxes of these classes: an object of
        another frame would be a label that is not there. Raises InputError for a sample without boxes."""
        boxes, points, height, frame = [Boxes3D.empty(classes, Axes.BODY)], [np.zeros((0, 5), np.float32)], [], []
        for sample in samples:
            if sample.boxes is None:
                raise InputError(f"boxes of {sample.name}", "absent", "a sample of D_F", "Leave it out.")
            kept = sample.boxes[sample.hits >= LEAST_RETURNS]
            boxes.append(kept)
            points += [sample.points[inside] for inside in points_in_boxes(sample.points, kept)]
            height += [sample.height] * len(kept)
            frame += [sample.name] * len(kept)
        start = np.cumsum([len(p) for p in points])
        together = replace(Boxes3D.concatenate(boxes), box2d=np.full((len(height), 4), np.nan))
        return cls(together, np.concatenate(points), start, np.array(height, np.float64), np.array(frame, np.str_))

    def __len__(self) -> int:
        return len(self.boxes)

    def save(self, path: Path) -> None:
        """Write the bank to an npz file, whole or not at all."""
        arrays = {name: getattr(self.boxes, name) for name in ("center", "size", "yaw", "label")}
        arrays |= {name: getattr(self, name) for name in ("points", "start", "height", "frame")}
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, classes=np.array(self.boxes.classes), **arrays)

    @classmethod
    def load(cls, path: Path) -> "ObjectBank":
        """Read what `save` wrote. Raises InputError for any other file."""
        try:
            with np.load(path, allow_pickle=False) as file:
                a = {name: file[name] for name in file.files}
            n = len(a["yaw"])
            boxes = Boxes3D(
                a["center"], a["size"], a["yaw"], a["label"], np.ones(n), np.full((n, 4), np.nan),
                tuple(str(name) for name in a["classes"]), Axes.BODY,
            )  # fmt: skip
            return cls(boxes, a["points"], a["start"], a["height"], a["frame"])
        except Exception as error:  # a damaged file makes numpy and zipfile raise whatever they stumble over
            value = f"unreadable ({' '.join(str(error).split()) or type(error).__name__})"
            raise InputError(
                f"object bank {path}", value, "a bank as saved", "Delete it; it is built again."
            ) from error

    def object_points(self, index: int, height: float) -> np.ndarray:
        """(P, 5): the points of an object, for a LiDAR `height` m above the ground: it stands on that ground."""
        points = self.points[self.start[index] : self.start[index + 1]].copy()
        points[:, 2] += self.height[index] - height
        return points


def paste(
    sample: RigSample, bank: ObjectBank, counts: Mapping[str, int], rng: np.random.Generator
) -> tuple[RigSample, np.ndarray]:
    """The sample with objects of the bank where they were recorded, and which of its boxes, (N,) bool, are pasted.

    counts: objects of each class to fill the sample up to; fewer where there is no room: an object that would overlap
    a box, seen from above, stays out. Points of the scene inside of a pasted box go; nothing else is made of
    occlusion, and images stay as they are, so pasted objects must not look at them. Prompts, where the sample has
    any, get the centres of the pasted boxes. Raises InputError for a sample without boxes, or of other classes.
    """
    boxes = sample.boxes
    if boxes is None:
        raise InputError(f"boxes of {sample.name}", "absent", "a sample with boxes to keep clear of", "Leave it out.")
    if boxes.classes != bank.boxes.classes:
        expected = f"the object bank's {bank.boxes.classes}"
        raise InputError(f"classes of {sample.name}", boxes.classes, expected, "Build the bank of this data set.")
    chosen = _with_room(boxes, bank, _candidates(boxes, bank, counts, rng))
    if not len(chosen):
        return sample, np.zeros(len(boxes), bool)
    pasted = bank.boxes[chosen]
    pasted = replace(pasted, center=pasted.center + (bank.height[chosen] - sample.height)[:, None] * [0, 0, 1])
    objects = [bank.object_points(i, sample.height) for i in chosen]
    around = sample.points[~points_in_boxes(sample.points, pasted).any(0)]
    hits = [np.count_nonzero(points[:, 4] == 0) for points in objects]
    result = replace(
        sample,
        points=np.concatenate([around, *objects]),
        boxes=Boxes3D.concatenate([boxes, pasted]),
        hits=np.concatenate([sample.hits, np.array(hits, np.int64)]),
        prompts=_prompts(sample.prompts, pasted),
    )
    return result, np.arange(len(boxes) + len(chosen)) >= len(boxes)


def _candidates(boxes: Boxes3D, bank: ObjectBank, counts: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    """Objects to try, in random order of each class."""
    drawn = [np.zeros(0, np.int64)]
    for name, count in counts.items():
        if name not in boxes.classes:
            raise InputError("class to paste", name, f"one of {boxes.classes}", "Correct the counts.")
        label = boxes.classes.index(name)
        missing = count - np.count_nonzero(boxes.label == label)
        mine = np.flatnonzero(bank.boxes.label == label)
        drawn.append(rng.choice(mine, int(np.clip(missing, 0, len(mine))), replace=False))
    return np.concatenate(drawn)


def _with_room(boxes: Boxes3D, bank: ObjectBank, candidates: np.ndarray) -> np.ndarray:
    """Those of the candidates, first come first served, that overlap no box, seen from above."""
    footprints = np.ascontiguousarray(bank.boxes[candidates].footprint())
    among = pairwise_intersection(footprints, footprints) > 0
    free = ~(pairwise_intersection(footprints, np.ascontiguousarray(boxes.footprint())) > 0).any(1)
    kept: list[int] = []
    for i in np.flatnonzero(free):
        if not among[i, kept].any():
            kept.append(int(i))
    return candidates[kept]


def _prompts(prompts: Prompts | None, pasted: Boxes3D) -> Prompts | None:
    if prompts is None:
        return None
    if prompts.classes != pasted.classes:
        raise InputError("classes of the prompts", prompts.classes, f"the boxes' {pasted.classes}", "Convert them.")
    points = np.concatenate([prompts.points, pasted.center])
    return Prompts(points, np.concatenate([prompts.label, pasted.label]), prompts.classes)
