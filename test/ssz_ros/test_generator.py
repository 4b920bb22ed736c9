"""Generators have the published sizes, fill grids of any proportions, and learn everywhere."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ssz_ros.contract import PRESETS, Contract
from ssz_ros.network import build
from ssz_ros.zgan import PatchGAN3d

SMALL = Contract(
    slices=16, rows=8, columns=24, encoder=(8, 12, 16, 20), decoder=(14, 10, 6), expansion=2, architecture="ssz"
)
VARIANTS = {
    "c2d": replace(SMALL, architecture="c2d"),
    "c2d-no-skip": replace(SMALL, architecture="c2d", per_cell=1, encoder=(8, 12, 16), slices=13),
    "c2d-large-image": replace(SMALL, architecture="c2d", per_cell=4, encoder=(8, 12, 16, 20, 24)),
    "pointwise": SMALL,
    "pointwise-no-skip": replace(SMALL, per_cell=1, encoder=(8, 12, 16)),
    "depthwise": replace(SMALL, order="depthwise_first"),
    "plain-2d": replace(SMALL, inverted_2d=False),
    "plain-2d-3d": replace(SMALL, inverted_2d=False, inverted_3d=False),
    "one-pixel": replace(SMALL, slices=8, columns=8),
    "zgan": replace(SMALL, architecture="zgan"),
}


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("contract", "millions"),
    [
        (PRESETS["ssz128"], 3.28),
        (replace(PRESETS["ssz128"], expansion=6), 4.44),
        (replace(PRESETS["ssz128"], order="pointwise_first"), 3.17),
        (replace(PRESETS["ssz128"], decoder=PRESETS["zgan128"].decoder), 3.39),
        (replace(PRESETS["ssz128"], decoder=PRESETS["zgan128"].decoder, inverted_3d=False), 37.54),
        (PRESETS["zgan128"], 39.75),
        (PRESETS["ssz-toy32"], 0.3945),
    ],
    ids=["paper-order", "t6", "pointwise-first", "wide", "dense", "zgan", "toy"],
)
def test_reference_parameter_counts(contract: Contract, millions: float) -> None:
    with torch.device("meta"):
        assert size(build(contract)) / 1e6 == pytest.approx(millions, rel=2e-3)


def test_the_discriminator_of_the_predecessor_has_its_size_and_reach() -> None:
    discriminator = PatchGAN3d(1)
    assert size(discriminator) / 1e6 == pytest.approx(0.666, abs=5e-4)
    logits = PatchGAN3d(10, width=4)(torch.randn(2, 3, 48, 64), torch.randn(2, 10, 32, 24, 32))
    assert logits.shape[:2] == (2, 1)
    assert min(logits.shape[2:]) > 2


@pytest.mark.parametrize("contract", VARIANTS.values(), ids=VARIANTS)
def test_fills_its_grid_and_learns_everywhere(contract: Contract) -> None:
    torch.manual_seed(0)
    network = build(contract)
    width, height = contract.input_size
    logits = network(torch.randn(2, 3, height, width))
    assert logits.shape == (2, len(contract.classes), *contract.fruxel.shape)
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_a_batch_of_one_trains_at_a_bottleneck_of_one_pixel() -> None:
    network = build(VARIANTS["one-pixel"])
    assert network(torch.randn(1, 3, 16, 16)).shape == (1, 10, 8, 8, 8)


@pytest.mark.parametrize("name", ["c2d", "pointwise", "depthwise", "plain-2d-3d", "zgan"])
@torch.no_grad()
def test_slices_tell_themselves_apart(name: str) -> None:
    """Copies of one map along depth would stay alike but for the borders, and no cell could be near or far."""
    torch.manual_seed(0)
    network = build(VARIANTS[name])
    width, height = VARIANTS[name].input_size
    inner = network(torch.randn(2, 3, height, width))[:, :, 4:12]
    for parity in (0, 1):  # even and odd slices have kernels of their own in any case
        alike = inner[:, :, parity::2]
        assert (alike[:, :, 1:] - alike[:, :, :1]).std() > 0.1 * inner.std()


def test_the_fast_variant_sees_where_a_pixel_is() -> None:
    """Rows tell the distance of the ground: an image without content still has them."""
    torch.manual_seed(0)
    network = build(VARIANTS["c2d"]).eval()
    width, height = VARIANTS["c2d"].input_size
    with torch.no_grad():
        logits = network(torch.zeros(1, 3, height, width))[0, :, 0]
    middle = logits[:, :, 10:14]
    assert (middle[:, 3] - middle[:, 4]).abs().max() > 1e-4
