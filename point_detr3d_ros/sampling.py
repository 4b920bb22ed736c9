"""Weighted sums of bilinear samples of feature pyramids: the core of multi-scale deformable attention.

In gathers of whole rows, which every engine computes alike; from some, GridSample comes back as nearest neighbour.
Nothing is padded, because that would copy every map for every click: what lies outside weighs zero.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Sizes = Sequence[tuple[int, int]]
"""(height, width) of every level, cells."""


def rows_of(maps: Sequence[Tensor]) -> Tensor:
    """Levels [(B, C, h, w)] as one table (B, R, C): a row per cell, level after level, row-major within each."""
    return torch.cat([level.flatten(2).transpose(1, 2) for level in maps], 1)


def weighted_sum(rows: Tensor, sizes: Sizes, image: Tensor, location: Tensor, weight: Tensor) -> Tensor:
    """Sums what lies at L * P places of a pyramid, for each of N readers and M heads.

    rows: (B, R, C) of `rows_of`.  image: (N,) int64, which of the B pyramids a reader reads.
    location: (N, M, L, P, 2), (u, v) = (0, 0) .. (1, 1) over each level from edge to edge; zero is read outside.
    weight: (N, M, L, P). Head m reads the m-th of M equal parts of the channels.
    Returns (N, C). Sampling agrees with F.grid_sample(align_corners=False, padding_mode="zeros").
    """
    readers, heads, levels, points = weight.shape
    cells, channels = rows.shape[1:]
    picks = levels * points * 4
    index, share = _corners(location, sizes)
    first = image[:, None, None, None, None] * cells + index
    head = torch.arange(heads, device=rows.device)[:, None, None, None]
    flat = rows.reshape(-1, channels // heads)
    picked = flat.index_select(0, (first * heads + head).flatten()).view(readers, heads, picks, channels // heads)
    combined = (share * weight[..., None]).view(readers, heads, 1, picks)
    return torch.matmul(combined, picked).view(readers, channels)


def _corners(location: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """The four cells around each place: rows of the table (..., L, P, 4) int64 and bilinear shares, 0 outside."""
    size = location.new_tensor([(width, height) for height, width in sizes])[:, None]
    starts = [sum(h * w for h, w in sizes[:level]) for level in range(len(sizes))]
    start = torch.tensor(starts, device=location.device)[:, None, None, None]
    width = torch.tensor([w for _, w in sizes], device=location.device)[:, None, None, None]
    # Half a cell past the rim and beyond reads nothing; clamping keeps the integers small.
    place = torch.minimum((location * size - 0.5).clamp(min=-1.0), size)
    low = place.floor()
    cell = torch.stack([low, low + 1], -1)
    share = torch.stack([low + 1 - place, place - low], -1)
    limit = size[..., None]
    share = share * ((cell >= 0) & (cell < limit)).to(share)
    inside = torch.minimum(cell.clamp(min=0.0), limit - 1).long()
    column, row = inside[..., 0, None, :], inside[..., 1, :, None]
    index = start + row * width + column
    return index.flatten(-2), (share[..., 1, :, None] * share[..., 0, None, :]).flatten(-2)
