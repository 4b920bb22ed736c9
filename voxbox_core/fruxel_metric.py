"""Between a fruxel grid and evenly spaced voxels, and from a fruxel grid to points.

Both ways each cell of the result looks up what is in its place, so that there are no holes. A frustum fills less than
half of the box around it.
"""

from dataclasses import dataclass

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import UNKNOWN, Voxels


@dataclass(frozen=True)
class MetricGrid:
    """Cubes in a frame of their own, that of Occ3D's and SemanticKITTI's volumes for one.

    low: (x, y, z) of the lowest corner, m.  cell: edge, m.  shape: cells along x, y, z; arrays are [x, y, z].
    Raises InputError for values that make no grid.
    """

    low: tuple[float, float, float]
    cell: float
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        for name, value, holds, expected in (
            ("low", self.low, len(self.low) == 3 and bool(np.isfinite(self.low).all()), "three finite numbers, m"),
            ("cell", self.cell, 0 < self.cell < np.inf, "m, above 0"),
            ("shape", self.shape, len(self.shape) == 3 and min(self.shape) >= 1, "three numbers, at least 1"),
        ):
            if not holds:
                raise InputError(f"{name} of a metric grid", value, expected, "Correct it.")

    @classmethod
    def around(cls, fruxel: Fruxel, cell: float) -> "MetricGrid":
        """The smallest grid in the camera frame, from the near plane on, that holds a fruxel grid.

        Raises InputError for a cell that makes no grid.
        """
        cls((0.0, 0.0, 0.0), cell, (1, 1, 1))  # checks the cell before anything is divided by it
        x, y = fruxel.principal
        ends = np.array([[-x, -y], [fruxel.columns - x, fruxel.rows - y]]) / fruxel.focal
        sides = np.concatenate([ends * fruxel.near, ends * fruxel.far])
        low, high = (np.append(side, z) for side, z in ((sides.min(0), fruxel.near), (sides.max(0), fruxel.far)))
        count = np.ceil((high - low) / cell - 1e-6)
        low[:2] -= (count * cell - (high - low))[:2] / 2
        a, b, c = (int(n) for n in count)
        return cls((float(low[0]), float(low[1]), float(low[2])), cell, (a, b, c))


def to_metric(voxels: Voxels, grid: MetricGrid, grid_from_camera: np.ndarray | None = None) -> np.ndarray:
    """Labels (x, y, z) uint8 of the cubes of a grid: of the cell that holds their centre, UNKNOWN outside of all.

    grid_from_camera: (4, 4), the grid's frame from the camera's; None where they are the same.
    """
    labels = np.full(grid.shape, UNKNOWN, np.uint8)
    camera_from_grid = np.eye(4) if grid_from_camera is None else np.linalg.inv(grid_from_camera)
    y, z = (grid.low[a] + (np.arange(grid.shape[a]) + 0.5) * grid.cell for a in (1, 2))
    for ix in range(grid.shape[0]):
        x = grid.low[0] + (ix + 0.5) * grid.cell
        points = np.stack(np.broadcast_arrays(x, y[:, None], z[None]), -1).reshape(-1, 3)
        cells, inside = voxels.fruxel.locate(points @ camera_from_grid[:3, :3].T + camera_from_grid[:3, 3])
        labels[ix].reshape(-1)[inside] = voxels.labels[tuple(cells[inside].T)]
    return labels


def to_fruxel(
    labels: np.ndarray,
    grid: MetricGrid,
    fruxel: Fruxel,
    grid_from_camera: np.ndarray | None = None,
    samples: int = 1,
) -> Voxels:
    """Labels (x, y, z) uint8 of a grid -> voxels: of the cube at each cell's centre, UNKNOWN outside of all.

    grid_from_camera: as of `to_metric`.  samples: points along each edge of a cell, the most frequent of whose labels
    it gets, the lowest of equals; more than 1 where cubes are smaller than cells. Raises InputError where labels and
    grid do not agree.
    """
    if labels.shape != grid.shape or labels.dtype != np.uint8:
        raise InputError(
            "labels of a metric grid", f"{labels.dtype} {labels.shape}", f"uint8 {grid.shape}", "Use their own grid."
        )
    if samples < 1:
        raise InputError("samples of a cell", samples, "at least 1", "Correct it.")
    transform = np.eye(4) if grid_from_camera is None else np.asarray(grid_from_camera, np.float64)
    kinds = np.unique(np.append(labels, np.uint8(UNKNOWN)))  # UNKNOWN, the greatest of all, is the last
    compact = np.searchsorted(kinds, labels)
    found = np.empty(fruxel.shape, np.uint8)
    inner = (np.arange(samples) + 0.5) / samples
    x, y = fruxel.principal
    right = (np.arange(fruxel.columns)[:, None] + inner - x) / fruxel.focal
    down = (np.arange(fruxel.rows)[:, None] + inner - y) / fruxel.focal
    rays = np.stack(np.broadcast_arrays(right[None, :, None, :], down[:, None, :, None], 1.0), -1)
    for k in range(fruxel.slices):
        votes = np.stack(
            [_looked_up(compact, grid, rays * z, transform, len(kinds) - 1) for z in fruxel.plane(k + inner)]
        )
        found[k] = kinds[_most_frequent(votes, len(kinds))]
    return Voxels(found, fruxel)


def _looked_up(
    labels: np.ndarray, grid: MetricGrid, points: np.ndarray, transform: np.ndarray, outside: int
) -> np.ndarray:
    """The label at each of the points (..., 3), `outside` the grid."""
    place = (points @ transform[:3, :3].T + transform[:3, 3] - grid.low) / grid.cell
    inside = ((place >= 0) & (place < grid.shape)).all(-1)
    x, y, z = np.moveaxis(np.where(inside[..., None], place, 0).astype(np.int64), -1, 0)
    return np.where(inside, labels[x, y, z], outside)


def _most_frequent(votes: np.ndarray, kinds: int) -> np.ndarray:
    """Votes (n, rows, columns, n, n) below `kinds` -> (rows, columns) the most frequent, the lowest of equals."""
    cells = np.moveaxis(votes, 0, -1).reshape(votes.shape[1] * votes.shape[2], -1)
    if cells.shape[1] == 1:
        return cells.reshape(votes.shape[1:3])
    number = np.arange(len(cells))[:, None] * kinds + cells
    counts = np.bincount(number.ravel(), minlength=len(cells) * kinds).reshape(len(cells), kinds)
    return counts.argmax(1).reshape(votes.shape[1:3])


@dataclass(frozen=True)
class VoxelPoints:
    """Cells as points, nearest slice first.

    center: (N, 3) float32, camera frame, m.  size: (N, 3) float32 along x, y, z, m, at the centre.  label: (N,) uint8.
    probability: (N,) uint8, 255 where nobody said.
    """

    center: np.ndarray
    size: np.ndarray
    label: np.ndarray
    probability: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


def occupied_points(voxels: Voxels, cells: np.ndarray | None = None) -> VoxelPoints:
    """The cells of a mask (slices, rows, columns) bool as points; `voxels.occupied` without one."""
    index = np.argwhere(voxels.occupied if cells is None else cells)
    k, j, i = index.T
    fruxel = voxels.fruxel
    size = np.stack([fruxel.lateral[k], fruxel.lateral[k], fruxel.thickness[k]], -1)
    probability = np.full(len(index), 255, np.uint8) if voxels.probability is None else voxels.probability[k, j, i]
    center = fruxel.centers(index).astype(np.float32)
    return VoxelPoints(center, size.astype(np.float32), voxels.labels[k, j, i], probability)
