"""From a camera image to the network's input: one similarity, warped once.

Affines are (2, 3) float64 and map pixel coordinates (x, y, 1) of one image to those of another.
An image is worked on where it is: arrays on the CPU, tensors on any device by `device_image`, to the same picture.
"""

from typing import Any

import cv2
import numpy as np
from numba import njit

from voxbox_core.camera import Camera
from voxbox_core.errors import InputError

Picture = Any
"""(H, W, 3) uint8 RGB: a numpy array or a torch tensor. Not told apart by type: PyTorch may be absent."""


def letterbox(width: int, height: int, out_width: int, out_height: int) -> np.ndarray:
    """The similarity without rotation that takes the image to the network's input.

    The longer side fills the output's width; the image centre goes to the output centre; what is then
    too high is cropped, what is too low is padded (KM3D's released transform).
    """
    scale = out_width / max(width, height)
    shift_x = (out_width - 1) / 2 - scale * (width - 1) / 2
    shift_y = (out_height - 1) / 2 - scale * (height - 1) / 2
    return np.array([[scale, 0.0, shift_x], [0.0, scale, shift_y]])


def invert(affine: np.ndarray) -> np.ndarray:
    """The inverse affine (2, 3)."""
    return np.linalg.inv(np.vstack([affine, [0.0, 0.0, 1.0]]))[:2]


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The affine (2, 3) that applies `first`, then `second`."""
    return second @ np.vstack([first, [0.0, 0.0, 1.0]])


def apply(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) through an affine."""
    return np.asarray(points) @ affine[:, :2].T + affine[:, 2]


def require_seen_by(camera: Camera, image: Picture) -> None:
    """Raises InputError unless the image is (H, W, 3) uint8 of the camera's size."""
    if str(image.dtype).removeprefix("torch.") != "uint8" or tuple(image.shape) != (camera.height, camera.width, 3):
        raise InputError(
            "image",
            f"{image.dtype} {tuple(image.shape)}",
            f"uint8 ({camera.height}, {camera.width}, 3) as its camera says",
            "Give the 8-bit RGB image that the camera calibration belongs to.",
        )


def on_host(image: Picture) -> np.ndarray:
    """The image as an array; from another device it is fetched, which waits for everything asked of it before."""
    return image if isinstance(image, np.ndarray) else np.asarray(image.cpu())


def warp(image: Picture, affine: np.ndarray, out_width: int, out_height: int) -> Picture:
    """Image (H, W, 3) uint8 -> (out_height, out_width, 3) uint8, bilinear, black outside."""
    if isinstance(image, np.ndarray):
        return cv2.warpAffine(image, affine, (out_width, out_height), flags=cv2.INTER_LINEAR)
    from voxbox_core import device_image  # PyTorch: a node that runs another engine is lighter without

    return device_image.warp(image, affine, out_width, out_height)


class Remap:
    """Takes each pixel of an image (H, W, 3) from another place of it, bilinear, black outside.

    places: (h, w, 2) int16 whole pixels x, y and parts: (h, w) uint16, 32 x the row's 32nd + the column's, as OpenCV's
    CV_16SC2 maps. They go to a device once, when the first image comes from there.
    """

    def __init__(self, places: np.ndarray, parts: np.ndarray) -> None:
        self._maps = places, parts
        self._there: tuple[Any, Any, Any] | None = None

    def __call__(self, image: Picture) -> Picture:
        """(H, W, 3) uint8 -> (h, w, 3) uint8."""
        if isinstance(image, np.ndarray):
            return cv2.remap(image, *self._maps, cv2.INTER_LINEAR)
        from voxbox_core import device_image

        if self._there is None or self._there[0] != image.device:
            self._there = (image.device, *device_image.places_of(*self._maps, image.device))
        return device_image.sample(image, *self._there[1:])


def averaged(image: Picture, affine: np.ndarray, out_width: int, out_height: int) -> Picture:
    """Image (H, W, 3) uint8 -> (out_height, out_width, 3) uint8: each pixel the exact mean of the area it covers.

    affine: (2, 3), from pixels of the image to pixels of the result, a scale and a shift of each axis. Outside of the
    image all is black.
    """
    if not isinstance(image, np.ndarray):
        from voxbox_core import device_image

        return device_image.averaged(image, affine, out_width, out_height)
    x, y = (_edges(affine[axis, axis], affine[axis, 2], n) for axis, n in enumerate((out_width, out_height)))
    top, bottom = (int(row) for row in np.clip([np.floor(y[0]), np.ceil(y[-1])], 0, image.shape[0]))
    return _means(np.ascontiguousarray(image[top:bottom]), x, y - top)


# Compiled when it is imported, not at the first image.
@njit("uint8[:, :, ::1](Array(uint8, 3, 'C', readonly=True), float64[::1], float64[::1])", cache=True, nogil=True)
def _means(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Means over the rectangles between the edges x (w + 1,) and y (h + 1,) -> (h, w, 3) uint8.

    Rows are added up first, whole rows at a time, which the compiler makes vectors of.
    """
    rows, columns = image.shape[:2]
    height, width = len(y) - 1, len(x) - 1
    out = np.zeros((height, width, 3), np.uint8)
    left, right = min(max(int(np.floor(x[0])), 0), columns), max(min(int(np.ceil(x[-1])), columns), 0)
    if left >= right:
        return out
    flat = image.reshape((rows, 3 * columns))
    sums = np.empty(3 * columns, np.float64)
    for i in range(height):
        top, bottom = max(y[i], 0.0), min(y[i + 1], float(rows))
        if top >= bottom:
            continue
        sums[3 * left : 3 * right] = 0.0
        for r in range(int(top), int(np.ceil(bottom))):
            part = min(bottom, r + 1.0) - max(top, float(r))
            row = flat[r]
            for k in range(3 * left, 3 * right):
                sums[k] += part * row[k]
        for j in range(width):
            start, end = max(x[j], 0.0), min(x[j + 1], float(columns))
            area = (x[j + 1] - x[j]) * (y[i + 1] - y[i])
            red = green = blue = 0.0
            for c in range(int(start), int(np.ceil(end))):
                part = min(end, c + 1.0) - max(start, float(c))
                red += part * sums[3 * c]
                green += part * sums[3 * c + 1]
                blue += part * sums[3 * c + 2]
            out[i, j, 0] = int(red / area + 0.5)
            out[i, j, 1] = int(green / area + 0.5)
            out[i, j, 2] = int(blue / area + 0.5)
    return out


def _edges(scale: float, shift: float, count: int) -> np.ndarray:
    """(count + 1,) where the edges of a result's pixels are in the image; its first pixel begins at 0."""
    return (np.arange(count + 1) - 0.5 - shift) / scale + 0.5
