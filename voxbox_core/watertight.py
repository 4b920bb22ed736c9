"""Whether a mesh is closed, and what fills one that is not.

A mesh is closed where each edge is used by as many faces one way as the other, or at least by an even number of them.
Rays through an open mesh disagree: seen from one end, a point lies inside; from the other, outside. So that a point of
an open mesh is asked from both ends of three rays, along the grid's slices, rows and columns, and those rays vote whose
ends agree ("parity count" of Nooruddin and Turk, 2003). Where none does, the surface itself is all that is known.
"""

from typing import Literal

import numpy as np
from numba import njit
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxelize import SUBSLICES, occupancy, require_triangles

WELD = 1e-6
"""m: corners that differ by less in each coordinate are one."""

Holes = Literal["refuse", "vote", "surface"]


def open_edges(triangles: np.ndarray, weld: float = WELD) -> int:
    """How many edges of triangles (T, 3, 3), m, have an odd number of faces; 0 for a closed mesh."""
    triangles = require_triangles(triangles)
    if not len(triangles):
        return 0
    _, uses, _ = _edges(_corners(triangles, weld))
    return int((uses % 2 == 1).sum())


def filled(
    triangles: np.ndarray, fruxel: Fruxel, holes: Holes = "refuse", subslices: int = SUBSLICES, weld: float = WELD
) -> np.ndarray:
    """Any triangles (T, 3, 3) in the camera frame, m -> (slices, rows, columns) bool: solid cells.

    Closed pieces are as of `voxelize.occupancy`, whichever way they turn; they may overlap, and a hollow is solid.
    holes, of all other pieces together: "refuse" them; "vote", and have their surface too; "surface" alone: cells one
    of whose middle lines it meets, along the grid's axes.
    Raises InputError for open meshes that are to be refused, and other bad values.
    """
    triangles = require_triangles(triangles)
    if holes not in ("refuse", "vote", "surface"):
        raise InputError("holes", holes, "'refuse', 'vote' or 'surface'", "Correct it.")
    if not len(triangles):
        return np.zeros(fruxel.shape, bool)
    corners = _corners(triangles, weld)
    piece, is_open, is_turned = _pieces(corners)
    if is_open.any() and holes == "refuse":
        raise InputError(
            "a mesh",
            f"not watertight: {open_edges(triangles, weld)} of its edges have a face on one side only",
            "a closed one",
            "Close it in a mesh editor, or choose how holes are filled: 'vote' or 'surface'.",
        )
    even = ~is_open[piece] & is_turned[piece]
    solid = occupancy(_outwards(triangles[even], piece[even]), fruxel, subslices)
    for odd in np.unique(piece[~is_open[piece] & ~is_turned[piece]]):
        solid |= occupancy(triangles[piece == odd], fruxel, subslices, "parity")
    rest = is_open[piece]
    if rest.any():
        solid |= _guessed(_before_camera(triangles[rest], fruxel.near), fruxel, holes == "vote")
    return solid


def _corners(triangles: np.ndarray, weld: float) -> np.ndarray:
    """(T, 3) numbers of corners; those in one place share theirs."""
    places = triangles.reshape(-1, 3)
    number = np.zeros(places.shape, np.int64)
    for axis in range(3):
        order = np.argsort(places[:, axis])
        steps = np.diff(places[order, axis], prepend=places[order[:1], axis]) > weld
        number[order, axis] = np.cumsum(steps)
    return np.unique(number, axis=0, return_inverse=True)[1].reshape(-1, 3)


