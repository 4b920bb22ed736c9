"""What the decoder knows of a prompt before it looks: explicit positional query initialisation (Gao et al., 2024)."""

import math

import torch
from torch import Tensor, nn

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.encoder import normalised

TEMPERATURE = 10000.0


def sine(values: Tensor, channels: int) -> Tensor:
    """(...) -> (..., channels), even: sines and cosines in turn, of wavelengths 2 pi to 2 pi TEMPERATURE."""
    power = torch.arange(channels, device=values.device, dtype=torch.float32) // 2 * 2 / channels
    angle = values[..., None] / TEMPERATURE**power
    return torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], -1).flatten(-2)


class Queries(nn.Module):
    """Prompts to queries: where they are, how large, which way they face if that is known, and which class they are."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        # Of each of x, y, z, length, width, height; the heading's two are left.
        self.channels = (contract.dim - 2) // 6 // 2 * 2
        self.label = nn.Embedding(len(contract.classes), contract.dim)
        nn.init.uniform_(self.label.weight)
        self.reference = nn.Linear(contract.dim, 3) if contract.reference == "learned" else None

    def forward(self, points: Tensor, label: Tensor, size: Tensor, heading: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """points: (Q, 3) in the network frame, m.  label: (Q,) int64.  size: (Q, 3) length, width, height, m.
        heading: (Q, 2) sine and cosine of the yaw, zeros where nobody knows it.

        Returns the queries' content and position, both (Q, dim), and where their attention begins, (Q, 3), m: the
        points themselves or, of the reference "learned", what the position stands for (Point-DETR's baseline).
        """
        position = self.position(points, size, heading)
        return self.label(label) + position, position, self._reference(points, position)

    def position(self, points: Tensor, size: Tensor, heading: Tensor) -> Tensor:
        """(Q, dim): sines of y, x, z over the range, and of width, length and height, m; then the heading."""
        place = 2 * math.pi * normalised(points, self.contract)
        values = torch.cat([place[:, [1, 0, 2]], size[:, [1, 0, 2]]], 1)
        encoded = torch.cat([sine(values, self.channels).flatten(1), heading], 1)
        return nn.functional.pad(encoded, (0, self.contract.dim - encoded.shape[1]))

    def _reference(self, points: Tensor, position: Tensor) -> Tensor:
        if self.reference is None:
            return points
        ranges = points.new_tensor([self.contract.x, self.contract.y, self.contract.z])
        return ranges[:, 0] + self.reference(position).sigmoid() * (ranges[:, 1] - ranges[:, 0])
