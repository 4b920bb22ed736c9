"""Blocks have the published sizes, and cheap forms give what the plain ones give."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssz_ros.blocks import (
    Birth,
    DepthwiseFirst,
    DepthwiseUp,
    InvertedResidual,
    JoinedPointwise,
    PlainUp,
    PointwiseFirst,
    inflate,
    join,
    kernels_of_phases,
    plain_down,
    separable_down,
    up_by_phases,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_inflating_copies_along_depth() -> None:
    skip = torch.randn(2, 3, 4, 5)
    volume = inflate(skip, 6)
    assert volume.shape == (2, 3, 6, 4, 5)
    assert all(torch.equal(volume[:, :, k], skip) for k in range(6))
    y = torch.randn(2, 7, 6, 4, 5)
    assert torch.equal(join(y, skip), torch.cat([y, volume], 1))
    assert join(y, None) is y


@pytest.mark.parametrize("bias", [False, True])
def test_a_pointwise_convolution_of_a_join_needs_no_join(bias: bool) -> None:
    conv = JoinedPointwise(7, 3, 5, bias)
    volume, skip = torch.randn(2, 7, 6, 4, 5), torch.randn(2, 3, 4, 5)
    assert conv.of_skip is not None
    whole = torch.cat([conv.weight, conv.of_skip.unsqueeze(2)], 1)
    torch.testing.assert_close(conv(volume, skip), F.conv3d(join(volume, skip), whole, conv.bias), rtol=0, atol=1e-5)


def test_a_pointwise_convolution_without_a_skip_is_itself() -> None:
    conv = JoinedPointwise(7, 0, 5, bias=True)
    volume = torch.randn(2, 7, 6, 4, 5)
    torch.testing.assert_close(conv(volume, None), F.conv3d(volume, conv.weight, conv.bias))


@pytest.mark.parametrize("bias", [False, True])
def test_phases_are_the_transposed_convolution(bias: bool) -> None:
    up = DepthwiseUp(5)
    if bias:
        up.bias = nn.Parameter(torch.randn(5))
    x = torch.randn(2, 5, 3, 4, 2, requires_grad=True)
    way = torch.randn(2, 5, 6, 8, 4)
    plain = up(x)
    expected = torch.autograd.grad((plain * way).sum(), (x, up.weight))
    found = up_by_phases(x, kernels_of_phases(up.weight), None if up.bias is None else up.bias.repeat_interleave(8))
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-5)
    for a, b in zip(torch.autograd.grad((found * way).sum(), (x, up.weight)), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-4)


def test_bfloat16_on_the_cpu_goes_by_phases_to_within_its_rounding() -> None:
    up, x = DepthwiseUp(4), torch.randn(1, 4, 3, 4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = up(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), up(x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("block", [PointwiseFirst, DepthwiseFirst, PlainUp])
@pytest.mark.parametrize("skip", [0, 4, 11])
def test_volumetric_blocks_double_all_axes(block: type, skip: int) -> None:
    up = block(6, skip, 9)
    y = up(torch.randn(2, 6, 2, 3, 5), torch.randn(2, skip, 3, 5) if skip else None)
    assert y.shape == (2, 9, 4, 6, 10)


def test_sizes_of_volumetric_blocks() -> None:
    """A third of the predecessor's 64 x channels x outputs is out of reach for all but the separable ones."""
    assert parameters(PlainUp(8, 0, 6)) == 64 * 8 * 6 + 2 * 6
    assert parameters(DepthwiseFirst(8, 0, 6)) == 64 * 8 + 8 * 6 + 2 * 6
    assert parameters(PointwiseFirst(8, 4, 6)) == 12 * 6 + 2 * 6 + 64 * 6 + 2 * 6


def test_an_inverted_residual_is_the_identity_and_something() -> None:
    block = InvertedResidual(8, 4)
    assert parameters(block) == 8 * 32 + 64 + 32 * 9 + 64 + 32 * 8 + 16
    nn.init.zeros_(block.layers[-1].weight)
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("down", [separable_down, plain_down])
def test_a_single_pixel_has_no_norm(down) -> None:
    """A batch norm refuses one value per channel in training."""
    assert down(4, 6, norm=False)(torch.randn(1, 4, 2, 2)).shape == (1, 6, 1, 1)
    assert down(4, 6)(torch.randn(2, 4, 6, 10)).shape == (2, 6, 3, 5)


def test_depth_begins_with_slices_that_differ() -> None:
    x = torch.randn(2, 6, 3, 5)
    assert torch.equal(Birth(6, 1)(x), x.unsqueeze(2))
    volume = Birth(6, 4)(x)
    assert volume.shape == (2, 6, 4, 3, 5)
    assert (volume[:, :, 0] - volume[:, :, 1]).abs().max() > 0.1
