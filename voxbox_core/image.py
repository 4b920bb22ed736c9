"""From a camera image to the network's input: one similarity, warped once.

Affines are (2, 3) float64 and map pixel coordinates (x, y, 1) of one image to those of another.
An image is worked on where it is: arrays by OpenCV, tensors on any device by `device_image`, to the same picture.
"""

from typing import Any

import cv2
import numpy as np

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
    image all is black. The sum over a rectangle with edges anywhere comes from four places in the table of sums up to
    each pixel's corner, between which it is bilinear: no shrinking by however much costs more than one look at a pixel.
    """
    if not isinstance(image, np.ndarray):
        from voxbox_core import device_image

        return device_image.averaged(image, affine, out_width, out_height)
    x, y = (_edges(affine[axis, axis], affine[axis, 2], n) for axis, n in enumerate((out_width, out_height)))
    (left, right), (top, bottom) = (
        (int(np.floor(np.clip(e[0], 0, n - 1))), int(np.ceil(np.clip(e[-1], 1, n))))
        for e, n in ((x, image.shape[1]), (y, image.shape[0]))
    )
    sums = cv2.integral(image[top:bottom, left:right], sdepth=cv2.CV_64F)  # 32 bits overflow at 8 megapixels
    total = _differences(_differences(sums, y - top, 0), x - left, 1)
    area = np.diff(x)[:, None] * np.diff(y)[:, None, None]
    return (total / area + 0.5).astype(np.uint8)


def _edges(scale: float, shift: float, count: int) -> np.ndarray:
    """(count + 1,) where the edges of a result's pixels are in the image; its first pixel begins at 0."""
    return (np.arange(count + 1) - 0.5 - shift) / scale + 0.5


def _differences(sums: np.ndarray, edges: np.ndarray, axis: int) -> np.ndarray:
    """Running sums along an axis -> what lies between each pair of edges, which may be anywhere."""
    last = sums.shape[axis] - 1
    place = np.clip(edges, 0, last)
    below = np.minimum(place.astype(int), last - 1)
    part = (place - below).reshape((-1,) + (1,) * (sums.ndim - 1 - axis))
    low, high = np.take(sums, below, axis), np.take(sums, below + 1, axis)
    return np.diff(low + part * (high - low), axis=axis)
