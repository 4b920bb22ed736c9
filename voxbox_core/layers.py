"""Building blocks that several networks share."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias (same padding), then batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a residual (He et al., 2016), which the caller may supply.

    (B, inputs, H, W) -> (B, outputs, H / stride, W / stride). Attribute names are those of published weights.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if residual is None else residual))


class DeformConv2d(nn.Module):
    """Modulated deformable 3x3 convolution, DCNv2 (Zhu et al., 2019), in operations every exporter knows.

    y(p) = b + sum_k w_k m_k x(p + p_k + d_k), bilinear, zero outside. A parallel 3x3 convolution predicts 27
    channels: 18 offsets, (dy, dx) of each tap in turn, and 9 logits of m. It starts at zero: d = 0, m = 0.5.
    (B, inputs, H, W) -> (B, outputs, H, W).
    """

    TAPS = 9

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.conv_offset_mask = nn.Conv2d(inputs, 3 * self.TAPS, 3, padding=1)
        bound = 1 / math.sqrt(inputs * self.TAPS)
        nn.init.uniform_(self.weight, -bound, bound)
        for parameter in self.conv_offset_mask.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        # Positions stay float32 under autocast: bfloat16 cannot tell neighbouring columns apart beyond 256.
        offsets_and_mask = self.conv_offset_mask(x).float()
        offsets = offsets_and_mask[:, : 2 * self.TAPS].reshape(batch, self.TAPS, 2, height, width)
        mask = offsets_and_mask[:, 2 * self.TAPS :].sigmoid()

        row = torch.arange(height, device=x.device, dtype=torch.float32)[None, None, :, None]
        column = torch.arange(width, device=x.device, dtype=torch.float32)[None, None, None, :]
        tap = torch.arange(self.TAPS, device=x.device)[None, :, None, None]
        y = row + (tap // 3 - 1) + offsets[:, :, 0]
        x_position = column + (tap % 3 - 1) + offsets[:, :, 1]
        grid = torch.stack([(2 * x_position + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)

        grid = grid.reshape(batch, self.TAPS * height, width, 2)
        sampled = F.grid_sample(x.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        sampled = sampled.reshape(batch, channels, self.TAPS, height, width) * mask[:, None]
        columns = sampled.reshape(batch, channels * self.TAPS, height, width).to(x.dtype)
        return F.conv2d(columns, self.weight.reshape(len(self.weight), -1, 1, 1), self.bias)


class DepthwiseUpsample(nn.ConvTranspose2d):
    """Learnable up-sampling by `factor`, one filter per channel, starting as bilinear interpolation."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__(
            channels, channels, 2 * factor, stride=factor, padding=factor // 2, groups=channels, bias=False
        )
        distance = (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
        triangle = 1 - distance
        with torch.no_grad():
            self.weight.copy_((triangle[:, None] * triangle[None]).expand_as(self.weight))
