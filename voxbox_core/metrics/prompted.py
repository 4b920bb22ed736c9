"""How good boxes are whose objects are known: one box per prompt, judged by index.

Average precision says little of a detector that is told where its objects are; how far it refines what it was told
does. Its measure is the raw click with the class's mean size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D, intersection_area
from voxbox_core.datasets.rig import Prompts
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class PromptedErrors:
    """Of N boxes: iou: (N,) overlap seen from above, 0..1.  center: (N,) m over the ground.  yaw: (N,) rad, 0..pi."""

    iou: np.ndarray
    center: np.ndarray
    yaw: np.ndarray

    def __len__(self) -> int:
        return len(self.iou)

    def __getitem__(self, index: np.ndarray | slice) -> "PromptedErrors":
        """Those at a mask, an index array or a slice: of one class, or one ring of distance."""
        return PromptedErrors(self.iou[index], self.center[index], self.yaw[index])

    @property
    def means(self) -> dict[str, float]:
        """Mean of each by name, NaN without boxes."""
        values = {"iou": self.iou, "center": self.center, "yaw": self.yaw}
        return {name: float(value.mean()) if len(value) else float("nan") for name, value in values.items()}


def prompted_errors(truth: Boxes3D, found: Boxes3D) -> PromptedErrors:
    """Box i of `found` against object i of `truth`, both in one body frame. Raises InputError where they cannot be."""
    if len(truth) != len(found):
        raise InputError("boxes of the prompts", len(found), f"{len(truth)}, as of truth", "Give one per object.")
    for boxes in (truth, found):
        if boxes.axes is not Axes.BODY:
            raise InputError("axes of the boxes", boxes.axes.name, "BODY", "Transform them.")
    pairs = zip(np.ascontiguousarray(truth.footprint()), np.ascontiguousarray(found.footprint()))
    overlap = np.array([intersection_area(first, second) for first, second in pairs])
    union = truth.size[:, :2].prod(-1) + found.size[:, :2].prod(-1) - overlap
    return PromptedErrors(
        iou=overlap / np.maximum(union, 1e-12),
        center=np.linalg.norm(truth.center[:, :2] - found.center[:, :2], axis=-1),
        yaw=np.abs((truth.yaw - found.yaw + np.pi) % (2 * np.pi) - np.pi),
    )


def boxes_at_clicks(prompts: Prompts, mean_sizes: Sequence[Sequence[float]], yaw: np.ndarray) -> Boxes3D:
    """The boxes of someone who knows no better: centred on the clicks, as large as their class is on average.

    mean_sizes: length, width, height of each of the prompts' classes, m.  yaw: (N,) rad, the true one for the strictest
    comparison.
    """
    count = len(prompts)
    return Boxes3D(
        center=prompts.points,
        size=np.asarray(mean_sizes, np.float64)[prompts.label].reshape(count, 3),
        yaw=yaw,
        label=prompts.label,
        score=np.ones(count),
        box2d=np.full((count, 4), np.nan),
        classes=prompts.classes,
        axes=Axes.BODY,
    )
