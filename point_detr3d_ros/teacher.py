"""The teacher: a click and a class to a box (Point-DETR3D's point-centric teacher; Gao et al., 2024).

One decoder layer without attention between prompts: a prompt's box is the same alone and among others. A prompt may
also be a box that another detector has found, to be refined (an extension; as TransFusion's second stage, Bai et al.,
2022): the attention then begins with it instead of a straight box of the class's mean size. What is answered is the
same, so that what was learned of clicks serves boxes too; but its heading, which is hard to tell, is added to.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.encoder import LidarEncoder
from point_detr3d_ros.images import Cameras, ImageEncoder
from point_detr3d_ros.queries import Queries
from point_detr3d_ros.roi_fusion import RoiFusion, Rois
from point_detr3d_ros.sampling import rows_of

DROPOUT = 0.1
STEP = 2.0  # m of a raw output of 1: prompts lie within a few metres of the centre
RARE = 0.01  # probability of a class at the start (RetinaNet, Lin et al., 2017)


@dataclass(frozen=True)
class Decoded:
    """A box per prompt, in the network frame.

    score_logit: (Q, C), of every class; that of the prompt's own class is the box's.
    center: (Q, 3), gravity centre, m.  size: (Q, 3) length, width, height, m.
    log_size: (Q, 3), its logarithm over the class's mean.  heading: (Q, 2), sine and cosine of the yaw, not normalised.
    """

    score_logit: Tensor
    center: Tensor
    size: Tensor
    log_size: Tensor
    heading: Tensor


class Decoder(nn.Module):
    """Prompts and encoded frames to boxes: attention, feed-forward, heads."""

    mean_sizes: Tensor

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        dim, classes = contract.dim, len(contract.classes)
        self.register_buffer("mean_sizes", torch.tensor(contract.mean_sizes), persistent=False)
        self.queries = Queries(contract)
        self.fusion = RoiFusion(contract)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ffn = nn.Sequential(
            nn.Linear(dim, contract.ffn), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(contract.ffn, dim)
        )
        self.dropout = nn.Dropout(DROPOUT)
        layers = [layer for _ in range(2) for layer in (nn.Linear(dim, dim), nn.LayerNorm(dim), nn.ReLU())]
        self.classify = nn.Sequential(*layers, nn.Linear(dim, classes))
        last = self.classify[-1]
        assert isinstance(last, nn.Linear)
        nn.init.constant_(last.bias, math.log(RARE / (1 - RARE)))
        self.regress = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 8)
        )  # dx, dy over STEP, dz, log of length, width, height over the mean, sine, cosine

    def forward(
        self,
        rows: Tensor,
        points: Tensor,
        label: Tensor,
        frame: Tensor,
        cameras: Cameras | None = None,
        roi: Tensor | None = None,
    ) -> Decoded:
        """rows: (B, R, dim) of the frames' maps of the ground.  points: (Q, 3) in the network frame, m.
        label: (Q,) int64.  frame: (Q,) int64, which of B frames.  cameras: of the same B frames.
        roi: (Q, 5) length, width, height, m, sine and cosine of the yaw of boxes around the points; zeros for clicks,
        which is what all are without it."""
        roi = points.new_zeros(len(points), 5) if roi is None else roi
        mean, heading = self.mean_sizes[label], roi[:, 3:]
        size = torch.where(roi[:, :3] > 0, roi[:, :3], mean)
        content, position, reference = self.queries(points, label, size, heading)
        rois = Rois(reference, size, _straightened(heading))
        fused = self.fusion(content + position, rois, rows, frame, cameras)
        x = self.norm1(content + self.dropout(fused))
        x = self.norm2(x + self.dropout(self.ffn(x)))
        raw = self.regress(x)
        center = points + raw[:, :3] * raw.new_tensor([STEP, STEP, 1.0])
        log_size = raw[:, 3:6]
        return Decoded(self.classify(x), center, mean * log_size.exp(), log_size, raw[:, 6:] + heading)


def _straightened(heading: Tensor) -> Tensor:
    """Headings (Q, 2) with (0, 1), along x, where they are unknown, (0, 0)."""
    unknown = (heading == 0).all(1).to(heading)
    return torch.stack([heading[:, 0], heading[:, 1] + unknown], 1)


class Teacher(nn.Module):
    """Encoders and decoder. A frame is encoded once, and decoded for every click."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        self.lidar = LidarEncoder(contract)
        # They are the attention's value projections too, for nothing else reads these maps.
        self.laterals = nn.ModuleList(nn.Conv2d(c, contract.dim, 1) for c in contract.stage_channels)
        self.images = ImageEncoder(contract) if contract.cameras else None
        self.decoder = Decoder(contract)

    def encode_lidar(self, features: Tensor, cell: Tensor, batch: int) -> list[Tensor]:
        """Pillars as `LidarEncoder` takes them -> maps of the ground [(B, dim, ny / s, nx / s)], s = 2, 4, 8."""
        maps = self.lidar(features, cell, batch)
        return [lateral(level) for lateral, level in zip(self.laterals, maps)]

    def encode_images(self, images: Tensor) -> list[Tensor]:
        """(N, H, W, 3) uint8 RGB of the contract's size -> [(N, dim, H / s, W / s)], s = 4, 8, 16; N may be 0.

        For a contract with cameras."""
        assert self.images is not None
        return self.images(images)

    def decode(
        self,
        ground: Sequence[Tensor],
        points: Tensor,
        label: Tensor,
        frame: Tensor | None = None,
        cameras: Cameras | None = None,
        roi: Tensor | None = None,
    ) -> Decoded:
        """Boxes of prompts. ground: maps of `encode_lidar`, B frames.  points: (Q, 3) in the network frame, m, inside
        of the contract's range.  label: (Q,) int64.  frame: (Q,) int64, which of B; of the first without it.
        cameras: of the same frames (`Cameras.of_frames`); None where there are none.
        roi: (Q, 5) boxes around the points, as the decoder takes them; None where all are clicks."""
        frame = torch.zeros_like(label) if frame is None else frame
        # Float32 under autocast too: bfloat16 rounds metres to tens of centimetres.
        with torch.autocast(points.device.type, enabled=False):
            rows = rows_of([level.float() for level in ground])
            return self.decoder(rows, points.float(), label, frame, cameras, None if roi is None else roi.float())
