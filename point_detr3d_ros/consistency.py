"""Point-guided self-supervised learning: at the objects, two views of a cloud must look alike."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from point_detr3d_ros.contract import OUTPUT_STRIDE, Contract
from point_detr3d_ros.gaussian import draw_gaussian, gaussian_radius
from voxbox_core.datasets.rig import Prompts

VISIBLE = 0.999  # part of a cell that must be sampled from within the map; the rest of it would be zeros
_LEAST_NORM = 1e-3  # of features: lesser ones, of empty cells, are not blown up to directions, nor their gradients


def point_mask(prompts: Prompts, contract: Contract, size_factor: float) -> tuple[np.ndarray, int]:
    """Where the objects of the weak view are: (ny, nx) float32 in [0, 1] at the output stride, and how many they are.

    prompts: in the weak view (LiDAR or network frame, m). Each is a Gaussian of the radius of its class's mean size
    times `size_factor`; the greatest counts. Those beside the map, or of classes the contract lacks, are left out.
    """
    grid = contract.grid
    cell = grid.cell * OUTPUT_STRIDE
    mask = np.zeros((grid.ny // OUTPUT_STRIDE, grid.nx // OUTPUT_STRIDE), np.float32)
    size = np.array(contract.mean_sizes) * size_factor / cell
    radius = gaussian_radius(size[:, 0], size[:, 1])
    column, row = np.floor((prompts.points[:, :2] - (grid.x[0], grid.y[0])) / cell).astype(np.int64).T
    label = np.array([contract.classes.index(c) if c in contract.classes else -1 for c in prompts.classes], np.int64)
    label = label[prompts.label]
    on_map = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
    kept = np.flatnonzero(on_map & (label >= 0))
    for i in kept:
        draw_gaussian(mask, column[i], row[i], radius[label[i]])
    return mask, len(kept)


def align(features: Tensor, matrix: Tensor, contract: Contract) -> tuple[Tensor, Tensor]:
    """The strong view's map as the weak view sees the world, and where it is known.

    features: (B, C, ny, nx) over the contract's range, of clouds that were moved by p' = A p.  matrix: (B, 4, 4), A.
    The aligned map at p is `features` at A p: one resampling, for any range.
    Returns (B, C, ny, nx) and (B, ny, nx) of 0 and 1: whether A p lies on the map.
    """
    low, high = matrix.new_tensor([[contract.x[0], contract.y[0]], [contract.x[1], contract.y[1]]])
    centre, half = (low + high) / 2, (high - low) / 2
    turn = matrix[:, :2, :2]
    shift = turn @ centre + matrix[:, :2, 3] - centre
    theta = torch.cat([turn * half / half[:, None], (shift / half)[..., None]], -1)
    size = [len(features), 1, *features.shape[2:]]
    places = F.affine_grid(theta.float(), size, align_corners=False)
    aligned = F.grid_sample(features, places.to(features), align_corners=False)
    known = F.grid_sample(features.new_ones(size, dtype=torch.float32), places, align_corners=False)
    return aligned, (known[:, 0] > VISIBLE).float()


def consistency_loss(
    strong: Tensor,
    weak: Tensor,
    matrix: Tensor,
    contract: Contract,
    mask: Tensor | None = None,
    objects: Tensor | None = None,
) -> Tensor:
    """How much the views differ where it matters; unweighted, float32 scalar.

    strong, weak: (B, C, ny, nx) feature maps of the two views by the same network; no gradient goes to the weak one.
    matrix: (B, 4, 4), A of the strong view.  mask: (B, ny, nx) and objects: (B,), from `point_mask`: the squared
    distance of the normalised features, summed under the mask, per object. Without a mask: its mean over all cells
    that both views know (row "full-map consistency").
    """
    aligned, known = align(strong.float(), matrix, contract)
    distance = (_normalised(aligned) - _normalised(weak.detach().float())).square().sum(1)
    if mask is None or objects is None:
        return (distance * known).sum() / known.sum().clamp(min=1)
    return (distance * known * mask).sum() / objects.sum().clamp(min=1)


@torch.no_grad()
def feature_spread(features: Tensor) -> Tensor:
    """Mean over channels of the deviation over cells of the normalised features (B, C, ny, nx), times sqrt(C): about
    1 where directions vary freely, 0 where all features have collapsed to one."""
    unit = _normalised(features.float())
    return unit.transpose(0, 1).flatten(1).std(1).mean() * features.shape[1] ** 0.5


def _normalised(features: Tensor) -> Tensor:
    return F.normalize(features, dim=1, eps=_LEAST_NORM)
