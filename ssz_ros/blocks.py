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
        whole = nn.Conv3d(channels + skip, outputs, 1, bias=bias)
        self.weight = nn.Parameter(whole.weight.detach()[:, :channels].clone())
        self.of_skip = nn.Parameter(whole.weight.detach()[:, channels:, 0].clone()) if skip else None
        self.bias = whole.bias

    def forward(self, volume: Tensor, skip: Tensor | None) -> Tensor:
        y = F.conv3d(volume, self.weight, self.bias)
        return y if self.of_skip is None or skip is None else y + F.conv2d(skip, self.of_skip).unsqueeze(2)


class DepthwiseUp(nn.ConvTranspose3d):
    """Depthwise transposed convolution that doubles all three axes: (B, C, D, H, W) -> (B, C, 2 D, 2 H, 2 W).

    In bfloat16 on the CPU it goes by phases, which takes half of the time.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 4, 2, 1, groups=channels, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            return up_by_phases(x, kernels_of_phases(self.weight), None)
        return super().forward(x, output_size)


def kernels_of_phases(weight: Tensor) -> Tensor:
    """Of a depthwise transposed convolution (C, 1, 4, 4, 4), stride 2, padding 1 -> (8 C, 1, 2, 2, 2).

    Even outputs of an axis see the taps 3 and 1 of an input padded by one, odd ones 2 and 0, one place further.
    """
    kernel = weight[:, 0]
    for axis in (1, 2, 3):  # depth, row and column become phase and tap of each
        at = 2 * axis - 1
        even, odd = (torch.stack([kernel.select(at, tap) for tap in taps], at) for taps in ((3, 1), (2, 0)))
        kernel = torch.stack([even, odd], at)
    return kernel.permute(0, 1, 3, 5, 2, 4, 6).flatten(0, 3).unsqueeze(1)


def up_by_phases(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """A depthwise transposed convolution as one ordinary convolution of 2x2x2, whose eight outputs of each channel are
    put between one another. kernels: `kernels_of_phases`.  bias: (8 C,)."""
    y = F.conv3d(F.pad(x, (1,) * 6), kernels, bias, groups=x.shape[1])
    y = y.unflatten(1, (-1, 2, 2, 2))
    for phase, axis in ((4, -1), (3, -2), (2, -3)):
        size = x.shape[axis]
        even = y.narrow(axis, 0, size).select(phase, 0)
        odd = y.narrow(axis, 1, size).select(phase, 1)
        y = torch.stack([even, odd], axis).flatten(axis - 1, axis)
    return y


class PointwiseFirst(nn.Module):
    """Volumetric inverted residual with its pointwise convolution first, at the low resolution: a quarter of the
    paper's multiplications, the same receptive field. Not of the paper.

    (B, channels, D, H, W), (B, skip, H, W) or None -> (B, outputs, 2 D, 2 H, 2 W).
    """

    def __init__(self, channels: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.pointwise = JoinedPointwise(channels, skip, outputs, bias=False)
        self.inside: nn.Module = nn.BatchNorm3d(outputs)
        self.up = nn.Sequential(leaky(), DepthwiseUp(outputs), nn.BatchNorm3d(outputs))

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
            DepthwiseUp(both), leaky(), nn.Conv3d(both, outputs, 1, bias=False), nn.BatchNorm3d(outputs)
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
