"""SSZ's generator (section 3.2): inverted residuals, volumetric ones in the decoder, and copy-inflate skips."""

from torch import Tensor, nn

from ssz_ros.blocks import (
    Birth,
    DepthwiseFirst,
    InvertedResidual,
    JoinedPointwise,
    PlainUp,
    PointwiseFirst,
    leaky,
    plain_down,
    separable_down,
)
from ssz_ros.contract import Contract


class Generator(nn.Module):
    """image (B, 3, H, W), RGB in [-1, 1], of `contract.input_size` -> logits (B, classes, slices, rows, columns).

    The ablation (section 4.5) is in the contract: inverted_2d and inverted_3d put plain convolutions in the place of
    inverted residuals.
    """

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        encoder, decoder = contract.encoder, contract.decoder
        last_norm = contract.bottleneck[1:] != (1, 1)
        norms = (*(True for _ in encoder[2:]), last_norm)
        self.stem = nn.Conv2d(3, encoder[0], 4, 2, 1)
        self.down = nn.ModuleList(
            self._down(inputs, out, norm) for inputs, out, norm in zip(encoder[:-1], encoder[1:], norms, strict=True)
        )
        self.birth = Birth(encoder[-1], contract.bottleneck[0])
        up = self._up(contract)
        joined = (0, *contract.skips[:-1])
        self.up = nn.ModuleList(
            up(below, skip, out) for below, skip, out in zip((encoder[-1], *decoder[:-1]), joined, decoder, strict=True)
        )
        if contract.bottleneck == (1, 1, 1) and isinstance(self.up[0], PointwiseFirst):
            self.up[0].inside = nn.Identity()  # of one cell a norm leaves nothing in a batch of one
        self.activation = leaky()
        self.head = JoinedPointwise(decoder[-1], contract.skips[-1], len(contract.classes), bias=True)

    def _down(self, inputs: int, outputs: int, norm: bool) -> nn.Module:
        if not self.contract.inverted_2d:
            return plain_down(inputs, outputs, norm)
        return nn.Sequential(InvertedResidual(inputs, self.contract.expansion), separable_down(inputs, outputs, norm))

    @staticmethod
    def _up(contract: Contract) -> type[PlainUp] | type[DepthwiseFirst] | type[PointwiseFirst]:
        if not contract.inverted_3d:
            return PlainUp
        return DepthwiseFirst if contract.order == "depthwise_first" else PointwiseFirst

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        skips: list[Tensor] = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        volume = self.birth(x)
        skip = None
        for up in self.up:
            volume = up(volume, skip)
            skip = skips.pop() if skips else None
        return self.head(self.activation(volume), None if skip is None else self.activation(skip))
