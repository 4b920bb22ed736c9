"""Building blocks of SSZ's networks (section 3.2): inverted residuals on the image, their volumetric kind, and skips
that copy a map along the depth axis.

Maps of the image are (B, C, H, W), volumes (B, C, D, H, W), D along the optical axis.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2  # of Leaky ReLU where it is negative, as in the predecessor


def leaky() -> nn.LeakyReLU:
    """The activation of all blocks but the inside of an inverted residual."""
    return nn.LeakyReLU(SLOPE)


class InvertedResidual(nn.Module):
    """Inverted residual of MobileNetV2 (Sandler et al., 2018), linear at its end: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        inside = channels * expansion
        self.layers = nn.Sequential(
            nn.Conv2d(channels, inside, 1, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU6(),
            nn.Conv2d(inside, inside, 3, padding=1, groups=inside, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU6(),
            nn.Conv2d(inside, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def separable_down(inputs: int, outputs: int, norm: bool = True) -> nn.Sequential:
    """Pointwise, then depthwise 4x4 convolution of stride 2: (B, inputs, H, W) -> (B, outputs, H / 2, W / 2).

    norm: of the end. A map of one pixel must not have one: a batch of one would leave nothing of it.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        leaky(),
        *_normed(nn.Conv2d(outputs, outputs, 4, 2, 1, groups=outputs, bias=not norm), norm),
    )


def plain_down(inputs: int, outputs: int, norm: bool = True) -> nn.Sequential:
    """Leaky ReLU, then convolution 4x4 of stride 2, the predecessor's: as `separable_down`."""
    return nn.Sequential(leaky(), *_normed(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm), norm))


def _normed(conv: nn.Conv2d, norm: bool) -> list[nn.Module]:
    return [conv, nn.BatchNorm2d(conv.out_channels)] if norm else [conv]


class Birth(nn.Module):
    """Where the depth axis begins: (B, C, H, W) -> (B, C, slices, H, W).

    One slice is the map itself, as in the paper. Several must not be mere copies: nothing but the border would ever
    tell them apart, so each is a linear map of its own.
    """

    def __init__(self, channels: int, slices: int) -> None:
        super().__init__()
        self.slices = slices
        self.spread = nn.Conv2d(channels, channels * slices, 1) if slices > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.spread(x).unflatten(1, (-1, self.slices))


def inflate(skip: Tensor, slices: int) -> Tensor:
    """Copies a map along a new depth axis: (B, C, H, W) -> (B, C, slices, H, W), a view."""
    return skip.unsqueeze(2).expand(-1, -1, slices, -1, -1)


def join(volume: Tensor, skip: Tensor | None) -> Tensor:
    """Copy-inflate skip in its plain form: volume (B, C, D, H, W), skip (B, c, H, W) -> (B, C + c, D, H, W)."""
    return volume if skip is None else torch.cat([volume, inflate(skip, volume.shape[2])], 1)


class JoinedPointwise(nn.Module):
    """1x1x1 convolution of `join(volume, skip)` that never builds it: W [y; inflate(s)] = W_y y + inflate(W_s s).

    channels: of the volume.  skip: channels of the skip, 0 for none.
    (B, channels, D, H, W), (B, skip, H, W) -> (B, outputs, D, H, W).
    """

    def __init__(self, channels: int, skip: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.channels = channels
        whole = nn.Conv3d(channels + skip, outputs, 1, bias=bias)
        self.weight, self.bias = whole.weight, whole.bias

    def forward(self, volume: Tensor, skip: Tensor | None) -> Tensor:
        y = F.conv3d(volume, self.weight[:, : self.channels], self.bias)
        if skip is None:
            return y
        return y + F.conv2d(skip, self.weight[:, self.channels :, 0]).unsqueeze(2)


def depthwise_up(channels: int) -> nn.ConvTranspose3d:
    """Depthwise transposed convolution that doubles all three axes."""
    return nn.ConvTranspose3d(channels, channels, 4, 2, 1, groups=channels, bias=False)


class PointwiseFirst(nn.Module):
    """Volumetric inverted residual with its pointwise convolution first, at the low resolution: a quarter of the
    paper's multiplications, the same receptive field. Not of the paper.

    (B, channels, D, H, W), (B, skip, H, W) or None -> (B, outputs, 2 D, 2 H, 2 W).
    """

    def __init__(self, channels: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.pointwise = JoinedPointwise(channels, skip, outputs, bias=False)
        self.inside: nn.Module = nn.BatchNorm3d(outputs)
        self.up = nn.Sequential(leaky(), depthwise_up(outputs), nn.BatchNorm3d(outputs))

    def forward(self, volume: Tensor, skip: Tensor | None) -> Tensor:
        return self.up(self.inside(self.pointwise(volume, skip)))


class DepthwiseFirst(nn.Module):
    """Volumetric inverted residual in the paper's order: depthwise transposed convolution, Leaky ReLU, pointwise.

    A skip of more channels than the volume is compressed to as many. Shapes as `PointwiseFirst`.
    """

    def __init__(self, channels: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.compress = compressor(skip, channels)
        both = channels + min(skip, channels)
        self.up = nn.Sequential(
            depthwise_up(both), leaky(), nn.Conv3d(both, outputs, 1, bias=False), nn.BatchNorm3d(outputs)
        )

    def forward(self, volume: Tensor, skip: Tensor | None) -> Tensor:
        return self.up(join(volume, None if skip is None else self.compress(skip)))


class PlainUp(nn.Module):
    """Dense transposed convolution, as in the predecessor: the ablation without volumetric inverted residuals.

    Shapes and skips as `DepthwiseFirst`.
    """

    def __init__(self, channels: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.compress = compressor(skip, channels)
        self.up = nn.Sequential(
            leaky(),
            nn.ConvTranspose3d(channels + min(skip, channels), outputs, 4, 2, 1, bias=False),
            nn.BatchNorm3d(outputs),
        )

    def forward(self, volume: Tensor, skip: Tensor | None) -> Tensor:
        return self.up(join(volume, None if skip is None else self.compress(skip)))


def compressor(skip: int, channels: int) -> nn.Module:
    """Brings a skip to at most `channels` channels."""
    return nn.Conv2d(skip, channels, 1, bias=False) if skip > channels else nn.Identity()
