"""Voxels on a grid of larger cells of the same frustum: data of fine cells serve networks of any coarser ones."""

from dataclasses import replace

import numpy as np

from voxbox_core.fruxel import Fruxel
from voxbox_core.fruxel_file import require_same
from voxbox_core.voxelize import PRIORITY
from voxbox_core.voxels import AIR, UNKNOWN, Voxels


def coarsened(voxels: Voxels, grid: Fruxel) -> Voxels:
    """The voxels on `grid`: a cell has the class that `voxelize.PRIORITY` puts last of those in it, and is unknown
    where there is nothing but air and unknown cells.

    So a cell is occupied where something meets it anywhere (SSZ, section 3.1), as if the scene had been cut by the
    coarser grid. Probabilities are dropped.
    Raises InputError as `block` does.
    """
    order = _order(voxels.classes)
    rank = np.zeros(UNKNOWN + 1, np.uint8)
    rank[order] = np.arange(len(order))
    cells = rank[voxels.labels]
    for axis, factor in enumerate(block(voxels.fruxel, grid, "grid of the voxels")):
        cells = cells.reshape(*cells.shape[:axis], -1, factor, *cells.shape[axis + 1 :]).max(axis + 1)
    return Voxels(order[cells], grid, classes=voxels.classes)


def _order(classes: tuple[str, ...]) -> np.ndarray:
    """(n + 1,) uint8: the labels that may share a cell, UNKNOWN among them; of several the last one is told."""
    named = sorted(range(1, len(classes)), key=lambda label: _place(classes[label]))
    return np.array([AIR, UNKNOWN, *named], np.uint8)


def _place(name: str) -> int:
    """Of a class in PRIORITY; those of other sets come last, in their own order."""
    return PRIORITY.index(name) if name in PRIORITY else len(PRIORITY)


def block(fine: Fruxel, grid: Fruxel, what: str) -> tuple[int, int, int]:
    """Slices, rows and columns of `fine` in one cell of `grid`.

    what: whose grid `fine` is, for the error.  Raises InputError, which names every value that differs, unless `grid`
    is the same frustum in cells of whole blocks, as wide as high.
    """
    depth, down, right = (max(round(n / m), 1) for n, m in zip(fine.shape, grid.shape, strict=True))
    whole = (depth * grid.slices, down * grid.rows, right * grid.columns) == fine.shape and down == right
    if not whole:
        depth = down = right = 1
    x, y = fine.principal
    slices, rows, columns = (n // b for n, b in zip(fine.shape, (depth, down, right)))
    same = replace(fine, slices=slices, rows=rows, columns=columns, principal=(x / right, y / down))
    require_same(same, grid, what)
    return depth, down, right
