"""Exact rewrites of trained networks for engines: the same numbers from fewer or better known operations."""

from copy import deepcopy
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from ssz_ros.blocks import DepthwiseUp, JoinedPointwise, PointwiseFirst, kernels_of_phases, up_by_phases

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
    if isinstance(conv, JoinedPointwise) and conv.of_skip is not None:
        conv.of_skip = nn.Parameter((conv.of_skip.double() * scale.view(-1, 1, 1, 1)).to(conv.weight.dtype))
    conv.bias = nn.Parameter((norm.bias.double() + bias * scale).to(conv.weight.dtype))


def in_phases(network: nn.Module) -> nn.Module:
    """A copy whose volumetric depthwise transposed convolutions are ordinary ones, which TensorRT knows better
    and which take ONNX Runtime half of the time, for one and a half to three times its memory at 128^3 cells.

    Fold before: norms behind these convolutions are not found afterwards.
    """
    network = deepcopy(network)
    for part in list(network.modules()):
        for name, child in part.named_children():
            if isinstance(child, DepthwiseUp):
                setattr(part, name, Phases(child))
    return network


class Phases(nn.Module):
    """`DepthwiseUp` as one ordinary convolution, its kernels ready."""

    def __init__(self, up: DepthwiseUp) -> None:
        super().__init__()
        self.kernels = nn.Parameter(kernels_of_phases(up.weight.detach()))
        self.bias = None if up.bias is None else nn.Parameter(up.bias.detach().repeat_interleave(8))

    def forward(self, x: Tensor) -> Tensor:
        return up_by_phases(x, self.kernels, self.bias)
