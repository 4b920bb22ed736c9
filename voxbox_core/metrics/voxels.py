"""How good semantic voxels are: intersection over union (IoU) by class, as in SSZ (Kniaz et al., ECCV 2020, Table 2).

Cells of unknown truth are left out. `count` counts one sample, counts are added up over a set, and all scores follow
from the sum. Distances are depths Z along the optical axis, m, as slices have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, UNKNOWN, Voxels

RINGS = ((0.0, 10.0), (10.0, 20.0), (20.0, 40.0), (40.0, np.inf))
"""Depths, m, that are judged apart, too."""

RAY_TOLERANCES = (1.0, 2.0, 4.0)
"""m, between true and predicted first hits (RayIoU: Liu et al., SparseOcc, ECCV 2024)."""


@dataclass(frozen=True)
class Counts:
    """What was counted over some samples of one grid; n classes, 0 is air.

    confusion: (2, slices, n, n) int64 cells: [occluded or visible, slice, true class, predicted class].
    rays: (tolerances, 3, n) int64 columns by the class of their first cell that is not air: those of truth, those of
    the prediction, and those of both with depths that differ by no more than the tolerance.
    hit_error: sum of |difference of depth|, m, over `hits` columns where both have a first hit.
    sample_iou: (n,) sum of the IoU of each sample that has the class; sample_count: (n,) their number.
    """

    classes: tuple[str, ...]
    fruxel: Fruxel
    samples: int
    confusion: np.ndarray
    rays: np.ndarray
    hit_error: float
    hits: int
    sample_iou: np.ndarray
    sample_count: np.ndarray

    def __add__(self, other: "Counts") -> "Counts":
        """Over both sets. Raises InputError where grids or classes differ."""
        if (self.classes, self.fruxel) != (other.classes, other.fruxel):
            value = f"of {other.classes} in {other.fruxel}"
            raise InputError("counts to add", value, f"{self.classes} in {self.fruxel}", "Judge one data set at once.")
        return Counts(
            self.classes,
            self.fruxel,
            self.samples + other.samples,
            self.confusion + other.confusion,
            self.rays + other.rays,
            self.hit_error + other.hit_error,
            self.hits + other.hits,
            self.sample_iou + other.sample_iou,
            self.sample_count + other.sample_count,
        )

    @property
    def cells(self) -> np.ndarray:
        """(n, n) of all known cells, by true and predicted class."""
        return np.asarray(self.confusion.sum((0, 1)))

    @property
    def visible(self) -> np.ndarray:
        """(n, n) of the first cell on each column that is not air, and the air before it."""
        return np.asarray(self.confusion[1].sum(0))

    @property
    def occluded(self) -> np.ndarray:
        """(n, n) of all cells behind these."""
        return np.asarray(self.confusion[0].sum(0))

    @property
    def volume(self) -> np.ndarray:
        """(n, n) m^3, instead of cells: far cells are larger."""
        return np.asarray(np.einsum("vktp,k->tp", self.confusion, self.fruxel.volumes))

    def ring(self, nearest: float, farthest: float) -> np.ndarray:
        """(n, n) of the slices whose centres lie in [nearest, farthest), m."""
        chosen = (self.fruxel.depths >= nearest) & (self.fruxel.depths < farthest)
        return np.asarray(self.confusion[:, chosen].sum((0, 1)))

    @property
    def sample_mean(self) -> np.ndarray:
        """(n,) IoU by class, mean over the samples that have the class; nan where none has."""
        return _ratio(self.sample_iou, self.sample_count)

    @property
    def ray_iou(self) -> np.ndarray:
        """(tolerances, n) IoU of first hits by class; nan where truth has none."""
        true, predicted, both = self.rays[:, 0], self.rays[:, 1], self.rays[:, 2]
        return np.where(true > 0, _ratio(both, true + predicted - both), np.nan)

    @property
    def mean_hit_error(self) -> float:
        """m, of the first hit's depth, over the columns that have one in truth and in the prediction."""
        return self.hit_error / self.hits if self.hits else np.nan


