"""Cross-modal deformable RoI fusion: what LiDAR and cameras show in and around a box (Gao et al., 2024).

Sampling weights follow from the query alone: per head, one softmax over levels and points for the free points and one
for the grid. Unlike the release: boxes hang at their gravity centre, begin as the class's mean, and offsets are metric
(free points of cameras) or parts of the box's rectangle (grid of cameras), zero at first. Beyond it: every head has
grid weights of its own, and one gate looks at any camera's answer, so that the order of cameras means nothing.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from point_detr3d_ros.contract import STRIDES, Contract
from point_detr3d_ros.encoder import normalised
from point_detr3d_ros.images import Cameras, image_sizes
from point_detr3d_ros.sampling import weighted_sum

LEVELS = 3  # of both pyramids
REACH = (5.0, 5.0, 1.5)  # m: how far from the reference free points may lie, for cameras
NEAREST = 0.1  # m: depth in front of a camera from which a point is seen


@dataclass(frozen=True)
class Rois:
    """Boxes to look at. center: (Q, 3), gravity centre, network frame, m.  size: (Q, 3) length, width, height, m.
    heading: (Q, 2) sine, cosine of the yaw."""

    center: Tensor
    size: Tensor
    heading: Tensor

    def at(self, grid: Tensor) -> Tensor:
        """Places (K, 3) in boxes, each coordinate from -1/2 to 1/2 of length, width, height -> (Q, K, 3), m."""
        local = grid * self.size[:, None]
        sin, cos = self.heading[:, None, 0], self.heading[:, None, 1]
        x = cos * local[..., 0] - sin * local[..., 1]
        y = sin * local[..., 0] + cos * local[..., 1]
        return self.center[:, None] + torch.stack([x, y, local[..., 2]], -1)


def project(points: Tensor, matrix: Tensor, contract: Contract) -> tuple[Tensor, Tensor]:
    """Points (Q, K, 3), m, by matrices (Q, S, 3, 4) to pixels of the contract's images.

    Returns (u, v) = (0, 0) .. (1, 1) from edge to edge of the image, (Q, S, K, 2), and depth (Q, S, K), m. Depths below
    NEAREST count as NEAREST, which keeps points to the side of a camera on that side.
    """
    homogeneous = points[:, None] @ matrix[..., :3].transpose(-1, -2) + matrix[..., None, :, 3]
    depth = homogeneous[..., 2]
    pixel = homogeneous[..., :2] / depth.clamp(min=NEAREST)[..., None]
    size = points.new_tensor([contract.image_width, contract.image_height])
    return (pixel + 0.5) / size, depth


def hull(rois: Rois, matrix: Tensor, contract: Contract) -> tuple[Tensor, Tensor]:
    """The rectangles of the images (of matrices (Q, S, 3, 4)) that hold the boxes: low and high corner, (Q, S, 2) each.

    Clipped to the image: of an object that leaves it, all there is to sample is the visible part. Both corners coincide
    in a coordinate where nothing is in sight. (The release centres its grid on the centre's pixel, which does not cover
    near boxes.)
    """
    half = torch.tensor([-0.5, 0.5], device=matrix.device)
    location, _ = project(rois.at(torch.cartesian_prod(half, half, half)), matrix, contract)
    return location.amin(2).clamp(0.0, 1.0), location.amax(2).clamp(0.0, 1.0)


def _square(side: int) -> Tensor:
    """(side^2, 2) places from -1/2 to 1/2."""
    line = torch.linspace(-0.5, 0.5, side)
    return torch.cartesian_prod(line, line)


def _zero(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that begins as zero: offsets of 0, equal weights, half-open gates."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Attention(nn.Module):
    """What both parts predict from a query: weights of free and grid points, and the grid points' offsets."""

    square: Tensor

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        self.heads, self.free, self.grid = contract.heads, contract.free_points, contract.roi_grid**2
        per_point = self.heads * LEVELS
        self.free_weight = _zero(contract.dim, per_point * self.free)
        if self.grid:
            self.grid_weight = _zero(contract.dim, per_point * self.grid)
            self.grid_offset = _zero(contract.dim, per_point * self.grid * 2)
            self.register_buffer("square", _square(contract.roi_grid), persistent=False)
        # Without bias: a camera that sees nothing adds nothing.
        self.out = nn.Linear(contract.dim, contract.dim, bias=False)

    def weights(self, query: Tensor, layer: nn.Linear) -> Tensor:
        """(Q, dim) -> (Q, heads, LEVELS, points), that sum to 1 over each head's levels and points."""
        points = layer.out_features // (self.heads * LEVELS)
        flat = layer(query).view(query.shape[0], self.heads, LEVELS * points).softmax(-1)
        return flat.unflatten(-1, (LEVELS, points))

    def offsets(self, query: Tensor, layer: nn.Linear) -> Tensor:
        """(Q, dim) -> (Q, heads, LEVELS, points, 2)."""
        points = layer.out_features // (self.heads * LEVELS * 2)
        return layer(query).view(query.shape[0], self.heads, LEVELS, points, 2)


