"""Voxels where the engine is: what `Voxels` finds in labels, as tensors on any device."""

import torch
from torch import Tensor
from torch.nn import functional as F

from voxbox_core.voxels import AIR, UNKNOWN


def surface_cells(labels: Tensor) -> Tensor:
    """Labels (slices, rows, columns) uint8 -> (N,) int64 flat indices of `Voxels.surface`, ascending."""
    air = F.pad(labels == AIR, (1,) * 6)
    beside = torch.zeros_like(labels, dtype=torch.bool)
    for axis in range(3):
        for start in (0, 2):
            place = [slice(1, -1)] * 3
            place[axis] = slice(start, start + labels.shape[axis])
            beside |= air[tuple(place)]
    occupied = (labels != AIR) & (labels != UNKNOWN)
    return (occupied & beside).flatten().nonzero()[:, 0]
