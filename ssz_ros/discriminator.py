"""SSZ's Pose6DoF discriminator (section 3.3): whether a volume belongs to an image, and where its objects stand."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssz_ros.blocks import inflate, leaky
from ssz_ros.contract import Contract
from ssz_ros.pose_codec import PoseGrid
from voxbox_core.voxels import UNKNOWN

_SURE = 0.9  # what a true volume says of its own class, so that certainty alone does not give it away


class Pose6DoF(nn.Module):
    """A volumetric encoder of depthwise separable convolutions with a certificate in each of its last cells.

    image (B, 3, H, W), RGB in [-1, 1], and volume (B, classes, slices, rows, columns) of probabilities ->
    certificate (B, grid.channels, *grid.cells), as `pose_codec` says. widths: channels by level, each of which halves
    the grid. Raises InputError for a grid that is too small for them.
    """

    def __init__(
        self, contract: Contract, rotation: str = "double_yaw", widths: tuple[int, ...] = (32, 64, 128, 256)
    ) -> None:
        super().__init__()
        slices, rows, columns = (n >> len(widths) for n in contract.fruxel.shape)
        self.grid = PoseGrid(contract.fruxel, (slices, rows, columns), rotation)
        first = nn.Conv3d(len(contract.classes) + 3, widths[0], 4, 2, 1)
        stages = [_down(inputs, outputs) for inputs, outputs in pairwise(widths)]
        self.layers = nn.Sequential(first, leaky(), *stages, nn.Conv3d(widths[-1], self.grid.channels, 1))

    def forward(self, image: Tensor, volume: Tensor) -> Tensor:
        colours = F.adaptive_avg_pool2d(image, (volume.shape[3], volume.shape[4])).to(volume.dtype)
        return self.layers(torch.cat([volume, inflate(colours, volume.shape[2])], 1))


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 1),
        leaky(),
        nn.Conv3d(outputs, outputs, 4, 2, 1, groups=outputs, bias=False),
        nn.BatchNorm3d(outputs),
        leaky(),
    )


def true_volume(labels: Tensor, classes: int) -> Tensor:
    """What D sees of the truth: labels (B, slices, rows, columns) uint8 -> (B, classes, slices, rows, columns), almost
    certain of each cell's class and undecided where it is UNKNOWN."""
    other = (1 - _SURE) / (classes - 1)
    known = labels != UNKNOWN
    chosen = torch.where(known, labels, 0).long().unsqueeze(1)
    volume = torch.full((len(labels), classes, *labels.shape[1:]), other, device=labels.device)
    volume.scatter_(1, chosen, _SURE)
    return torch.where(known.unsqueeze(1), volume, 1 / classes)


def generated_volume(logits: Tensor, labels: Tensor) -> Tensor:
    """What D sees of a generator: its probabilities, with a gradient, undecided where the truth of the same image is
    UNKNOWN, which would tell the two apart."""
    known = (labels != UNKNOWN).unsqueeze(1)
    return torch.where(known, logits.float().softmax(1), 1 / logits.shape[1])