class LidarAttention(Attention):
    """Free points around the reference and a grid over the box, on the maps of the ground."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        self.sizes = [(contract.grid.ny // s, contract.grid.nx // s) for s in STRIDES]
        self.free_offset = _zero(contract.dim, self.heads * LEVELS * self.free * 2)
        with torch.no_grad():
            self.free_offset.bias.copy_(self._star().flatten())

    def _star(self) -> Tensor:
        """(heads, LEVELS, free, 2) cells: each head looks in its own direction, further with every point."""
        angle = 2 * math.pi * torch.arange(self.heads) / self.heads
        ray = torch.stack([angle.cos(), angle.sin()], -1)
        ray = ray / ray.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.free + 1)
        return (ray[:, None, None] * steps[:, None]).expand(-1, LEVELS, -1, -1)

    def forward(self, query: Tensor, rois: Rois, rows: Tensor, frame: Tensor) -> Tensor:
        """query: (Q, dim).  rows: (B, R, dim) of the maps.  frame: (Q,) which of B.  -> (Q, dim)."""
        size = query.new_tensor([(width, height) for height, width in self.sizes])[:, None]
        center = normalised(rois.center[:, :2], self.contract)[:, None, None, None]
        location = center + self.offsets(query, self.free_offset) / size
        weight = self.weights(query, self.free_weight)
        if self.grid:
            places = rois.at(F.pad(self.square, (0, 1)))[..., :2]
            grid = normalised(places, self.contract)[:, None, None]
            grid = grid + self.offsets(query, self.grid_offset) / size
            location = torch.cat([location, grid], 3)
            weight = torch.cat([weight, self.weights(query, self.grid_weight)], 3)
        return self.out(weighted_sum(rows, self.sizes, frame, location, weight))


class CameraAttention(Attention):
    """Free points around the reference and a grid over the box's rectangle, in every camera."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        self.sizes = image_sizes(contract)
        self.free_offset = _zero(contract.dim, self.heads * self.free * 3)
        nn.init.uniform_(self.free_offset.bias, -1.0, 1.0)  # equal points would stay equal
        self.gate = _zero(2 * contract.dim, 1)

    def forward(self, query: Tensor, rois: Rois, cameras: Cameras, frame: Tensor) -> Tensor:
        """query: (Q, dim).  frame: (Q,) which of the cameras' F frames.  -> (Q, dim), zeros where no camera sees."""
        slots = cameras.valid.shape[1]
        if slots == 0 or cameras.rows.shape[0] == 0:
            return torch.zeros_like(query)
        matrix, valid = cameras.image_from_lidar[frame], cameras.valid[frame][:, :, None, None, None]
        location, weight = self._free(query, rois, matrix)
        if self.grid:
            grid, grid_weight = self._grid(query, rois, matrix)
            location, weight = torch.cat([location, grid], 4), torch.cat([weight, grid_weight], 4)
        image = cameras.image[frame].flatten()
        seen = weighted_sum(cameras.rows, self.sizes, image, location.flatten(0, 1), (weight * valid).flatten(0, 1))
        answers = seen.view(query.shape[0], slots, self.contract.dim)
        asked = query[:, None].expand(-1, slots, -1)
        gate = self.gate(torch.cat([asked, answers], 2)).sigmoid()
        return self.out((gate * answers).sum(1))

    def _free(self, query: Tensor, rois: Rois, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Locations (Q, S, heads, LEVELS, free, 2) and weights, 0 for points behind a camera or outside its image."""
        raw = self.free_offset(query).view(query.shape[0], self.heads * self.free, 3)
        offset = (2 * raw.sigmoid() - 1) * query.new_tensor(REACH)
        location, depth = project(rois.center[:, None] + offset, matrix, self.contract)
        inside = ((location >= 0) & (location <= 1)).all(-1) & (depth > NEAREST)
        location = location.unflatten(2, (self.heads, 1, self.free)).expand(-1, -1, -1, LEVELS, -1, -1)
        seen = inside.to(query).unflatten(2, (self.heads, 1, self.free))
        return location, self.weights(query, self.free_weight)[:, None] * seen

    def _grid(self, query: Tensor, rois: Rois, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Locations (Q, S, heads, LEVELS, grid, 2) and weights, 0 for boxes out of a camera's sight."""
        low, high = hull(rois, matrix, self.contract)
        _, depth = project(rois.center[:, None], matrix, self.contract)
        extent = (high - low)[:, :, None, None, None]
        offset = self.offsets(query, self.grid_offset).tanh()[:, None] / 2
        location = (low + high)[:, :, None, None, None] / 2 + (self.square + offset) * extent
        seen = ((high > low).all(-1) & (depth[..., 0] > NEAREST)).to(query)[:, :, None, None, None]
        return location, self.weights(query, self.grid_weight)[:, None] * seen


class RoiFusion(nn.Module):
    """LiDAR and cameras, each by its own attention, joined."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        dim = contract.dim
        self.lidar = LidarAttention(contract)
        self.camera = CameraAttention(contract) if contract.cameras else None
        inputs = 2 * dim if contract.cameras else dim
        self.join = nn.Sequential(
            nn.Linear(inputs, dim), nn.LayerNorm(dim), nn.ReLU(), nn.Linear(dim, dim), nn.LayerNorm(dim)
        )

    def forward(self, query: Tensor, rois: Rois, rows: Tensor, frame: Tensor, cameras: Cameras | None) -> Tensor:
        """query: (Q, dim).  rows: (B, R, dim) of the maps of the ground.  frame: (Q,), which of B.  -> (Q, dim)."""
        ground = self.lidar(query, rois, rows, frame)
        if self.camera is None:
            return self.join(ground)
        seen = torch.zeros_like(query) if cameras is None else self.camera(query, rois, cameras, frame)
        return self.join(torch.cat([seen, ground], 1))
