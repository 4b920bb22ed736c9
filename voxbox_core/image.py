"""From a camera image to the network's input: one similarity, warped once.

Affines are (2, 3) float64 and map pixel coordinates (x, y, 1) of one image to those of another.
"""

import cv2
import numpy as np


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


def warp(image: np.ndarray, affine: np.ndarray, out_width: int, out_height: int) -> np.ndarray:
    """Image (H, W, 3) uint8 -> (out_height, out_width, 3) uint8, bilinear, black outside."""
    return cv2.warpAffine(image, affine, (out_width, out_height), flags=cv2.INTER_LINEAR)
