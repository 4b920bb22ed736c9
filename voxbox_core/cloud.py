"""Point clouds for networks: the grid over the ground, and pillars of points that stand on its cells."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from voxbox_core.errors import InputError

FEATURES = 10
"""x y z intensity age, offset from the mean of the pillar's points (3), offset from the pillar's centre (2)."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """Cells over a range of space, m. Arrays over it have y before x: [iy, ix], flat index iy * nx + ix.

    Raises InputError for ranges that are no whole number of cells.
    """

    x: Range = (-51.2, 51.2)
    y: Range = (-51.2, 51.2)
    z: Range = (-1.0, 5.0)
    cell: float = 0.4

    def __post_init__(self) -> None:
        for name in ("x", "y", "z"):
            low, high = (float(v) for v in getattr(self, name))
            object.__setattr__(self, name, (low, high))
            if not low < high:
                raise InputError(f"grid range {name}", (low, high), "(low, high), m, low < high", "Correct it.")
        for name in ("x", "y"):
            low, high = getattr(self, name)
            cells = (high - low) / self.cell if self.cell > 0 else 0.0
            if cells < 1 or abs(cells - round(cells)) > 1e-6:
                value = f"{(low, high)} m with cells of {self.cell} m"
                raise InputError(f"grid range {name}", value, "a whole number of cells", "Correct one of them.")

    @property
    def nx(self) -> int:
        return round((self.x[1] - self.x[0]) / self.cell)

    @property
    def ny(self) -> int:
        return round((self.y[1] - self.y[0]) / self.cell)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which of the points (N, 3..) lie in the range: (N,) bool."""
        inside = np.ones(len(points), bool)
        for axis, (low, high) in enumerate((self.x, self.y, self.z)):
            inside &= (points[:, axis] >= low) & (points[:, axis] < high)
        return inside


@dataclass(frozen=True)
class Pillars:
    """Points by the cells they stand on: arrays, or tensors where the engine is (`device_cloud.pillars`).

    features: (n, per_pillar, FEATURES) float32, zeros where a pillar has fewer points.  cell: (n,) int64 flat index in
    the grid, ascending.  occupied: cells with points.  overflow_pillars: of these, how many found no place.
    overflow_points: points left out, because their pillar was full or found no place.
    """

    features: Any
    cell: Any
    occupied: int
    overflow_pillars: int
    overflow_points: int


def pillars(points: Any, grid: Grid, per_pillar: int, max_pillars: int, height: float = 0.0) -> Pillars:
    """PointPillars' encoding (Lang et al., 2019, section 2.1; CenterPoint's ten features).

    points: (P, 5) float32 x y z intensity age, m and s; those outside of the grid, NaN among them, are ignored.
    height: of the points' origin above the ground, m, which is added to z: the grid has the ground about z = 0.

    The same points in the same order give the same bytes: a full pillar keeps points evenly spread
    over their order in the cloud, and of too many pillars those with the most points stay, the lower cell first.
    A tensor is worked on where it is (`device_cloud`), to the same pillars.
    """
    if not isinstance(points, np.ndarray):
        from voxbox_core import device_cloud  # PyTorch: a node that runs another engine is lighter without

        return device_cloud.pillars(points, grid, per_pillar, max_pillars, height)
    points = np.ascontiguousarray(points, np.float32)
    low, high = (np.array([axis[side] for axis in (grid.x, grid.y, grid.z)], np.float32) for side in (0, 1))
    lift = np.float32(height)
    cell, count = _cells(points, lift, low, high, grid.x[0], grid.y[0], grid.cell, grid.nx, grid.ny)
    kept = occupied = _occupied(count)
    if len(occupied) > max_pillars:
        fullest = np.argsort(-count[occupied], kind="stable")[:max_pillars]
        kept = np.sort(occupied[fullest])
    row = np.full(len(count), -1, np.int32)
    row[kept] = np.arange(len(kept))
    features = np.zeros((len(kept), per_pillar, FEATURES), np.float32)
    _fill(points, lift, cell, row, count, features)
    _decorate(features, np.minimum(count[kept], per_pillar), kept, grid.nx, grid.cell, grid.x[0], grid.y[0])
    placed = int(np.minimum(count[kept], per_pillar).sum())
    return Pillars(features, kept, len(occupied), len(occupied) - len(kept), int(count.sum()) - placed)


@njit(cache=True, nogil=True)
def _cells(
    points: np.ndarray,
    lift: np.float32,
    low: np.ndarray,
    high: np.ndarray,
    x0: float,
    y0: float,
    size: float,
    nx: int,
    ny: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The flat cell of each point, -1 outside of `low` to `high`; and how many points each cell has."""
    cell = np.empty(len(points), np.int32)
    count = np.zeros(nx * ny, np.int32)
    (low_x, low_y, low_z), (high_x, high_y, high_z) = low, high
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2] + lift
        # With & and not `and`: one jump, which is foreseen, instead of six. NaN is not inside.
        inside = (low_x <= x) & (x < high_x) & (low_y <= y) & (y < high_y) & (low_z <= z) & (z < high_z)
        if not inside:
            cell[i] = -1
            continue
        ix = min(int((x - x0) / size), nx - 1)
        iy = min(int((y - y0) / size), ny - 1)
        cell[i] = iy * nx + ix
        count[cell[i]] += 1
    return cell, count


@njit(cache=True, nogil=True)
def _occupied(count: np.ndarray) -> np.ndarray:
    """Which cells have points, ascending: int64."""
    cells, n = np.empty(np.count_nonzero(count), np.int64), 0
    for i in range(len(count)):
        if count[i]:
            cells[n] = i
            n += 1
    return cells


@njit(cache=True, nogil=True)
def _fill(
    points: np.ndarray, lift: np.float32, cell: np.ndarray, row: np.ndarray, count: np.ndarray, features: np.ndarray
) -> None:
    """Copy each point to its place. Of n points in a pillar of `limit` places, point k takes place floor(k limit / n)
    when it is the first to reach it: when k limit mod n, which needs no division to be kept, is below limit."""
    limit = features.shape[1]
    place = np.zeros(len(features), np.int32)
    rest = np.zeros(len(features), np.int32)
    for i in range(len(points)):
        if cell[i] < 0:
            continue
        r, n = row[cell[i]], count[cell[i]]
        if r < 0:
            continue
        if n > limit:
            before = rest[r]
            after = before + limit
            rest[r] = after - n if after >= n else after
            if before >= limit:
                continue
        p = place[r]
        features[r, p, 0], features[r, p, 1], features[r, p, 2] = points[i, 0], points[i, 1], points[i, 2] + lift
        features[r, p, 3], features[r, p, 4] = points[i, 3], points[i, 4]
        place[r] = p + 1


@njit(cache=True, nogil=True)
def _decorate(
    features: np.ndarray, count: np.ndarray, cell: np.ndarray, nx: int, size: float, x0: float, y0: float
) -> None:
    for r in range(len(features)):
        n = count[r]
        x = y = z = 0.0
        for k in range(n):
            x += features[r, k, 0]
            y += features[r, k, 1]
            z += features[r, k, 2]
        center_x = x0 + (cell[r] % nx + 0.5) * size
        center_y = y0 + (cell[r] // nx + 0.5) * size
        for k in range(n):
            features[r, k, 5] = features[r, k, 0] - x / n
            features[r, k, 6] = features[r, k, 1] - y / n
            features[r, k, 7] = features[r, k, 2] - z / n
            features[r, k, 8] = features[r, k, 0] - center_x
            features[r, k, 9] = features[r, k, 1] - center_y
