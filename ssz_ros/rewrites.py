"""Exact rewrites of trained networks for engines: the same numbers from fewer or better known operations."""

from copy import deepcopy
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssz_ros.blocks import JoinedPointwise, PointwiseFirst

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose batch norms are part of the convolutions before them.

    Exporters do so themselves, but not after a transposed convolution, where they leave a pass over the whole volume.
    """
    network = deepcopy(network).eval()
    for part in list(network.modules()):
        if isinstance(part, PointwiseFirst) and isinstance(part.inside, nn.BatchNorm3d):
            _fold(part.pointwise, part.inside)
            part.inside = nn.Identity()
        if isinstance(part, nn.Sequential):
            _fold_pairs(part)
    return network


def _fold_pairs(layers: nn.Sequential) -> None:
    for i, (conv, norm) in enumerate(pairwise(list(layers))):
        if isinstance(conv, _CONVOLUTIONS) and isinstance(norm, _NORMS):
            _fold(conv, norm)
            layers[i + 1] = nn.Identity()


@torch.no_grad()
def _fold(
    conv: nn.Conv2d | nn.Conv3d | nn.ConvTranspose3d | JoinedPointwise, norm: nn.BatchNorm2d | nn.BatchNorm3d
) -> None:
    """Into `conv`, in float64: weights of the outputs are scaled, and a bias says the rest."""
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    scale = norm.weight.double() / (variance + norm.eps).sqrt()
    bias = -mean if conv.bias is None else conv.bias.double() - mean
    # Weights of a dense transposed convolution are (inputs, outputs, ...); in a depthwise one the inputs are outputs.
    axis = 1 if isinstance(conv, nn.ConvTranspose3d) and conv.groups == 1 else 0
    along = [1] * conv.weight.ndim
    along[axis] = -1
    conv.weight = nn.Parameter((conv.weight.double() * scale.view(along)).to(conv.weight.dtype))
    conv.bias = nn.Parameter((norm.bias.double() + bias * scale).to(conv.weight.dtype))


def in_phases(network: nn.Module) -> nn.Module:
    """A copy without depthwise transposed convolutions, which TensorRT does not like in three dimensions."""
    network = deepcopy(network)
    for part in list(network.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.ConvTranspose3d) and child.groups == child.in_channels > 1:
                setattr(part, name, Phases(child))
    return network


class Phases(nn.Module):
    """A depthwise transposed convolution (kernel 4, stride 2, padding 1) as one depthwise convolution of 2x2x2.

    Even and odd outputs of an axis each see two of the four taps, so that there are eight kernels for each channel,
    whose outputs are put between one another. (B, C, D, H, W) -> (B, C, 2 D, 2 H, 2 W).
    """

    TAPS = ((3, 1), (2, 0))  # of even, of odd outputs, on an input padded by one

    def __init__(self, deconv: nn.ConvTranspose3d) -> None:
        super().__init__()
        whole = deconv.weight.detach()[:, 0]
        kernels = [
            whole[:, depth][:, :, row][:, :, :, column]
            for depth in self.TAPS
            for row in self.TAPS
            for column in self.TAPS
        ]
        self.weight = nn.Parameter(torch.stack(kernels, 1).flatten(0, 1).unsqueeze(1))
        self.bias = None if deconv.bias is None else nn.Parameter(deconv.bias.detach().repeat_interleave(8))

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv3d(F.pad(x, (1,) * 6), self.weight, self.bias, groups=x.shape[1])
        phases = y.unflatten(1, (-1, 8)).unbind(2)
        for axis in (-1, -2, -3):
            size = x.shape[axis]
            even = [phase.narrow(axis, 0, size) for phase in phases[0::2]]
            odd = [phase.narrow(axis, 1, size) for phase in phases[1::2]]
            phases = tuple(_interleaved(a, b, axis) for a, b in zip(even, odd, strict=True))
        return phases[0]


def _interleaved(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    """Two tensors, by turns along an axis that is counted from the end."""
    return torch.stack([even, odd], axis).flatten(axis - 1, axis)
