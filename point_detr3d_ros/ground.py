"""How a LiDAR stands: its height above the ground, and the turn that makes its frame level."""

import statistics
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from voxbox_core.boxes import Axes, Boxes3D

BASE_FRAMES = ("base_footprint", "base_link", "ego_vehicle")
"""Of the vehicle: x forward, z up (REP 105)."""

_NEAR, _FAR = 3.0, 12.0  # m around the LiDAR: beyond its own vehicle, and where slopes and kerbs are small yet
_CELL = 2.0  # m
_LEAST_POINTS = 5  # of a cell, for its lowest to mean something
_LOWER = 0.4
_LEAST_CELLS = 8
_REMEMBERED = 20  # clouds


@dataclass(frozen=True)
class Mount:
    """How the LiDAR stands.

    height: of its origin above the ground, m.  rotation: (3, 3), from its frame to one with the same origin whose z is
    up and whose x is forward.  source: where this is known from.
    """

    height: float
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    source: str = "given"

    @property
    def level(self) -> bool:
        """Whether the LiDAR's frame is level already."""
        return bool(np.allclose(self.rotation, np.eye(3), atol=1e-6))

    def levelled(self, points: np.ndarray) -> np.ndarray:
        """Points (P, 3..) of the LiDAR's frame in the level one; the other columns are kept."""
        if self.level:
            return points
        turned = points.copy()
        turned[:, :3] = points[:, :3] @ self.rotation.T.astype(points.dtype)
        return turned

    def back(self, boxes: Boxes3D) -> Boxes3D:
        """Boxes of the level frame in the LiDAR's."""
        return boxes if self.level else boxes.transformed(self.rotation.T, np.zeros(3), Axes.BODY)

    @property
    def lidar_from_level(self) -> np.ndarray:
        """(4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation.T
        return matrix


class GroundHeight:
    """The height of a LiDAR by its clouds: the median over the last ones, so that boxes do not hop."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)

    def of(self, points: np.ndarray) -> float | None:
        """m, with the cloud (P, 3..) of a level frame added; None as long as none has shown enough ground."""
        found = height_above_ground(points)
        if found is not None:
            self._recent.append(found)
        return statistics.median(self._recent) if self._recent else None


def height_above_ground(points: np.ndarray) -> float | None:
    """How far below the origin of a level frame, m, the ground around lies; None where too little of it is seen.

    points: (P, 3..). Of each cell around the LiDAR the lowest tenth of its points; of the cells the lower two fifths,
    for in some of them all points lie on something. On 20 KITTI clouds 1.73 m come out within 5 cm on average.
    """
    lows = _lows(np.ascontiguousarray(points[:, :3], np.float32))
    return -float(np.quantile(lows, _LOWER)) if len(lows) >= _LEAST_CELLS else None


def _lows(points: np.ndarray) -> np.ndarray:
    side = 2 * int(np.ceil(_FAR / _CELL))
    cell = _cells_around(points, side)
    order = np.argsort(cell, kind="stable")
    order = order[np.searchsorted(cell, 0, sorter=order) :]
    cell, z = cell[order], points[order, 2]
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    counts = np.diff(starts, append=len(cell))
    # The quantile by numpy takes longer than all the rest.
    return np.array(
        [np.partition(z[s : s + n], n // 10)[n // 10] for s, n in zip(starts, counts) if n >= _LEAST_POINTS]
    )


@njit(cache=True)
def _cells_around(points: np.ndarray, side: int) -> np.ndarray:
    """Flat cell of each point between _NEAR and _FAR from the LiDAR, -1 for the others."""
    cell = np.full(len(points), -1, np.int64)
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        distance = x * x + y * y
        if _NEAR * _NEAR <= distance < _FAR * _FAR:
            cell[i] = int(x / _CELL + side / 2) * side + int(y / _CELL + side / 2)
    return cell
