"""From pillars of points to maps of the ground: PointPillars' encoder and SECOND's backbone, which student and teacher
share in kind."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from point_detr3d_ros.contract import Contract
from voxbox_core.cloud import FEATURES


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm as in SECOND and its heirs."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution (same padding, no bias), batch norm, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, norm(outputs), nn.ReLU(inplace=True))


class PillarEncoder(nn.Module):
    """Each point through one linear layer, the greatest value of each channel per pillar (Lang et al., 2019, 2.1).

    Places without a point are zeros like the published ones, and take part in the maximum.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, channels, bias=False)
        self.norm = nn.BatchNorm1d(channels, eps=1e-3, momentum=0.01)

    def forward(self, features: Tensor) -> Tensor:
        """(P, N, FEATURES) -> (P, channels).

        Float32 under autocast too: bfloat16 rounds coordinates to decimetres, and oneDNN keeps a primitive, megabytes
        large, for every number of pillars that it meets.
        """
        pillars, points, _ = features.shape
        with torch.autocast(features.device.type, enabled=False):
            x = self.linear(features.reshape(pillars * points, FEATURES))
            return F.relu(self.norm(x)).view(pillars, points, -1).amax(1)


class LidarEncoder(nn.Module):
    """Pillars to three maps of the ground, at strides 2, 4 and 8 of the cells."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.ny, self.nx = contract.grid.ny, contract.grid.nx
        self.pillar = PillarEncoder(contract.pillar_channels)
        stages, inputs = [], contract.pillar_channels
        for channels, layers in zip(contract.stage_channels, contract.stage_layers):
            more = [conv(channels, channels) for _ in range(layers)]
            stages.append(nn.Sequential(conv(inputs, channels, stride=2), *more))
            inputs = channels
        self.stages = nn.ModuleList(stages)

    def forward(self, features: Tensor, cell: Tensor, batch: int) -> list[Tensor]:
        """features: (P, N, FEATURES) of all clouds of the batch.  cell: (P,) int64 flat over cloud, y and x: each at
        most once.  -> [(B, C_s, ny / s, nx / s)] at strides s = 2, 4, 8."""
        x = self.canvas(self.pillar(features), cell, batch)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def canvas(self, pillars: Tensor, cell: Tensor, batch: int) -> Tensor:
        """(P, C) at their cells -> (B, C, ny, nx), zeros where no pillar stands; channels last in memory."""
        empty = pillars.new_zeros(batch * self.ny * self.nx, pillars.shape[1])
        filled = empty.index_put((cell,), pillars)
        return filled.view(batch, self.ny, self.nx, -1).permute(0, 3, 1, 2)


def normalised(points: Tensor, contract: Contract) -> Tensor:
    """Points (..., 2 or 3), m, to [0, 1] over the contract's range, axis by axis."""
    low = points.new_tensor([contract.x[0], contract.y[0], contract.z[0]][: points.shape[-1]])
    high = points.new_tensor([contract.x[1], contract.y[1], contract.z[1]][: points.shape[-1]])
    return (points - low) / (high - low)


def batch_of(pillars: Sequence[tuple[Tensor, ...]], cells: int) -> tuple[Tensor, Tensor]:
    """Pillars (features, cell) of several clouds, each over a grid of `cells`, as one batch for the encoder."""
    features = torch.cat([f for f, _ in pillars])
    return features, torch.cat([c + i * cells for i, (_, c) in enumerate(pillars)])
