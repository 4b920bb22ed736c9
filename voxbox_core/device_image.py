"""Images where the engine is: the bytes of a message to the network's input, as tensors on any device.

Each function is the twin of one that works on arrays (`msgs.images`, `voxbox_core.image`), and gives the same picture:
colours to the last bit, sampled images to one grey level, by which roundings of other arithmetic may differ.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# ITU-R BT.601 in video range, in units of 2^-20: luma to all, V to red and green, U to green and blue.
_LUMA, _V_RED, _V_GREEN, _U_GREEN, _U_BLUE, _SHIFT = 1220542, 1673527, -852492, -409993, 2116026, 20
_SWAPPED = {"bgr8": (2, 1, 0), "bgra8": (2, 1, 0), "rgba8": (0, 1, 2)}
_PAIRS = {"yuv422": (1, 0), "uyvy": (1, 0), "yuv422_yuy2": (0, 1), "yuyv": (0, 1)}
"""Which byte of a pixel is luma, which is colour: U of the even columns, V of the odd ones."""
_COLOURS = {"nv12": (0, 1), "nv21": (1, 0)}
"""Which byte of the lower plane's pairs is U, which is V."""


def rgb(pixels: Tensor, encoding: str, big_endian: bool = False) -> Tensor:
    """Pixels of a message as they are -> (H, W, 3) uint8 RGB.

    pixels: uint8 (H, W, bytes) without row padding; (H, W) where a pixel has one byte; (3 H / 2, W) for nv12 and nv21.
    encoding: one of `msgs.images.ENCODINGS`.  big_endian: the order of mono16's bytes.
    """
    if encoding in _SWAPPED:
        return pixels[..., _SWAPPED[encoding]]
    if encoding.startswith("bayer"):
        return _demosaic(pixels, encoding.removeprefix("bayer_")[:4])
    if encoding in _PAIRS:
        luma, colour = _PAIRS[encoding]
        u, v = pixels[:, ::2, colour], pixels[:, 1::2, colour]
        return _from_yuv(pixels[..., luma], *(plane.repeat_interleave(2, 1) for plane in (u, v)))
    if encoding in _COLOURS:
        height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
        pairs = pixels[height:].reshape(height // 2, width // 2, 2)
        planes = (pairs[..., i].repeat_interleave(2, 0).repeat_interleave(2, 1) for i in _COLOURS[encoding])
        return _from_yuv(pixels[:height], *planes)
    if encoding == "mono16":
        high, low = (pixels[..., i].int() for i in ((0, 1) if big_endian else (1, 0)))
        pixels = ((256 * high + low + 128) // 257).to(torch.uint8)
    return pixels if pixels.ndim == 3 else pixels[..., None].expand(-1, -1, 3)


def _from_yuv(luma: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Planes (H, W) uint8 -> (H, W, 3) RGB."""
    y = (luma.int() - 16).clamp(min=0) * _LUMA + (1 << (_SHIFT - 1))
    u, v = u.int() - 128, v.int() - 128
    colours = torch.stack([y + _V_RED * v, y + _V_GREEN * v + _U_GREEN * u, y + _U_BLUE * u], -1)
    return (colours >> _SHIFT).clamp(0, 255).to(torch.uint8)


def _demosaic(mosaic: Tensor, pattern: str) -> Tensor:
    """A sensor's colours (H, W) -> (H, W, 3) RGB: what a pixel did not see is the mean of the nearest that did.

    pattern: the filters of the first two pixels of the first two rows. Pixels at the edges are as their neighbours.
    """
    height, width = mosaic.shape
    own, padded = mosaic.int(), F.pad(mosaic.int(), (1, 1, 1, 1))
    above, below, left, right = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    corners = padded[:-2, :-2] + padded[:-2, 2:] + padded[2:, :-2] + padded[2:, 2:]
    across, down = (left + right + 1) >> 1, (above + below + 1) >> 1
    cross, diagonal = (left + right + above + below + 2) >> 2, (corners + 2) >> 2
    seen = torch.empty(height, width, 3, dtype=torch.uint8, device=mosaic.device)
    for i, colour in enumerate(pattern):
        beside = pattern[i ^ 1]  # the other filter of the row
        red, green, blue = {
            "r": (own, cross, diagonal),
            "b": (diagonal, cross, own),
            "g": (across, own, down) if beside == "r" else (down, own, across),
        }[colour]
        for channel, plane in enumerate((red, green, blue)):
            seen[i // 2 :: 2, i % 2 :: 2, channel] = plane[i // 2 :: 2, i % 2 :: 2].to(torch.uint8)
    seen[:, 0], seen[:, -1] = seen[:, 1], seen[:, -2]
    seen[0], seen[-1] = seen[1], seen[-2]
    return seen


def sample(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Image (H, W, 3) uint8 at places (h, w), px -> (h, w, 3) uint8, bilinear, black outside."""
    height, width = image.shape[:2]
    places = torch.stack(torch.broadcast_tensors((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), -1).float()
    planes = image.permute(2, 0, 1)[None].float()
    found = F.grid_sample(planes, places[None], mode="bilinear", padding_mode="zeros", align_corners=False)
    return (found[0].permute(1, 2, 0) + 0.5).to(torch.uint8)


def places_of(places: np.ndarray, parts: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """OpenCV's CV_16SC2 maps, as `voxbox_core.image.Remap` has them -> x and y (h, w) float32, px, on a device."""
    steps = np.stack([parts & 31, parts >> 5 & 31], -1)
    both = torch.from_numpy(places.astype(np.float32) + steps.astype(np.float32) / 32)
    return both[..., 0].to(device), both[..., 1].to(device)


def warp(image: Tensor, affine: np.ndarray, out_width: int, out_height: int) -> Tensor:
    """`voxbox_core.image.warp`."""
    (a, b, tx), (c, d, ty) = np.linalg.inv(np.vstack([affine, [0.0, 0.0, 1.0]]))[:2].tolist()
    column = torch.arange(out_width, dtype=torch.float64, device=image.device)
    row = torch.arange(out_height, dtype=torch.float64, device=image.device)[:, None]
    return sample(image, a * column + b * row + tx, c * column + d * row + ty)


def averaged(image: Tensor, affine: np.ndarray, out_width: int, out_height: int) -> Tensor:
    """`voxbox_core.image.averaged`. Rows and columns are summed by matrix products: without atomics, always alike."""
    x = _shares(affine[0, 0], affine[0, 2], out_width, image.shape[1], image.device)
    y = _shares(affine[1, 1], affine[1, 2], out_height, image.shape[0], image.device)
    rows = y @ image.reshape(image.shape[0], -1).float()
    return (torch.einsum("xw,ywc->yxc", x, rows.view(out_height, -1, 3)) + 0.5).to(torch.uint8)


def _shares(scale: float, shift: float, count: int, pixels: int, device: torch.device) -> Tensor:
    """(count, pixels) float32: the part of a result's pixel that each pixel of the image has in it, along an axis."""
    edges = (torch.arange(count + 1, dtype=torch.float64, device=device) - 0.5 - float(shift)) / float(scale) + 0.5
    pixel = torch.arange(pixels, dtype=torch.float64, device=device)
    common = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return (common.clamp(min=0) * float(scale)).float()
