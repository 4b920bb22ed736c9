"""The frustum of voxels ("fruxel") that a camera looks into (SSZ, Kniaz et al., ECCV 2020, section 3.1).

Slices stand across the optical axis, so that Z is depth and not the length of a ray, and every column of cells is a
ray of one pixel. Camera frame: x right, y down, z forward, m. Arrays are (slices, rows, columns), slice 0 the nearest;
cell (k, j, i) covers [i, i + 1) x [j, j + 1) of the grid, whose coordinates are those of an image with a pixel per
column, half a pixel further than `Camera`'s.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from voxbox_core.camera import Camera
from voxbox_core.contract import read_contract
from voxbox_core.errors import InputError

SPACINGS = ("uniform", "log", "inverse")


@dataclass(frozen=True)
class Fruxel:
    """The geometry of a grid, which is not complete without any of this.

    near, far: m, where the slices begin and end.  slices, rows, columns: cells.  alpha: deg, horizontal field of view
    of `columns` cells, were the principal point in the middle.  spacing: of the slices: "uniform" is the paper's; "log"
    gives cells of the same proportions at all depths; "inverse" is even in 1/Z.  principal: (x, y) grid coordinates of
    the optical axis; the middle when empty.
    Raises InputError for values that make no frustum.
    """

    near: float
    far: float
    slices: int
    rows: int
    columns: int
    alpha: float
    spacing: str = "uniform"
    principal: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        principal = tuple(float(v) for v in self.principal) or (self.columns / 2, self.rows / 2)
        object.__setattr__(self, "principal", principal)
        self._require(0 < self.near < np.inf, "near", "m, above 0")
        self._require(self.near < self.far < np.inf, "far", f"m, beyond near ({self.near})")
        for name in ("slices", "rows", "columns"):
            self._require(isinstance(getattr(self, name), int), name, "a whole number")
            self._require(getattr(self, name) >= 1, name, "at least 1")
        self._require(0 < self.alpha < 180, "alpha", "deg, between 0 and 180")
        self._require(self.spacing in SPACINGS, "spacing", f"one of {SPACINGS}")
        self._require(len(principal) == 2 and bool(np.isfinite(principal).all()), "principal", "two grid coordinates")

    def _require(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise InputError(f"{name} of a fruxel grid", getattr(self, name), expected, "Correct it.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an array of cells: slices, rows, columns."""
        return self.slices, self.rows, self.columns

    @property
    def focal(self) -> float:
        """Focal length in cells, along rows and columns."""
        return float(self.columns / 2 / np.tan(np.radians(self.alpha) / 2))

    def plane(self, k: np.ndarray | float) -> np.ndarray:
        """Depth Z, m, at slice coordinate k in [0, slices]; whole numbers are the planes between slices."""
        part = np.asarray(k, np.float64) / self.slices
        if self.spacing == "log":
            return np.asarray(self.near * (self.far / self.near) ** part)
        if self.spacing == "inverse":
            return np.asarray(1 / ((1 - part) / self.near + part / self.far))
        return np.asarray(self.near + part * (self.far - self.near))

    def slice_of(self, depth: np.ndarray | float) -> np.ndarray:
        """Slice coordinate of depth Z > 0, m: the inverse of `plane`."""
        z = np.asarray(depth, np.float64)
        if self.spacing == "log":
            part = np.log(z / self.near) / np.log(self.far / self.near)
        elif self.spacing == "inverse":
            part = (1 / self.near - 1 / z) / (1 / self.near - 1 / self.far)
        else:
            part = (z - self.near) / (self.far - self.near)
        return np.asarray(part * self.slices)

    @cached_property
    def edges(self) -> np.ndarray:
        """(slices + 1,) depths between the slices, m."""
        return self.plane(np.arange(self.slices + 1))

    @cached_property
    def depths(self) -> np.ndarray:
        """(slices,) depths of the cells' centres, m: half-way in slice coordinates."""
        return self.plane(np.arange(self.slices) + 0.5)

    @property
    def thickness(self) -> np.ndarray:
        """(slices,) of each slice, m."""
        return np.diff(self.edges)

    @property
    def lateral(self) -> np.ndarray:
        """(slices,) width and height of a cell at its centre, m."""
        return self.depths / self.focal

    @property
    def volumes(self) -> np.ndarray:
        """(slices,) of one cell, m^3: a piece of a pyramid."""
        return np.diff(self.edges**3) / (3 * self.focal**2)

    @cached_property
    def rays(self) -> np.ndarray:
        """(rows, columns, 3) the middle of each column of cells at Z = 1 m; times a depth it is a point, m."""
        x, y = self.principal
        right = (np.arange(self.columns) + 0.5 - x) / self.focal
        down = (np.arange(self.rows) + 0.5 - y) / self.focal
        return np.stack(np.broadcast_arrays(right, down[:, None], 1.0), -1)

    def centers(self, cells: np.ndarray) -> np.ndarray:
        """Cells (N, 3) of k, j, i -> (N, 3) their centres in the camera frame, m."""
        k, j, i = np.asarray(cells).T
        return np.asarray(self.rays[j, i] * self.depths[k, None])

    def locate(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3) in the camera frame, m -> cells (N, 3) int64 of k, j, i, and (N,) bool whether they are in the
        grid; cells of those outside mean nothing."""
        x, y, z = np.asarray(points, np.float64).T
        ahead = z > 0
        depth = np.where(ahead, z, 1.0)
        place = np.stack(
            [
                self.slice_of(depth),
                self.principal[1] + self.focal * y / depth,
                self.principal[0] + self.focal * x / depth,
            ],
            -1,
        )
        inside = ahead & ((place >= 0) & (place < self.shape)).all(-1)
        return np.floor(np.where(inside[:, None], place, 0)).astype(np.int64), inside

    def camera(self, per_cell: int = 1) -> Camera:
        """The camera whose image has per_cell x per_cell pixels in front of each column of cells."""
        x, y = (per_cell * v - 0.5 for v in self.principal)
        focal = per_cell * self.focal
        intrinsics = np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]])
        return Camera(intrinsics, per_cell * self.columns, per_cell * self.rows)

    def affine(self, camera: Camera, per_cell: int = 1) -> np.ndarray:
        """(2, 3): pixels of a rectified image by `camera` -> pixels of the image by `self.camera(per_cell)`.

        The optical axes are the same, so that it is a crop and a scale, exact for any principal point."""
        moved = self.camera(per_cell).intrinsics @ np.linalg.inv(camera.intrinsics)
        return np.asarray(moved[:2])

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal grid."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Fruxel":
        """Raises InputError for text that is no JSON object, unknown keys and bad values."""
        return read_contract(cls, text)


PAPER = Fruxel(near=2.0, far=12.0, slices=128, rows=128, columns=128, alpha=40.0)
"""SemanticVoxels' grid (section 4.2)."""

SHAPENET = Fruxel(near=3.0, far=10.0, slices=128, rows=128, columns=128, alpha=60.0)
"""Of single objects (section 4.2)."""

STREET = Fruxel(near=2.0, far=40.0, slices=64, rows=48, columns=96, alpha=60.0, spacing="log")
"""Of the released model: a road as far as a car must look, in the field of view of most cameras."""
