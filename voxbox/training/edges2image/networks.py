"""A painter, which makes an image of its edges, and the critic it learns from: pix2pix (Isola et al., CVPR 2017).

The paper takes pix2pixHD, whose two scales are for images of a megapixel; images before a grid of voxels are small.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from voxbox.training.edges2image.contract import PainterContract
from voxbox_core import weights


def _down(before: int, after: int, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(before, after, 4, 2, 1, bias=not norm)]
    return nn.Sequential(*layers, *([nn.InstanceNorm2d(after, affine=True)] if norm else []), nn.LeakyReLU(0.2))


class Painter(nn.Module):
    """A U-Net: edges (B, 1, H, W) in [0, 1] -> images (B, 3, H, W) in [-1, 1]; H, W multiples of 2 ** levels."""

    def __init__(self, contract: PainterContract) -> None:
        super().__init__()
        self.contract = contract
        widths = [contract.width * min(2**k, 8) for k in range(contract.levels)]
        before = [1, *widths[:-1]]
        last = contract.levels - 1  # where a small image is a single cell, which has no variance
        self.down = nn.ModuleList(
            _down(b, w, norm=0 < k < last) for k, (b, w) in enumerate(zip(before, widths, strict=True))
        )
        self.up = nn.ModuleList()
        for k in reversed(range(contract.levels)):
            after = widths[k - 1] if k else contract.width
            entering = widths[k] * (1 if k == last else 2)
            self.up.append(
                nn.Sequential(
                    nn.Upsample(scale_factor=2, mode="nearest"),
                    nn.Conv2d(entering, after, 3, padding=1, bias=False),
                    nn.InstanceNorm2d(after, affine=True),
                    nn.ReLU(),
                )
            )
        self.paint = nn.Conv2d(contract.width + 1, 3, 3, padding=1)

    def forward(self, edges: Tensor) -> Tensor:
        x, kept = edges, []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        kept.pop()
        for layer in self.up:
            x = layer(x)
            if kept:
                x = torch.cat([x, kept.pop()], 1)
        painted: Tensor = self.paint(torch.cat([x, edges], 1))
        return painted.tanh()


class Critic(nn.Module):
    """A PatchGAN: edges (B, 1, H, W) and images (B, 3, H, W) -> how real each patch looks, (B, 1, h, w), 1 is real."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _down(4, width, norm=False),
            _down(width, 2 * width, norm=True),
            _down(2 * width, 4 * width, norm=True),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        )

    def forward(self, edges: Tensor, images: Tensor) -> Tensor:
        judged: Tensor = self.body(torch.cat([edges, images], 1))
        return judged


def load_painter(path: Path) -> Painter:
    """Raises InputError for a file that is no painter's."""
    stored = weights.load(path)
    painter = Painter(PainterContract.from_json(stored.contract))
    weights.load_into(painter, stored)
    return painter.eval()


def repainted(painter: Painter, image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB of any size -> the same scene as the painter paints its edges."""
    height, width = image.shape[:2]
    edges = torch.from_numpy(painter.contract.canny(image))[None, None].float() / 255
    step = 2**painter.contract.levels
    edges = functional.pad(edges, (0, -width % step, 0, -height % step))
    with torch.no_grad():
        painted = painter(edges.to(next(painter.parameters()).device))[0, :, :height, :width]
    return as_picture(painted)


def as_picture(image: Tensor) -> np.ndarray:
    """(3, H, W) in [-1, 1] -> (H, W, 3) uint8 RGB."""
    return np.asarray(((image.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy())
