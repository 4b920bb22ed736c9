"""Gaussians on the ground: targets of the heat map and the mask of the point-guided loss (CenterPoint's)."""

import numpy as np
from numba import njit


def gaussian_radius(
    length_cells: np.ndarray | float, width_cells: np.ndarray | float, overlap: float = 0.1, minimum: int = 2
) -> np.ndarray:
    """Radius, in cells, of the Gaussian of objects of a size (N,), in cells: (N,) int64, or a scalar for scalars.

    As released: the least of three roots, which lack the division by 2a of the quadratic formula. Every
    published number was trained with these radii.
    """
    total, area = np.add(length_cells, width_cells), np.multiply(length_cells, width_cells)
    alike = (total + np.sqrt(total**2 - 4 * area * (1 - overlap) / (1 + overlap))) / 2
    inwards = (2 * total + np.sqrt(4 * total**2 - 16 * (1 - overlap) * area)) / 2
    outwards = (-2 * overlap * total + np.sqrt(4 * overlap**2 * total**2 + 16 * overlap * (1 - overlap) * area)) / 2
    least = np.minimum(np.minimum(alike, inwards), outwards)
    return np.maximum(np.floor(least), minimum).astype(np.int64)


@njit(cache=True)
def draw_gaussian(heatmap: np.ndarray, cx: int, cy: int, radius: int) -> None:
    """Raises the map (ny, nx), in place, to a Gaussian about the cell (cx, cy): exactly 1 there, of deviation
    (2 radius + 1) / 6, in a square of 2 radius + 1 cells, as far as it lies on the map."""
    ny, nx = heatmap.shape
    left, right = max(cx - radius, 0), min(cx + radius + 1, nx)
    scale = -18.0 / (2 * radius + 1) ** 2
    for y in range(max(cy - radius, 0), min(cy + radius + 1, ny)):
        for x in range(left, right):
            value = np.exp(scale * ((x - cx) ** 2 + (y - cy) ** 2))
            if value > heatmap[y, x]:
                heatmap[y, x] = value
