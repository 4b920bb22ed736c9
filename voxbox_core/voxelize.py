"""Solid cells of a fruxel grid from closed meshes: a slice is the scene cut by a slab across the axis (SSZ, s. 3.1).

Every column of cells is one ray from the camera, so that one pass over the triangles finds all crossings. They are
counted from the far side: a point lies in as many solids as the ray beyond it leaves more often than it enters. What
happens nearer than the grid does not matter then, and a mesh that reaches behind the camera needs neither cut nor cap.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numba import njit

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN

PRIORITY = ("air", "ground", "building", "tree", "bus", "truck", "van", "car", "bicycle", "person")
"""Of the classes that share a cell the last one has it: what is small or matters in traffic stays seen."""

SUBSLICES = 3

Rule = Literal["winding", "parity"]


def occupancy(triangles: np.ndarray, fruxel: Fruxel, subslices: int = SUBSLICES, rule: Rule = "winding") -> np.ndarray:
    """Triangles (T, 3, 3) of closed surfaces in the camera frame, m -> (slices, rows, columns) bool: solid cells.

    subslices: planes in each slice, even in slice coordinates, of which one must be met at the cell's middle; 1 is the
    cell's centre.  rule: "winding", for solids that may overlap, all of whose faces turn the same way seen from
    outside; "parity", whose faces may turn anyhow, but where two solids overlap there is none.
    Raises InputError for other arrays, numbers that are not finite, and other values. Open surfaces are not found out:
    see `watertight`.
    """
    triangles = require_triangles(triangles)
    _require(subslices >= 1, "subslices", subslices, "at least 1")
    _require(rule in ("winding", "parity"), "rule", rule, "'winding' or 'parity'")
    occupied = np.zeros(fruxel.shape, bool)
    top, bottom, left, right = _window(triangles, fruxel)
    depths = fruxel.plane((np.arange(fruxel.slices * subslices) + 0.5) / subslices)
    depths = depths[: np.searchsorted(depths, triangles[..., 2].max(initial=0.0))]
    if top >= bottom or left >= right or not len(depths):
        return occupied
    change = np.zeros((len(depths) + 1, bottom - top, right - left), np.int16)
    x, y = fruxel.principal
    _cross(triangles, depths, fruxel.near, fruxel.focal, x - left, y - top, change)
    _accumulate(change, subslices, rule == "parity", occupied[:, top:bottom, left:right])
    return occupied


def fill(
    parts: Iterable[tuple[np.ndarray, int | None]],
    fruxel: Fruxel,
    ground: np.ndarray | None = None,
    subslices: int = SUBSLICES,
    rule: Rule = "winding",
) -> np.ndarray:
    """Solids and what they are -> (slices, rows, columns) uint8 labels; air where there is none.

    parts: triangles (T, 3, 3) as of `occupancy`, and their label: an index into CLASSES, or None for a solid that
    nobody knows: it makes UNKNOWN of air alone.  ground: (slices, rows, columns) bool, cells below the ground, such as
    of an `analytic_solids.HalfSpace`. Several in one cell: see PRIORITY.
    Raises InputError for a label that is none, and as `occupancy`.
    """
    solid: dict[int, np.ndarray] = {}
    if ground is not None:
        _require(ground.shape == fruxel.shape, "shape of the ground", ground.shape, str(fruxel.shape))
        solid[CLASSES.index("ground")] = np.array(ground, bool)
    for triangles, label in parts:
        _require(label is None or 0 <= label < len(CLASSES), "label", label, f"an index into {CLASSES}, or None")
        known = UNKNOWN if label is None else int(label)
        cells = occupancy(triangles, fruxel, subslices, rule)
        solid[known] = solid[known] | cells if known in solid else cells
    labels = np.full(fruxel.shape, AIR, np.uint8)
    for label in (UNKNOWN, *(CLASSES.index(name) for name in PRIORITY)):
        if label in solid:
            labels[solid[label]] = label
    return labels


def require_triangles(triangles: np.ndarray) -> np.ndarray:
    """The triangles as (T, 3, 3) float64. Raises InputError for other shapes and for numbers that are not finite."""
    array = np.ascontiguousarray(triangles, np.float64)
    _require(array.ndim == 3 and array.shape[1:] == (3, 3), "shape of the triangles", array.shape, "(T, 3, 3)")
    _require(bool(np.isfinite(array).all()), "a corner of the triangles", "not finite", "finite coordinates, m")
    return array


def _require(holds: bool, what: str, value: object, expected: str) -> None:
    if not holds:
        raise InputError(f"{what} to voxelize", value, expected, "Correct it.")


def _window(triangles: np.ndarray, fruxel: Fruxel) -> tuple[int, int, int, int]:
    """Rows from..to and columns from..to that the triangles may be seen in; all, if some reach before the grid."""
    depth = triangles[..., 2]
    triangles = triangles[(depth >= fruxel.near).any(1)]
    if not len(triangles):
        return 0, 0, 0, 0
    if triangles[..., 2].min() < fruxel.near:
        return 0, fruxel.rows, 0, fruxel.columns
    x, y = fruxel.principal
    columns = x + fruxel.focal * triangles[..., 0] / triangles[..., 2]
    rows = y + fruxel.focal * triangles[..., 1] / triangles[..., 2]
    top, bottom = np.clip([rows.min() - 1, rows.max() + 1], 0, fruxel.rows).astype(int)
    left, right = np.clip([columns.min() - 1, columns.max() + 1], 0, fruxel.columns).astype(int)
    return top, bottom, left, right


@njit(cache=True)
def _cross(
    triangles: np.ndarray,
    depths: np.ndarray,
    near: float,
    focal: float,
    x: float,
    y: float,
    change: np.ndarray,
) -> None:
    """Of every ray through the middle of a column, add +1 where it leaves a solid, -1 where it enters one.

    depths: (n,) rising, m.  x, y: of the optical axis in the window's columns and rows.  change: (n + 1, rows, columns)
    int16, added to: [k] of the crossings beyond just k of the depths.

    A row of rays is a plane through the camera; it cuts a triangle from an edge to an edge. Which rays are left of an
    edge is one whole number, computed alike for both of its triangles, so that nothing slips through between them and
    nothing counts twice: over a closed surface all crossings of a ray add up to 0, whatever is rounded.
    """
    rows, columns = change.shape[1:]
    side = np.empty(3)
    for t in range(len(triangles)):
        first, last = _rows(triangles[t], near, focal, x, y, rows, columns)
        for j in range(first, last):
            slope = (j + 0.5 - y) / focal
            below = 0
            for v in range(3):
                side[v] = triangles[t, v, 1] - slope * triangles[t, v, 2]
                if side[v] >= 0:
                    below += 1 << v
            if below in (0, 7):
                continue
            single = below if below in (1, 2, 4) else 7 - below
            alone = single >> 1  # of 1, 2, 4: corner 0, 1, 2
            after, before = (alone + 1) % 3, (alone + 2) % 3
            px, pz = _cut(triangles[t, alone], side[alone], triangles[t, after], side[after])
            qx, qz = _cut(triangles[t, alone], side[alone], triangles[t, before], side[before])
            if pz < near and qz < near:
                continue
            if pz < near:
                px, pz = qx + (px - qx) * (qz - near) / (qz - pz), near
            elif qz < near:
                qx, qz = px + (qx - px) * (pz - near) / (pz - qz), near
            p, q = x + focal * px / pz, x + focal * qx / qz
            leaves = 1 if single == below else -1
            begin, end = _column(p, columns), _column(q, columns)
            if begin > end:
                begin, end, leaves = end, begin, -leaves
            for i in range(begin, end):
                part = min(max((i + 0.5 - p) / (q - p), 0.0), 1.0)
                depth = pz * qz / (qz + part * (pz - qz))  # 1 / Z is linear along the row
                change[np.searchsorted(depths, depth), j, i] += leaves


@njit(cache=True)
def _rows(
    corners: np.ndarray, near: float, focal: float, x: float, y: float, rows: int, columns: int
) -> tuple[int, int]:
    """Rows from..to whose rays may meet the part of a triangle beyond `near`; none if it is beside the window."""
    low, high, left, right = np.inf, -np.inf, np.inf, -np.inf
    for v in range(3):
        a, b = corners[v], corners[(v + 1) % 3]
        if a[2] >= near:
            row, column = a[1] / a[2], a[0] / a[2]
            low, high, left, right = min(low, row), max(high, row), min(left, column), max(right, column)
        if (a[2] >= near) != (b[2] >= near):
            part = (near - a[2]) / (b[2] - a[2])
            row, column = (a[1] + part * (b[1] - a[1])) / near, (a[0] + part * (b[0] - a[0])) / near
            low, high, left, right = min(low, row), max(high, row), min(left, column), max(right, column)
    if low > high or x + focal * right < 0 or x + focal * left > columns:
        return 0, 0
    # A margin for rounding; whether a ray meets the triangle is decided where its neighbours decide it too.
    first = np.ceil(y + focal * low - 0.5 - 1e-6)
    last = np.floor(y + focal * high - 0.5 + 1e-6) + 1
    return int(min(max(first, 0.0), rows)), int(min(max(last, 0.0), rows))


@njit(cache=True)
def _cut(a: np.ndarray, side_a: float, b: np.ndarray, side_b: float) -> tuple[float, float]:
    """X and Z where the edge a b meets a plane that a and b lie on different sides of, at these signed distances. To
    the last bit that of b a, so that both triangles of the edge get the same numbers."""
    whole = side_b - side_a
    return (a[0] * side_b - b[0] * side_a) / whole, (a[2] * side_b - b[2] * side_a) / whole


@njit(cache=True)
def _column(place: float, columns: int) -> int:
    """The first column whose middle is not left of a grid coordinate."""
    return int(min(max(np.ceil(place - 0.5), 0.0), columns))


@njit(cache=True)
def _accumulate(change: np.ndarray, subslices: int, parity: bool, occupied: np.ndarray) -> None:
    """From the changes at sub-slices, as `_cross` writes them, to the cells that are solid in one of theirs."""
    layers, rows, columns = change.shape
    for k in range(layers - 2, -1, -1):
        for j in range(rows):
            for i in range(columns):
                change[k, j, i] += change[k + 1, j, i]
    for k in range(layers - 1):
        # [k + 1] is what is crossed beyond sub-slice k.
        for j in range(rows):
            for i in range(columns):
                count = change[k + 1, j, i]
                occupied[k // subslices, j, i] |= (count & 1) != 0 if parity else count != 0
