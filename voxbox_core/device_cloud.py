"""Pillars where the engine is: `cloud.pillars` as tensors on any device, with the same pillars, points and places.

Points are sorted by cell, stably, and then everything has its own place: there are no atomic operations, whose order
would be another each time.
"""

import numpy as np
import torch
from torch import Tensor

from voxbox_core.cloud import FEATURES, Grid, Pillars


def pillars(points: Tensor, grid: Grid, per_pillar: int, max_pillars: int, height: float = 0.0) -> Pillars:
    """`cloud.pillars`: points (P, 5) float32 on a device -> pillars there, and what was left out."""
    points = points.float().clone()
    points[:, 2] += float(np.float32(height))
    points, cell = _inside(points, grid)
    cell, order = cell.sort(stable=True)
    points = points[order]
    every, count = cell.unique_consecutive(return_counts=True)
    kept = torch.arange(len(every), device=points.device)
    if len(every) > max_pillars:
        kept = count.argsort(descending=True, stable=True)[:max_pillars].sort().values
    row = torch.full_like(every, -1)
    row[kept] = torch.arange(len(kept), device=points.device)
    taken, place = _places(row, count, len(points), per_pillar)
    features = points.new_zeros(len(kept) * per_pillar, FEATURES)
    features[place, :5] = points[taken]
    features = features.view(len(kept), per_pillar, FEATURES)
    _decorate(features, count[kept].clamp(max=per_pillar), every[kept], grid)
    return Pillars(features, every[kept], len(every), len(every) - len(kept), len(points) - len(taken))


def _inside(points: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """The points that are in the grid, in their order, and the flat cell of each."""
    inside = torch.ones_like(points[:, 0], dtype=torch.bool)
    for axis, (low, high) in enumerate((grid.x, grid.y, grid.z)):
        first, last = float(np.float32(low)), float(np.float32(high))  # as `cloud.pillars` compares
        inside &= (points[:, axis] >= first) & (points[:, axis] < last)  # NaN is not
    points = points[inside]
    ix = ((points[:, 0].double() - grid.x[0]) / grid.cell).long().clamp(max=grid.nx - 1)
    iy = ((points[:, 1].double() - grid.y[0]) / grid.cell).long().clamp(max=grid.ny - 1)
    return points, iy * grid.nx + ix


def _places(row: Tensor, count: Tensor, points: int, per_pillar: int) -> tuple[Tensor, Tensor]:
    """Of points sorted by pillar: which are taken, and the place of each among all rows' places.

    row, count: of each pillar, row -1 for one that is left out, and its points.  points: all of them. Of n points for
    fewer places, point k takes place floor(k places / n) when it is the first to reach it.
    """
    pillar = torch.arange(len(count), device=count.device).repeat_interleave(count, output_size=points)
    k = torch.arange(points, device=count.device) - (count.cumsum(0) - count)[pillar]  # whole: nothing is rounded
    n = count[pillar].clamp(min=per_pillar)
    taken = ((k * per_pillar % n < per_pillar) & (row[pillar] >= 0)).nonzero()[:, 0]
    return taken, row[pillar[taken]] * per_pillar + k[taken] * per_pillar // n[taken]


def _decorate(features: Tensor, count: Tensor, cell: Tensor, grid: Grid) -> None:
    """Offsets from the mean of the pillar's points and from its centre, in float64 up to the last step."""
    filled = (torch.arange(features.shape[1], device=cell.device) < count[:, None])[..., None]
    xyz = features[..., :3].double()
    mean = xyz.sum(1, keepdim=True) / count[:, None, None]
    x = grid.x[0] + ((cell % grid.nx).double() + 0.5) * grid.cell
    y = grid.y[0] + ((cell // grid.nx).double() + 0.5) * grid.cell
    offsets = torch.cat([xyz - mean, xyz[..., :2] - torch.stack([x, y], -1)[:, None]], -1)
    features[..., 5:] = torch.where(filled, offsets, 0.0).float()
