"""How good a replay's voxels were: IoU by class over the frames that have truth."""

import math
from pathlib import Path

from voxbox.demo.artefacts import Verdict
from voxbox.report.page import Section, Table
from voxbox_core.datasets.voxel_folder import VoxelFolder
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.fruxel_file import require_same
from voxbox_core.metrics.voxels import Counts, count, scores
from voxbox_core.voxels import AIR, Voxels

TRUTH_SUFFIX = ".voxels"
"""Beside DRIVE.mcap, or a bag's folder DRIVE, lies DRIVE.voxels."""

_PARTS = {"all cells": "IoU", "seen": "visible", "hidden": "occluded"}


class Truth:
    """The voxel samples of a drive by the stamps of its images.

    absent: why there are none; "" where there are. A folder that cannot be used costs the scores, not the pictures.
    """

    def __init__(self, bag: Path, fruxel: Fruxel) -> None:
        path = bag.with_suffix(TRUTH_SUFFIX)
        self.absent = f"no ground truth in {path.name} beside this bag"
        self._index: dict[int, int] = {}
        if not path.is_dir():
            return
        try:
            self._folder = VoxelFolder(path, depth=False)
            require_same(self._folder.fruxel, fruxel, f"grid of {path}")
            stamps = [self._folder.record(i).get("stamp") for i in range(len(self._folder))]
        except InputError as error:
            self.absent = str(error)
            return
        self.absent = ""
        self._index = {_milliseconds(stamp): i for i, stamp in enumerate(stamps) if stamp is not None}

    def at(self, stamp: int) -> Voxels | None:
        """The truth before the camera at a stamp, ns; None where nobody knows."""
        index = self._index.get(_milliseconds(stamp / 1e9))
        return None if index is None else self._folder[index].voxels


def _milliseconds(seconds: float) -> int:
    return round(1e3 * seconds)


def verdict(counts: Counts | None, absent: str) -> Verdict:
    """Only classes that occur, so that a missing number means "none there" and not "missed all".

    absent: why there is no truth, "" where there is.
    """
    if counts is None:
        reason = absent or "no frame with ground truth was answered"
        return Verdict(None, f"{reason}: accuracy not measured", Section("Accuracy", [f"Not measured: {reason}."]))
    found = {name: round(value, 4) for name, value in scores(counts).items() if not math.isnan(value)}
    accuracy = {"frames": counts.samples, "scores": found}
    line = f"accuracy: mean IoU {found.get('IoU', 0):.3f} of {counts.samples} frames with truth"
    return Verdict(accuracy, line, _section(counts, found))


def _section(counts: Counts, found: dict[str, float]) -> Section:
    names = [name for i, name in enumerate(counts.classes) if i != AIR and f"IoU/{name}" in found]
    rows = [["mean", *(_percent(found.get(part)) for part in _PARTS.values())]]
    rows += [[name, *(_percent(found.get(f"{part}/{name}")) for part in _PARTS.values())] for name in names]
    note = (
        f"Intersection over union in percent, over {counts.samples} answered frames with truth. Seen: the first cell "
        "on each ray that is not air, and the air before it; hidden: what is behind. What the node leaves unknown "
        f"counts as air. The first hit is off by {found.get('first hit error', 0):.2f} m on average."
    )
    return Section("Accuracy", tables=[Table(["IoU", *_PARTS], rows, note)])


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def compared(before: Counts | None, found: Voxels | None, truth: Voxels | None) -> Counts | None:
    """The counts with one more frame, which counts when it has truth and was answered."""
    if found is None or truth is None:
        return before
    now = count(found, truth)
    return now if before is None else before + now
