"""The cells of a fruxel grid as faces in a picture: hidden ones removed, corners darkened where cells meet.

A cell's faces are flat (its sides lie on rays of the grid's camera), so that four projected corners are the face.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from voxbox_core.fruxel import Fruxel

_BRIGHTNESS = np.array([1.0, 0.66, 1.22, 0.5, 0.8, 1.08], np.float32)
"""Of faces to the front, the back, the top, the bottom, the left and the right: the sun stands above, on the right.
Above 1, because the corners and lines take some."""

_MEETING = np.array([0.5, 0.68, 0.84, 1.0], np.float32)
"""Light left in a corner of a face by how free it is: 0 with cells on both sides, 3 with none."""

_LINE = 0.82
"""Light left in the lines around faces."""

# Axes along a face, by the axis (slice, row, column) and the side it looks to: their cross product points into the
# cell, so that the faces that look at the viewer are those whose projected area is positive.
_ALONG = np.array([[[2, 1], [1, 2]], [[0, 2], [2, 0]], [[1, 0], [0, 1]]])


@dataclass(frozen=True)
class View:
    """How a picture is taken of a grid.

    rotation: (3, 3), to right, down and away of the picture from the grid's camera frame.  eye: (3,) in the camera
    frame, m.  focal: px, or px per metre where `parallel`.  middle: (x, y) of the eye's axis in the picture, px.
    parallel: no perspective.
    """

    rotation: np.ndarray
    eye: np.ndarray
    focal: float
    middle: tuple[float, float]
    parallel: bool = False

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the camera frame, m -> (..., 3) pixels x, y, and nearness: greater is nearer, and linear
        along a line of the picture."""
        seen = (np.asarray(points, np.float64) - self.eye) @ self.rotation.T
        away = seen[..., 2]
        nearness = -away if self.parallel else 1 / np.maximum(away, 1e-6)
        scale = self.focal * (np.ones_like(away) if self.parallel else nearness)
        return np.stack([seen[..., 0] * scale + self.middle[0], seen[..., 1] * scale + self.middle[1], nearness], -1)


def corners(fruxel: Fruxel) -> np.ndarray:
    """(slices + 1, rows + 1, columns + 1, 3) where cells meet, in the camera frame, m."""
    x = (np.arange(fruxel.columns + 1) - fruxel.principal[0]) / fruxel.focal
    y = (np.arange(fruxel.rows + 1) - fruxel.principal[1]) / fruxel.focal
    rays = np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), -1)
    return np.asarray(fruxel.edges[:, None, None, None] * rays)