def _edges(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of faces (T, 3): which edge each side is (3 T,), in the order of `_sides`; of each edge its faces, and how many
    more go along it than back. Faces without area count not at all: their sides pair up among themselves."""
    start, end = _sides(corners)
    low, high = np.minimum(start, end), np.maximum(start, end)
    _, edge = np.unique(low * (corners.max(initial=0) + 1) + high, return_inverse=True)
    proper = low < high
    uses = np.bincount(edge, proper)
    return edge, uses.astype(np.int64), np.bincount(edge, np.sign(end - start)).astype(np.int64)


def _sides(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return corners[:, [0, 1, 2]].ravel(), corners[:, [1, 2, 0]].ravel()


def _pieces(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces (T, 3) -> (T,) the piece each belongs to, faces with a common edge being of one; and of each piece whether
    it is open, and whether its faces all turn the same way."""
    edge, uses, surplus = _edges(corners)
    faces = len(corners)
    face = np.repeat(np.arange(faces), 3)
    links = coo_array((np.ones(len(edge), bool), (face, faces + edge)), shape=(faces + len(uses),) * 2)
    count, nodes = connected_components(links, directed=False)
    piece = nodes[:faces]
    is_open, is_turned = np.zeros(count, bool), np.ones(count, bool)
    is_open[nodes[faces:][uses % 2 == 1]] = True
    is_turned[nodes[faces:][surplus != 0]] = False
    return piece, is_open, is_turned


def _outwards(triangles: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """Closed pieces, turned inside out where they were so, by the sign of their volume."""
    a, b, c = (triangles[:, n] for n in range(3))
    inverted = np.bincount(piece, (a * np.cross(b, c)).sum(-1)) < 0
    return np.where(inverted[piece][:, None, None], triangles[:, ::-1], triangles)


def _before_camera(triangles: np.ndarray, near: float) -> np.ndarray:
    """What of the triangles lies at Z >= near, m, as triangles."""
    ahead = triangles[..., 2] >= near
    whole = [triangles[ahead.all(1)]]
    for corners, is_ahead in zip(triangles[ahead.any(1) & ~ahead.all(1)], ahead[ahead.any(1) & ~ahead.all(1)]):
        kept = []
        for n in range(3):
            a, b = corners[n], corners[(n + 1) % 3]
            if is_ahead[n]:
                kept.append(a)
            if is_ahead[n] != is_ahead[(n + 1) % 3]:
                part = (near - a[2]) / (b[2] - a[2])
                kept.append(np.array([*(a + part * (b - a))[:2], near]))
        whole.append(np.array([[kept[0], kept[n], kept[n + 1]] for n in range(1, len(kept) - 1)]))
    return np.concatenate(whole)


def _guessed(triangles: np.ndarray, fruxel: Fruxel, vote: bool) -> np.ndarray:
    """(slices, rows, columns) bool of triangles beyond the near plane: see `filled`. In the coordinates -1/Z, row and
    column planes stay planes and the grid is a box, whose axes are all rays."""
    x, y = fruxel.principal
    depth = triangles[..., 2]
    place = np.stack(
        [-1 / depth, y + fruxel.focal * triangles[..., 1] / depth, x + fruxel.focal * triangles[..., 0] / depth], -1
    )
    borders = [-1 / fruxel.edges, np.arange(fruxel.rows + 1.0), np.arange(fruxel.columns + 1.0)]
    middles = [-1 / fruxel.depths, borders[1][:-1] + 0.5, borders[2][:-1] + 0.5]
    surface = np.zeros(fruxel.shape, bool)
    balance = np.zeros(fruxel.shape, np.int8)
    for axis in range(3):
        b, c = (other for other in range(3) if other != axis)
        halves = np.sort(np.concatenate([borders[axis], middles[axis]]))
        met = np.zeros((len(middles[b]), len(middles[c]), len(halves) + 1), np.int16)
        _meet(np.ascontiguousarray(place[..., [axis, b, c]]), halves, middles[b], middles[c], met)
        before = np.cumsum(met, -1)
        agree = before[..., -1:] % 2 == 0
        inside = before[..., 1:-1:2] % 2 == 1
        balance += np.moveaxis(np.where(agree, np.where(inside, 1, -1), 0).astype(np.int8), -1, axis)
        surface |= np.moveaxis(met[..., 1:-1:2] + met[..., 2::2] > 0, -1, axis)
    return surface | (balance > 0) if vote else surface


@njit(cache=True)
def _meet(triangles: np.ndarray, halves: np.ndarray, rows: np.ndarray, columns: np.ndarray, met: np.ndarray) -> None:
    """Count where straight rays meet triangles (T, 3, 3), whose coordinates are along the ray, row and column.

    rows, columns: rising coordinates of the rays.  halves: (n,) rising coordinates along them.  met: (rows, columns,
    n + 1), added to: [k] of what lies between halves k - 1 and k. As `voxelize._cross`, without perspective.
    """
    side = np.empty(3)
    for t in range(len(triangles)):
        corners = triangles[t]
        first = np.searchsorted(rows, corners[:, 1].min())
        last = np.searchsorted(rows, corners[:, 1].max(), "right")
        for j in range(first, last):
            below = 0
            for v in range(3):
                side[v] = corners[v, 1] - rows[j]
                if side[v] >= 0:
                    below += 1 << v
            if below in (0, 7):
                continue
            alone = (below if below in (1, 2, 4) else 7 - below) >> 1
            after, before = (alone + 1) % 3, (alone + 2) % 3
            p, start = _cut(corners[alone], side[alone], corners[after], side[after])
            q, end = _cut(corners[alone], side[alone], corners[before], side[before])
            if p > q:
                p, q, start, end = q, p, end, start
            for i in range(np.searchsorted(columns, p), np.searchsorted(columns, q)):
                part = min(max((columns[i] - p) / (q - p), 0.0), 1.0)
                met[j, i, np.searchsorted(halves, start + part * (end - start))] += 1


@njit(cache=True)
def _cut(a: np.ndarray, side_a: float, b: np.ndarray, side_b: float) -> tuple[float, float]:
    """Column and coordinate along the ray where an edge meets a row that its ends are on different sides of."""
    whole = side_b - side_a
    return (a[2] * side_b - b[2] * side_a) / whole, (a[0] * side_b - b[0] * side_a) / whole
