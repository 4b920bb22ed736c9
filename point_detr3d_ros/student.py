"""The student, which is deployed: CenterPoint over pillars, LiDAR alone (Yin et al., CVPR 2021)."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from point_detr3d_ros.codec import decode
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.encoder import LidarEncoder, conv
from voxbox_core.cloud import FEATURES

HEAT_BIAS = -2.19  # every cell begins as an object with 10%
REGRESSIONS = {"reg": 2, "height": 1, "dim": 3, "rot": 2}
"""Channels of each regression: place in the cell, z of the centre, logarithms of the size, sine and cosine of yaw."""


class Maps(NamedTuple):
    """What the network says of a batch.

    features: (B, 3 neck_channels, h, w) the neck's output.  heatmap: (B, C, h, w) logits, classes in the contract's
    order.  box: (B, G, R, h, w) regressions of each group, in the order of REGRESSIONS and then velocity.
    """

    features: Tensor
    heatmap: Tensor
    box: Tensor


class Neck(nn.Module):
    """SECOND's: the three maps brought to stride 2 and joined."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        channels = contract.neck_channels
        branches = []
        for inputs, scale in zip(contract.stage_channels, (1, 2, 4)):
            layer = (
                nn.Conv2d(inputs, channels, 1, bias=False)
                if scale == 1
                else nn.ConvTranspose2d(inputs, channels, scale, scale, bias=False)
            )
            branches.append(nn.Sequential(layer, nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01), nn.ReLU()))
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return torch.cat([branch(x) for branch, x in zip(self.branches, maps)], 1)


class GroupHead(nn.Module):
    """The heat map of some classes and the regressions they share, each by two convolutions."""

    def __init__(self, width: int, classes: int, velocity: bool) -> None:
        super().__init__()
        self.heatmap = _branch(width, classes)
        regressions = REGRESSIONS | ({"vel": 2} if velocity else {})
        self.box = nn.ModuleDict({name: _branch(width, channels) for name, channels in regressions.items()})
        nn.init.constant_(cast(nn.Conv2d, self.heatmap[-1]).bias, HEAT_BIAS)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.heatmap(x), torch.cat([branch(x) for branch in self.box.values()], 1)


class Head(nn.Module):
    """CenterPoint's: one convolution for all groups of classes, then a head for each."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        width = contract.head_channels
        self.shared = conv(3 * contract.neck_channels, width)
        self.groups = nn.ModuleList(GroupHead(width, len(group), contract.velocity) for group in contract.groups)
        grouped = [name for group in contract.groups for name in group]
        self._order = [grouped.index(name) for name in contract.classes]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        x = self.shared(features)
        heatmaps, boxes = zip(*[group(x) for group in self.groups])
        return torch.cat(heatmaps, 1)[:, self._order], torch.stack(boxes, 1)


def _branch(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv(width, width), nn.Conv2d(width, outputs, 3, padding=1))


class Student(nn.Module):
    """Pillars to heat maps and boxes."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        self.lidar = LidarEncoder(contract)
        self.neck = Neck(contract)
        self.head = Head(contract)

    def forward(self, features: Tensor, cell: Tensor, batch: int) -> Maps:
        """As LidarEncoder takes it."""
        neck = self.features(features, cell, batch)
        return Maps(neck, *self.head(neck))

    def features(self, features: Tensor, cell: Tensor, batch: int) -> Tensor:
        """Maps.features alone."""
        neck: Tensor = self.neck(self.lidar(features, cell, batch))
        return neck


class Deployed(nn.Module):
    """The student with its decoding, for one cloud: what an engine runs.

    Inputs: features (P, N, 10) float32, cell (P,) int64; P >= 1.
    Outputs: see `codec.decode`; yaw is left as sine and cosine, because ONNX has no atan2.
    """

    INPUTS = ("features", "cell")
    DYNAMIC = {"features": "pillars", "cell": "pillars"}  # noqa: RUF012 - nobody writes to it

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student
        self.outputs = ("score", "label", "center", "size", "heading") + (
            ("velocity",) if student.contract.velocity else ()
        )

    def forward(self, features: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        maps = self.student(features, cell, 1)
        found = decode(maps.heatmap, maps.box, self.student.contract)
        return tuple(found[name] for name in self.outputs)

    def example(self) -> tuple[Tensor, Tensor]:
        """Inputs of the right shapes, for tracing: three pillars."""
        return torch.zeros(3, self.student.contract.per_pillar, FEATURES), torch.arange(3)
