"""The cells of a fruxel grid that rays cross: what a LiDAR knows to be free.

A straight line is straight in (column, row) too, and its slices come one after another; so it is followed slice by
slice, from cell to cell (Amanatides and Woo, 1987).
"""

import numpy as np
from numba import njit

from voxbox_core.fruxel import Fruxel


def crossed(fruxel: Fruxel, origin: np.ndarray, points: np.ndarray, before: float = 0.0) -> np.ndarray:
    """(slices, rows, columns) bool: the cells that have some part of a ray from `origin` to one of the points in them.

    origin: (3,) in the camera frame, m.  points: (P, 3) likewise; those no farther along the axis than the origin are
    left out.  before: m, how long before its point a ray ends.
    """
    ways = np.asarray(points, np.float64) - origin
    length = np.linalg.norm(ways, axis=-1)
    used = (ways[:, 2] > 1e-6) & (length > before)
    ends = origin + ways[used] * (1 - before / length[used])[:, None]
    cells = np.zeros(fruxel.shape, np.bool_)
    lens = np.array([fruxel.focal, *fruxel.principal])
    _cross(np.asarray(origin, np.float64), ends, fruxel.edges, lens, cells)
    return cells


@njit(cache=True)
def _cross(origin: np.ndarray, ends: np.ndarray, edges: np.ndarray, lens: np.ndarray, cells: np.ndarray) -> None:
    """edges: depths between slices.  lens: focal length and principal point, cells."""
    for n in range(len(ends)):
        way = ends[n] - origin
        for k in range(cells.shape[0]):
            near, far = max(edges[k], origin[2]), min(edges[k + 1], ends[n, 2])
            if near >= far:
                continue
            first = (near - origin[2]) / way[2]
            last = (far - origin[2]) / way[2]
            u0 = lens[1] + lens[0] * (origin[0] + first * way[0]) / near
            v0 = lens[2] + lens[0] * (origin[1] + first * way[1]) / near
            u1 = lens[1] + lens[0] * (origin[0] + last * way[0]) / far
            v1 = lens[2] + lens[0] * (origin[1] + last * way[1]) / far
            _mark(cells[k], u0, v0, u1, v1)


@njit(cache=True)
def _mark(cells: np.ndarray, u0: float, v0: float, u1: float, v1: float) -> None:
    """Mark the cells (rows, columns) on the line from (u0, v0) to (u1, v1)."""
    rows, columns = cells.shape
    if max(u0, u1) < 0 or min(u0, u1) >= columns or max(v0, v1) < 0 or min(v0, v1) >= rows:
        return
    i, j = int(np.floor(u0)), int(np.floor(v0))
    aside, down = int(np.floor(u1)), int(np.floor(v1))
    du, dv = u1 - u0, v1 - v0
    step_i, step_j = (1 if du > 0 else -1), (1 if dv > 0 else -1)
    until_i = (i + (du > 0) - u0) / du if du != 0 else np.inf
    until_j = (j + (dv > 0) - v0) / dv if dv != 0 else np.inf
    steps = abs(aside - i) + abs(down - j)
    for step in range(steps + 1):
        if 0 <= i < columns and 0 <= j < rows:
            cells[j, i] = True
        if step == steps:
            break
        if until_i < until_j:
            i += step_i
            until_i += abs(1 / du)
        else:
            j += step_j
            until_j += abs(1 / dv)
