"""Voxel scores as text for the terminal and as keys and numbers for files."""

import math
from collections.abc import Mapping

import numpy as np

from voxbox_core.metrics.voxels import RAY_TOLERANCES, RINGS, Counts, iou, mean_iou, scores
from voxbox_core.voxels import AIR

_FAR = [f"{a:g}-{b:g} m" for a, b in RINGS]
_PARTS = ["IoU", "sample mean", "volume", "visible", "occluded", "geometric", *_FAR]
_PARTS += [f"ray IoU {t:g} m" for t in RAY_TOLERANCES] + ["first hit error"]
_SHORT = {"IoU": "mean", "sample mean": "per image", "geometric": "any class", "first hit error": "hit off, m"}


def numbers(counts: Counts) -> dict[str, float | None]:
    """The scores as JSON has them: null where nothing is."""
    return {name: None if math.isnan(value) else round(value, 6) for name, value in scores(counts).items()}


def class_table(rows: Mapping[str, Counts]) -> str:
    """3D IoU as in the paper's Table 2: a line for each of `rows`, a column per class but air, and their mean."""
    classes = next(iter(rows.values())).classes[AIR + 1 :]
    values = {name: iou(counts.cells) for name, counts in rows.items()}
    lines = {name: [*by_class[AIR + 1 :], mean_iou(by_class)] for name, by_class in values.items()}
    return _table("3D IoU", [*classes, "mean"], lines)


def part_table(rows: Mapping[str, Counts]) -> str:
    """A line for each part of space and each way to count, a column for each of `rows`."""
    found = {name: scores(counts) for name, counts in rows.items()}
    parts = [part for part in _PARTS if any(part in values for values in found.values())]
    lines = {_SHORT.get(part, part): [values.get(part, math.nan) for values in found.values()] for part in parts}
    return _table("mean over classes", list(found), lines)


def _table(title: str, heads: list[str], lines: Mapping[str, list[float]]) -> str:
    first = max(len(name) for name in (title, *lines)) + 2
    widths = [max(len(head) + 2, 10) for head in heads]
    text = [f"{title:{first}}" + "".join(f"{head:>{width}}" for head, width in zip(heads, widths))]
    for name, values in lines.items():
        cells = (f"{'-' if np.isnan(v) else f'{v:.3f}':>{width}}" for v, width in zip(values, widths))
        text.append(f"{name:{first}}" + "".join(cells))
    return "\n".join(text)