def count(predicted: Voxels, truth: Voxels) -> Counts:
    """Compare one sample. What the prediction leaves unknown counts as air.

    Raises InputError where grids or classes differ.
    """
    if (predicted.fruxel, predicted.classes) != (truth.fruxel, truth.classes):
        value = f"{predicted.classes} in {predicted.fruxel}"
        raise InputError("predicted voxels", value, f"{truth.classes} in {truth.fruxel}", "Judge in the truth's grid.")
    n, fruxel = len(truth.classes), truth.fruxel
    labels = np.where(predicted.labels == UNKNOWN, np.uint8(AIR), predicted.labels)
    known = truth.labels != UNKNOWN
    place = np.arange(fruxel.slices)[:, None, None] + fruxel.slices * truth.visible
    pair = (place * n + np.where(known, truth.labels, 0)) * n + labels
    confusion = np.bincount(pair[known], minlength=2 * fruxel.slices * n * n).reshape(2, fruxel.slices, n, n)
    own = iou(confusion.sum((0, 1)))
    rays, error, hits = _rays(labels, truth, n)
    has = ~np.isnan(own)
    return Counts(truth.classes, fruxel, 1, confusion, rays, error, hits, np.where(has, own, 0.0), has.astype(np.int64))


def iou(confusion: np.ndarray) -> np.ndarray:
    """(n, n) true x predicted -> (n,) intersection over union by class; nan where truth has none."""
    both, true, predicted = np.diagonal(confusion), confusion.sum(1), confusion.sum(0)
    return np.where(true > 0, _ratio(both, true + predicted - both), np.nan)


def mean_iou(by_class: np.ndarray) -> float:
    """(n,) IoU by class -> mean over the classes that occur; air is no class to find."""
    occurs = by_class[AIR + 1 :]
    occurs = occurs[~np.isnan(occurs)]
    return float(occurs.mean()) if len(occurs) else np.nan


def geometric_iou(confusion: np.ndarray) -> float:
    """IoU of what is not air, whatever its class; nan where truth has none."""
    air = np.diag([confusion[AIR, AIR], confusion[AIR + 1 :, AIR + 1 :].sum()])
    air[0, 1], air[1, 0] = confusion[AIR, AIR + 1 :].sum(), confusion[AIR + 1 :, AIR].sum()
    return float(iou(air)[1])


def scores(counts: Counts) -> dict[str, float]:
    """All scores of a set by name, 0..1 and nan where nothing is; `IoU` is the paper's mean."""
    by_class = iou(counts.cells)
    rings = {f"{a:g}-{b:g} m": counts.ring(a, b) for a, b in RINGS}
    parts: Mapping[str, np.ndarray] = {
        "visible": counts.visible,
        "occluded": counts.occluded,
        "volume": counts.volume,
        **{name: ring for name, ring in rings.items() if ring.any()},
    }
    found = {"IoU": mean_iou(by_class), "geometric": geometric_iou(counts.cells)}
    found |= {f"IoU/{name}": float(v) for name, v in zip(counts.classes, by_class)}
    found["sample mean"] = mean_iou(counts.sample_mean)
    for name, part in parts.items():
        found |= {name: mean_iou(iou(part)), f"{name}/geometric": geometric_iou(part)}
        found |= {f"{name}/{c}": float(v) for c, v in zip(counts.classes, iou(part))}
    for tolerance, row in zip(RAY_TOLERANCES, counts.ray_iou):
        found[f"ray IoU {tolerance:g} m"] = mean_iou(row)
    return found | {"first hit error": counts.mean_hit_error}


def _rays(labels: np.ndarray, truth: Voxels, n: int) -> tuple[np.ndarray, float, int]:
    """First hits of every column whose truth is known up to its first hit -> rays, hit_error and hits of `Counts`."""
    true_slice, true_class = _first(truth.labels)
    own_slice, own_class = _first(labels)
    judged = true_class != UNKNOWN
    true_class, own_class = true_class[judged].astype(np.int64), own_class[judged].astype(np.int64)
    depths = truth.fruxel.depths
    apart = np.abs(depths[true_slice[judged]] - depths[own_slice[judged]])
    by_truth, by_prediction = (np.bincount(c, minlength=n) for c in (true_class, own_class))
    alike = [np.bincount(own_class[(own_class == true_class) & (apart <= t)], minlength=n) for t in RAY_TOLERANCES]
    rays = np.stack([np.stack([by_truth, by_prediction, both]) for both in alike])
    both_hit = (true_class != AIR) & (own_class != AIR)
    return rays, float(apart[both_hit].sum()), int(both_hit.sum())


def _first(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(slices, rows, columns) -> slice and label (rows, columns) of the first cell that is not air; air where none."""
    place = (labels != AIR).argmax(0)
    return place, np.take_along_axis(labels, place[None], 0)[0]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """nan where the whole is nothing."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0))
