"""The ground that a LiDAR saw before a camera: a height map in the camera's frame (x right, y down, z forward).

A plane first, which holds even where half of all returns are on other things, then how far the ground is above or below
it, place by place: kerbs, crowns of roads, slopes that change.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from voxbox_core.errors import InputError

_CELL = 1.0  # m
_ASIDE, _AHEAD = 40.0, 60.0  # m about the camera that the map covers
_LOW = 0.9  # quantile of y, which points down, that stands for the lowest returns of a cell
_LEAST = 3  # returns of a cell, for them to mean something
_ROUNDS = 12
_START, _END = (0.6, 0.04), (0.12, 0.01)  # m, and m per m away: how far off a place may be and count for the plane
_OFFSET = (0.3, 0.015)  # likewise, for the map above the plane
_LOWER = 0.7  # quantile of the returns near the plane that stands for the ground: grass and hedges are on it
_SMOOTH = 1.5  # cells
_REACH = 3.0  # m from a return on the ground to where the map is known
_LEAST_CELLS = 12


@dataclass(frozen=True)
class GroundMap:
    """Where the ground is.

    plane: (3,) a, b, c of y = a x + b z + c, m.  offset: (places along z, places along x) m, downward, to add to it.
    known: of the same shape, whether there were returns near a place.
    """

    plane: np.ndarray
    offset: np.ndarray
    known: np.ndarray

    def height(self, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x, z of any one shape, m -> y of the ground, m, and whether it is known."""
        row, column, covered = _places(x, z, self.offset.shape)
        y = self.plane[0] * x + self.plane[1] * z + self.plane[2] + np.where(covered, self.offset[row, column], 0)
        return y, covered & self.known[row, column]

    def below(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (..., 3), m -> how far each is below the ground, m, and whether the ground there is known."""
        y, known = self.height(points[..., 0], points[..., 2])
        return points[..., 1] - y, known


def ground_map(points: np.ndarray, height: float) -> GroundMap:
    """The ground under returns.

    points: (P, 3) in the camera frame, m.  height: of the camera above the ground, m, by half a metre or so.
    Raises InputError where too little ground is seen.
    """
    row, column, covered = _places(points[:, 0], points[:, 2], _SHAPE)
    points, flat = points[covered], (row * _SHAPE[1] + column)[covered]
    lows = _lows(points, flat)
    plane = _plane(lows, height)
    away = np.hypot(points[:, 0], points[:, 2])
    offset = points[:, 1] - (points[:, [0, 2]] @ plane[:2] + plane[2])
    near = np.abs(offset) < _OFFSET[0] + _OFFSET[1] * away
    middle, seen = _middles(offset[near], flat[near])
    weight = ndimage.gaussian_filter(seen.astype(float), _SMOOTH)
    smooth = ndimage.gaussian_filter(np.where(seen, middle, 0.0), _SMOOTH) / np.maximum(weight, 1e-6)
    known = ndimage.distance_transform_edt(~seen) * _CELL <= _REACH
    return GroundMap(plane, np.where(weight > 1e-6, smooth, 0.0), known)


_SHAPE = (round(_AHEAD / _CELL), round(2 * _ASIDE / _CELL))


def _places(x: np.ndarray, z: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of the map, and whether they are in it; 0 where not."""
    row = np.floor(np.asarray(z) / _CELL).astype(np.int64)
    column = np.floor((np.asarray(x) + _ASIDE) / _CELL).astype(np.int64)
    covered = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    return np.where(covered, row, 0), np.where(covered, column, 0), covered


def _groups(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order that sorts by place, and start and count of each place's group."""
    order = np.argsort(flat, kind="stable")
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    return order, starts, np.diff(starts, append=len(flat))


def _lows(points: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """(M, 3): x and z of each place's mean return, y of its low ones."""
    order, starts, counts = _groups(flat)
    groups = [points[order[s : s + n]] for s, n in zip(starts, counts) if n >= _LEAST]
    lows = [[g[:, 0].mean(), np.quantile(g[:, 1], _LOW), g[:, 2].mean()] for g in groups]
    return np.array(lows).reshape(-1, 3)


def _middles(offset: np.ndarray, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each place of the map, where the ground is, and whether there are enough returns."""
    middle, seen = np.zeros(_SHAPE), np.zeros(_SHAPE, bool)
    order, starts, counts = _groups(flat)
    for s, n in zip(starts[counts >= _LEAST], counts[counts >= _LEAST]):
        place = divmod(int(flat[order[s]]), _SHAPE[1])
        middle[place], seen[place] = np.quantile(offset[order[s : s + n]], _LOWER), True
    return middle, seen


def _plane(lows: np.ndarray, height: float) -> np.ndarray:
    """(3,): least squares over the places that are near the plane found so far, ever nearer ones."""
    plane = np.array([0.0, 0.0, height])
    design = np.column_stack([lows[:, 0], lows[:, 2], np.ones(len(lows))])
    away = np.hypot(lows[:, 0], lows[:, 2])
    for part in np.linspace(0, 1, _ROUNDS):
        fixed, slope = (1 - part) * np.array(_START) + part * np.array(_END)
        near = np.abs(lows[:, 1] - design @ plane) < fixed + slope * away
        if near.sum() < _LEAST_CELLS:
            expected = f"at least {_LEAST_CELLS}, {height:.1f} m below the camera"
            raise InputError("places with ground returns", int(near.sum()), expected, "Check the camera's height.")
        # Far places are as many as near ones are dense; a near one tells more of where the road is.
        weight = 1 / (fixed + slope * away[near])
        plane = np.linalg.lstsq(design[near] * weight[:, None], lows[near, 1] * weight, rcond=None)[0]
    return plane
