"""SSZ's fast variant, whose channels become depth. Not of the paper.

A column of a fruxel grid is the ray of a pixel, so that the classes along it are numbers at that pixel: a network on
the image alone, with slices x classes channels at its end, fills the grid ten times as fast as volumes do.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssz_ros.blocks import InvertedResidual, leaky, separable_down
from ssz_ros.contract import Contract


class C2D(nn.Module):
    """U-Net of inverted residuals, channels to depth at its end.

    image (B, 3, H, W), RGB in [-1, 1], of `contract.input_size` -> logits (B, classes, slices, rows, columns).
    """

    places: Tensor

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        encoder, decoder, t = contract.encoder, contract.decoder, contract.expansion
        places = _places(*reversed(contract.input_size))
        self.register_buffer("places", places, persistent=False)
        self.stem = nn.Sequential(
            nn.Conv2d(3 + len(places), encoder[0], 4, 2, 1, bias=False), nn.BatchNorm2d(encoder[0]), leaky()
        )
        self.down = nn.ModuleList(
            nn.Sequential(InvertedResidual(c, t), separable_down(c, out)) for c, out in pairwise(encoder)
        )
        self.middle = nn.Sequential(InvertedResidual(encoder[-1], t), Surroundings(encoder[-1]))
        self.up = nn.ModuleList(
            _joined(below + skip, out, t)
            for below, skip, out in zip((encoder[-1], *decoder[:-1]), contract.skips, decoder, strict=True)
        )
        self.head = nn.Conv2d(decoder[-1], len(contract.classes) * contract.slices, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(torch.cat([image, self.places.to(image.dtype).expand(len(image), -1, -1, -1)], 1))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for up in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = up(torch.cat([x, skips.pop()], 1) if skips else x)
        logits = self.head(x).contiguous()  # of a channels-last map the loss takes three times as long
        return logits.unflatten(1, (len(self.contract.classes), self.contract.slices))


class Surroundings(nn.Module):
    """Adds to every pixel what the whole image says: (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, channels, 1), leaky(), nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x.mean((2, 3), keepdim=True))


def _joined(inputs: int, outputs: int, expansion: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), InvertedResidual(outputs, expansion)
    )


def _places(height: int, width: int) -> Tensor:
    """(2, height, width) row and column of each pixel, in [-1, 1]: how far the ground is follows from the row."""
    return torch.stack(torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"))
