"""Camera images to feature pyramids, and the cameras of a batch of frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.sampling import rows_of
from voxbox_core.backbones import ResidualBlock, initialise
from voxbox_core.layers import conv_bn

IMAGE_STRIDES = (4, 8, 16)  # px


def image_sizes(contract: Contract) -> list[tuple[int, int]]:
    """(height, width) of the pyramid's levels."""
    return [(contract.image_height // s, contract.image_width // s) for s in IMAGE_STRIDES]


class ImageEncoder(nn.Module):
    """A small residual network and a feature pyramid without smoothing (He et al., 2016; Lin et al., 2017)."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        first, second, third = contract.image_channels
        self.stem = nn.Sequential(
            conv_bn(3, first // 2, 3, 2), nn.ReLU(inplace=True), conv_bn(first // 2, first, 3, 2), nn.ReLU(inplace=True)
        )
        self.stages = nn.ModuleList(
            [
                nn.Sequential(ResidualBlock(first, first, 1)),
                nn.Sequential(ResidualBlock(first, second, 2), ResidualBlock(second, second, 1)),
                nn.Sequential(ResidualBlock(second, third, 2), ResidualBlock(third, third, 1)),
            ]
        )
        self.laterals = nn.ModuleList(nn.Conv2d(c, contract.dim, 1) for c in contract.image_channels)
        initialise(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, H, W, 3) uint8 RGB of the contract's size, N may be 0 -> [(N, dim, H / s, W / s)], s = 4, 8, 16."""
        if images.shape[0] == 0:  # which batch norm would refuse; len() would fix the number in exported graphs
            return [
                torch.zeros(0, self.contract.dim, h, w, device=images.device) for h, w in image_sizes(self.contract)
            ]
        x = images.float().permute(0, 3, 1, 2).contiguous() / 127.5 - 1
        x = self.stem(x)
        features = []
        for stage, lateral in zip(self.stages, self.laterals):
            x = stage(x)
            features.append(lateral(x))
        for level in (1, 0):
            features[level] = features[level] + F.interpolate(features[level + 1], scale_factor=2.0, mode="nearest")
        return features


@dataclass(frozen=True)
class Cameras:
    """What S cameras at most saw of each of F frames.

    rows: (N, R, dim) of `rows_of` the N images' pyramids.
    image_from_lidar: (F, S, 3, 4), from homogeneous points of the network frame, m, to homogeneous pixels of the
    network's input (integers are pixel centres); the third coordinate is the depth, m.
    image: (F, S) int64, which of the N images.  valid: (F, S) float, 1 where there is one, else 0 (and any image).
    """

    rows: Tensor
    image_from_lidar: Tensor
    image: Tensor
    valid: Tensor

    @classmethod
    def of_frames(cls, maps: Sequence[Tensor], image_from_lidar: Sequence[Tensor]) -> "Cameras":
        """Of F frames with n_f cameras each, from their (n_f, 3, 4) matrices, on any device, and from all their images'
        maps [(sum of n_f, dim, h, w)], frame after frame."""
        rows = rows_of([level.float() for level in maps])  # and matrices with them: bfloat16 is metres off
        frames, slots = len(image_from_lidar), max((len(m) for m in image_from_lidar), default=0)
        matrix = rows.new_zeros(frames, slots, 3, 4)
        valid = rows.new_zeros(frames, slots)
        image = torch.zeros(frames, slots, dtype=torch.int64, device=rows.device)
        done = 0
        for f, own in enumerate(image_from_lidar):
            n = len(own)
            matrix[f, :n] = own.to(matrix)
            valid[f, :n] = 1.0
            image[f, :n] = torch.arange(done, done + n, device=rows.device)
            done += n
        return cls(rows, matrix, image, valid)


def draw_cameras(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Camera dropout: which of `count` cameras to keep, (k,) int64, ascending; k from 0 to `count`, all as likely.

    Drawn before the images are encoded, so that what is dropped costs nothing.
    """
    kept = int(torch.randint(count + 1, (), generator=generator))
    return torch.randperm(count, generator=generator)[:kept].sort().values
