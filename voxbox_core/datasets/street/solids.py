"""Which points lie inside a union of closed surfaces.

A ray straight up leaves every solid once more than it enters it afterwards: surfaces above that face up count +1,
those that face down -1, and the sum is the number of solids around the point.
"""

import numpy as np
from numba import njit


def containing(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Triangles (T, 3, 3) of closed surfaces, counter-clockwise from outside; points (P, 3) -> (P,) bool."""
    inside = np.zeros(len(points), bool)
    if not len(triangles):
        return inside
    corners = triangles.reshape(-1, 3)
    near = np.flatnonzero(((points >= corners.min(0)) & (points <= corners.max(0))).all(1))
    if len(near):
        inside[near] = _crossings(np.ascontiguousarray(triangles, np.float64), points[near]) > 0
    return inside


@njit(cache=True)
def _crossings(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P,) surfaces facing up minus surfaces facing down, above every point."""
    count = np.zeros(len(points), np.int64)
    for k in range(len(triangles)):
        a, b, c = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0.0:
            continue
        low_x, high_x = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
        top = max(a[2], b[2], c[2])
        for i in range(len(points)):
            x, y, z = points[i]
            if x < low_x or x > high_x or z > top or not _covers(a, b, c, x, y):
                continue
            u = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
            v = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
            if u * a[2] + v * b[2] + (1 - u - v) * c[2] > z:
                count[i] += 1 if area > 0 else -1
    return count


@njit(cache=True)
def _covers(a: np.ndarray, b: np.ndarray, c: np.ndarray, x: float, y: float) -> bool:
    """Whether a triangle covers a point, seen from above. Half-open edges: neighbours never count it twice."""
    return _left(a, b, x, y) ^ _left(b, c, x, y) ^ _left(c, a, x, y)


@njit(cache=True)
def _left(p: np.ndarray, q: np.ndarray, x: float, y: float) -> bool:
    """Whether a ray from (x, y) along +x crosses the edge p q. The edge is taken from its lower end, so both
    triangles that share it compute the same number."""
    if p[1] > q[1]:
        p, q = q, p
    if y < p[1] or y >= q[1]:
        return False
    return (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) > 0
