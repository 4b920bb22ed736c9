"""The deformable convolution against its definition; the up-sampling against bilinear interpolation."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from voxbox_core.layers import BasicBlock, DeformConv2d, DepthwiseUpsample, conv_bn


def layer(inputs: int = 4, outputs: int = 5) -> DeformConv2d:
    torch.manual_seed(0)
    return DeformConv2d(inputs, outputs).double()


def test_deformable_convolution_begins_as_half_a_convolution() -> None:
    conv = layer()
    with torch.no_grad():
        conv.bias.normal_()
    x = torch.randn(2, 4, 6, 9, dtype=torch.float64)
    expected = 0.5 * F.conv2d(x, conv.weight, padding=1) + conv.bias[:, None, None]
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=0)


def test_deformable_convolution_is_its_definition() -> None:
    """y(p) = b + sum_k w_k m_k x(p + p_k + d_k), position by position, bilinear by hand, zero outside."""
    conv = layer(2, 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        conv.conv_offset_mask.weight.normal_(std=0.3, generator=generator)
        conv.conv_offset_mask.bias.normal_(std=1.5, generator=generator)
    x = torch.randn(1, 2, 5, 6, generator=generator, dtype=torch.float64)
    guide = conv.conv_offset_mask(x)[0]
    expected = conv.bias[:, None, None].repeat(1, 5, 6).clone()
    for row in range(5):
        for column in range(6):
            for k in range(9):
                dy, dx = guide[2 * k, row, column].item(), guide[2 * k + 1, row, column].item()
                value = bilinear(x[0], row + k // 3 - 1 + dy, column + k % 3 - 1 + dx)
                mask = guide[18 + k, row, column].sigmoid()
                expected[:, row, column] += conv.weight[:, :, k // 3, k % 3] @ value * mask
    torch.testing.assert_close(conv(x)[0], expected, atol=1e-5, rtol=0)


def bilinear(x: Tensor, row: float, column: float) -> Tensor:
    """x (C, H, W) at a real position, zero outside."""
    value = torch.zeros(len(x), dtype=x.dtype)
    for r in (math.floor(row), math.floor(row) + 1):
        for c in (math.floor(column), math.floor(column) + 1):
            if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
                value += x[:, r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return value


def test_deformable_convolution_trains_its_offsets() -> None:
    conv = layer()
    conv(torch.randn(1, 4, 6, 9, dtype=torch.float64)).square().sum().backward()
    gradient = conv.conv_offset_mask.weight.grad
    assert gradient[:18].abs().sum() > 0
    assert gradient[18:].abs().sum() > 0


def test_deformable_convolution_exports(tmp_path) -> None:
    ort = pytest.importorskip("onnxruntime")
    conv = layer().float().eval()
    torch.nn.init.normal_(conv.conv_offset_mask.weight, std=0.3)
    x = torch.randn(1, 4, 6, 9)
    torch.onnx.export(conv, (x,), tmp_path / "conv.onnx", opset_version=18, dynamo=True, verbose=False)
    session = ort.InferenceSession(tmp_path / "conv.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), conv(x).detach(), atol=1e-4, rtol=0)


def test_upsampling_begins_bilinear() -> None:
    x = torch.randn(1, 3, 6, 8)
    for factor in (2, 4):
        found = DepthwiseUpsample(3, factor)(x)
        expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
        inside = slice(factor, -factor)  # at the border one sees zeros, the other the edge repeated
        torch.testing.assert_close(found[..., inside, inside], expected[..., inside, inside])


def test_basic_block_adds_the_residual_it_is_given() -> None:
    block = BasicBlock(4, 4).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    x, residual = torch.randn(1, 4, 5, 5), torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(block(x), x.relu())
    torch.testing.assert_close(block(x, residual), residual.relu())


def test_conv_bn_keeps_the_size() -> None:
    assert conv_bn(3, 8, 7)(torch.zeros(1, 3, 10, 12)).shape == (1, 8, 10, 12)
