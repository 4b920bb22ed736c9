"""Z-GAN (Knyaz et al., ECCV workshops, 2018), SSZ's predecessor, with a head of many classes: the baseline."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssz_ros.blocks import Birth, join, leaky, plain_down
from ssz_ros.contract import Contract

_DROPPED = slice(1, 4)  # blocks of the decoder with dropout: those of 4 to 16 rows at 128


class ZGAN(nn.Module):
    """image (B, 3, H, W), RGB in [-1, 1], of `contract.input_size` -> logits (B, classes, slices, rows, columns)."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        encoder, decoder = contract.encoder, contract.decoder
        norms = (*(True for _ in encoder[2:]), False)
        self.stem = nn.Conv2d(3, encoder[0], 4, 2, 1)
        self.down = nn.ModuleList(
            plain_down(inputs, out, norm) for inputs, out, norm in zip(encoder[:-1], encoder[1:], norms, strict=True)
        )
        self.birth = Birth(encoder[-1], contract.bottleneck[0])
        skips = (0, *contract.skips)
        inputs = [below + skip for below, skip in zip((encoder[-1], *decoder), skips, strict=True)]
        dropped = range(len(decoder))[_DROPPED]
        self.up = nn.ModuleList(_up(i, out, level in dropped) for level, (i, out) in enumerate(zip(inputs, decoder)))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv3d(inputs[-1], len(contract.classes), 1))

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        skips: list[Tensor] = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        volume = self.birth(x)
        for up in self.up:
            volume = join(up(volume), skips.pop() if skips else None)
        return self.head(volume)


def _up(inputs: int, outputs: int, dropped: bool) -> nn.Sequential:
    deconv = nn.ConvTranspose3d(inputs, outputs, 4, 2, 1, bias=False)
    layers = [nn.ReLU(), deconv, nn.BatchNorm3d(outputs)]
    return nn.Sequential(*layers, nn.Dropout(0.5)) if dropped else nn.Sequential(*layers)


class PatchGAN3d(nn.Module):
    """Z-GAN's discriminator: whether patches of 34 cells of a volume are real.

    channels: of the volume.
    image (B, 3, h, w), RGB in [-1, 1], reduced to the grid's rows and columns, and volume (B, channels, D, h, w) ->
    logits (B, 1, u, v, w). The image's three colours are three more slices before the nearest, as the original has it.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(channels, width, 4, 2, 1),
            leaky(),
            nn.Conv3d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm3d(2 * width),
            leaky(),
            nn.Conv3d(2 * width, 4 * width, 4, 1, 1, bias=False),
            nn.BatchNorm3d(4 * width),
            leaky(),
            nn.Conv3d(4 * width, 1, 4, 1, 1),
        )

    def forward(self, image: Tensor, volume: Tensor) -> Tensor:
        image = F.adaptive_avg_pool2d(image, (volume.shape[3], volume.shape[4]))
        colours = image.unsqueeze(1).expand(-1, volume.shape[1], -1, -1, -1)
        return self.layers(torch.cat([colours.to(volume.dtype), volume], 2))
