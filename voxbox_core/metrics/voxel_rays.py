"""How well voxels agree with a LiDAR: whether they are occupied where it had returns, and free where its rays went.

For data without voxels as truth. No number means anything alone: what is occupied everywhere meets all returns, what is
empty hinders no ray. Distances are depths Z along the optical axis, m.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.metrics.voxels import RINGS
from voxbox_core.voxels import CLASSES, UNKNOWN, Voxels

KINDS = ("returns", "obstacles", "cars")
"""All returns; those that are not on the ground; those on labelled cars."""
_CAR = CLASSES.index("car")


@dataclass(frozen=True)
class Measured:
    """What a LiDAR says about a grid.

    fruxel: the grid.  points: (P, 3) returns in the camera frame, m; those outside of the grid do not count.
    obstacle, car: (P,) bool, not on the ground, and on a labelled car.
    free: (slices, rows, columns) bool, cells that rays crossed and that hold nothing.
    Raises InputError where these do not belong together.
    """

    fruxel: Fruxel
    points: np.ndarray
    obstacle: np.ndarray
    car: np.ndarray
    free: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.points)
        for name, shape in (("obstacle", (count,)), ("car", (count,)), ("free", self.fruxel.shape)):
            found = np.shape(getattr(self, name))
            if found != shape:
                raise InputError(f"shape of {name}", found, f"{shape}", "Give arrays that belong together.")


@dataclass(frozen=True)
class RayCounts:
    """hits: (3, 3, rings) int64 by KINDS: returns, those in a cell that should be there, those in or next to one.
    free: (2, rings) int64 free cells, and those of them that are occupied."""

    hits: np.ndarray
    free: np.ndarray

    def __add__(self, other: "RayCounts") -> "RayCounts":
        """Over both sets."""
        return RayCounts(self.hits + other.hits, self.free + other.free)


def agreement(voxels: Voxels, measured: Measured) -> RayCounts:
    """Compare one frame. What the voxels leave unknown is not judged.

    Returns on cars shall be in car cells, the others in any occupied one; next to means one cell in any direction,
    diagonals too. Raises InputError for another grid.
    """
    if voxels.fruxel != measured.fruxel:
        raise InputError("grid of the voxels", voxels.fruxel, f"{measured.fruxel}", "Judge in the same grid.")
    known = voxels.labels != UNKNOWN
    cells, inside = voxels.fruxel.locate(measured.points)
    place = tuple(cells.T)
    judged = inside & known[place]
    ring = _rings(measured.points[:, 2])
    hits = np.zeros((len(KINDS), 3, len(RINGS)), np.int64)
    of_kind = (np.ones(len(cells), bool), measured.obstacle, measured.car)
    wanted = (voxels.occupied, voxels.occupied, voxels.labels == _CAR)
    for kind, (chosen, target) in enumerate(zip(of_kind, wanted)):
        chosen = chosen & judged
        met = (np.ones(len(cells), bool), target[place], _next_to(target)[place])
        hits[kind] = [np.bincount(ring[chosen & m], minlength=len(RINGS)) for m in met]
    free, at = measured.free & known, _rings(voxels.fruxel.depths)
    by_slice = np.stack([free.sum((1, 2)), (free & voxels.occupied).sum((1, 2))])
    counted = np.stack([np.bincount(at, slices, len(RINGS)) for slices in by_slice])
    return RayCounts(hits, counted.astype(np.int64))


def scores(counts: RayCounts) -> dict[str, float]:
    """Shares 0..1 by name, nan where nothing is: `returns in`, `returns near` (in or next to), likewise `obstacles` and
    `cars`, and `free occupied`; each also by ring, such as `returns near/0-10 m`."""
    found = _shares(counts.hits.sum(-1), counts.free.sum(-1), "")
    for n, (nearest, farthest) in enumerate(RINGS):
        if counts.free[0, n] or counts.hits[0, 0, n]:
            found |= _shares(counts.hits[..., n], counts.free[:, n], f"/{nearest:g}-{farthest:g} m")
    return found


def _shares(hits: np.ndarray, free: np.ndarray, suffix: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for kind, (count, within, near) in zip(KINDS, hits):
        found |= {f"{kind} in{suffix}": _ratio(within, count), f"{kind} near{suffix}": _ratio(near, count)}
    return found | {f"free occupied{suffix}": _ratio(free[1], free[0])}


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")


def _next_to(cells: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(cells, np.ones((3, 3, 3), bool))


def _rings(depth: np.ndarray) -> np.ndarray:
    """Index into RINGS of each depth."""
    return np.searchsorted([nearest for nearest, _ in RINGS], depth, "right") - 1