def paint(
    filled: np.ndarray, ink: np.ndarray, places: np.ndarray, size: tuple[int, int], edge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the faces of filled cells that no filled cell hides.

    filled: (slices, rows, columns) bool.  ink: (slices, rows, columns, 3) uint8 RGB.  places: `View.project` of
    `corners`.  size: width and height, px.  edge: width of the dark lines around faces, px.
    -> (H, W, 3) uint8 RGB, black where nothing is, and (H, W) float32 nearness, -inf there.
    """
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    nearness = np.full((height, width), -np.inf, np.float32)
    around = np.pad(filled, 1)
    _faces(around, ink, np.ascontiguousarray(places, np.float32), picture, nearness, float(edge))
    return picture, nearness


@njit(cache=True)
def _faces(
    around: np.ndarray, ink: np.ndarray, places: np.ndarray, picture: np.ndarray, nearness: np.ndarray, edge: float
) -> None:
    """`around`: which cells are filled, with a layer of free ones on all sides."""
    corner = np.zeros((4, 3), np.float32)
    light = np.zeros(4, np.float32)
    for k in range(around.shape[0] - 2):
        for j in range(around.shape[1] - 2):
            for i in range(around.shape[2] - 2):
                if not around[k + 1, j + 1, i + 1]:
                    continue
                for axis in range(3):
                    for side in range(2):
                        free = _step(k + 1, j + 1, i + 1, axis, 2 * side - 1)
                        if around[free]:
                            continue
                        first, second = _ALONG[axis, side]
                        _corners(k, j, i, axis, side, first, second, places, corner)
                        if _area(corner[0], corner[1], corner[2]) <= 0:
                            continue
                        _light(around, free, _BRIGHTNESS[2 * axis + side], first, second, light)
                        _quad(corner, light, ink[k, j, i], picture, nearness, edge)


@njit(cache=True)
def _step(k: int, j: int, i: int, axis: int, by: int) -> tuple[int, int, int]:
    return k + (by if axis == 0 else 0), j + (by if axis == 1 else 0), i + (by if axis == 2 else 0)


@njit(cache=True)
def _corners(
    k: int, j: int, i: int, axis: int, side: int, first: int, second: int, places: np.ndarray, corner: np.ndarray
) -> None:
    k, j, i = _step(k, j, i, axis, side)
    for n in range(4):
        a, b, c = _step(k, j, i, first, 1 if n == 1 or n == 2 else 0)
        a, b, c = _step(a, b, c, second, 1 if n >= 2 else 0)
        corner[n, 0], corner[n, 1], corner[n, 2] = places[a, b, c, 0], places[a, b, c, 1], places[a, b, c, 2]


@njit(cache=True)
def _light(
    around: np.ndarray, free: tuple[int, int, int], brightness: float, first: int, second: int, light: np.ndarray
) -> None:
    """How bright each corner of a face is: its direction's light, less where cells stand beside the free one."""
    k, j, i = free
    for n in range(4):
        one = _step(k, j, i, first, 1 if n == 1 or n == 2 else -1)
        two = _step(k, j, i, second, 1 if n >= 2 else -1)
        both = _step(one[0], one[1], one[2], second, 1 if n >= 2 else -1)
        open_sides = 3 - around[one] - around[two] - around[both]
        light[n] = brightness * _MEETING[0 if around[one] and around[two] else open_sides]


@njit(cache=True)
def _area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """Twice a triangle's, positive where it turns from x to y."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


@njit(cache=True)
def _quad(
    corner: np.ndarray, light: np.ndarray, ink: np.ndarray, picture: np.ndarray, nearness: np.ndarray, edge: float
) -> None:
    """Two triangles, divided between the brighter corners, so that a dark one darkens no more than its own half."""
    turn = 1 if light[0] + light[2] < light[1] + light[3] else 0
    area = _area(corner[0], corner[1], corner[2]) + _area(corner[0], corner[2], corner[3])
    lines = edge if area > 120 * edge * edge else 0.0  # around small faces they would be all that is seen
    a, b, c, d = turn, turn + 1, turn + 2, (turn + 3) % 4
    _triangle(corner[a], corner[b], corner[c], light[a], light[b], light[c], ink, picture, nearness, lines)
    _triangle(corner[c], corner[d], corner[a], light[c], light[d], light[a], ink, picture, nearness, lines)


@njit(cache=True)
def _triangle(
    p: np.ndarray,
    q: np.ndarray,
    r: np.ndarray,
    light_p: float,
    light_q: float,
    light_r: float,
    ink: np.ndarray,
    picture: np.ndarray,
    nearness: np.ndarray,
    lines: float,
) -> None:
    """Half of a face; p q and q r are the face's own edges."""
    area = _area(p, q, r)
    if area <= 1e-9:
        return
    height, width = nearness.shape
    left, right = max(int(min(p[0], q[0], r[0])), 0), min(int(max(p[0], q[0], r[0])) + 1, width)
    top, bottom = max(int(min(p[1], q[1], r[1])), 0), min(int(max(p[1], q[1], r[1])) + 1, height)
    to_first = area / np.hypot(q[0] - p[0], q[1] - p[1])  # px from p q to r
    to_second = area / np.hypot(r[0] - q[0], r[1] - q[1])
    for row in range(top, bottom):
        y = row + 0.5
        for column in range(left, right):
            x = column + 0.5
            of_r = ((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])) / area
            of_p = ((r[0] - q[0]) * (y - q[1]) - (r[1] - q[1]) * (x - q[0])) / area
            of_q = 1 - of_p - of_r
            if min(of_p, of_q, of_r) < -1e-4:
                continue
            near = of_p * p[2] + of_q * q[2] + of_r * r[2]
            if near <= nearness[row, column]:
                continue
            nearness[row, column] = near
            shade = of_p * light_p + of_q * light_q + of_r * light_r
            if of_r * to_first < lines or of_p * to_second < lines:
                shade *= _LINE
            for n in range(3):
                picture[row, column, n] = min(ink[n] * shade, 255.0)
