"""Edges of images: what a drawing keeps of a rendered scene and of a photo alike (SSZ, section 3.4 and figure 6)."""

from dataclasses import dataclass

import cv2
import numpy as np

from voxbox_core.errors import InputError


@dataclass(frozen=True)
class Canny:
    """Canny's detector.  sigma: px, of the Gaussian before it; the paper does not tell its values.
    low, high: thresholds of the gradient, of 8-bit images: edges begin above high and go on above low.
    Raises InputError for values that find none."""

    sigma: float = 1.4
    low: float = 100.0
    high: float = 200.0

    def __post_init__(self) -> None:
        if not 0 <= self.sigma < 100:
            raise InputError("sigma of edges", self.sigma, "px, from 0 to 100", "Correct it.")
        if not 0 < self.low <= self.high:
            raise InputError("thresholds of edges", (self.low, self.high), "above 0, the lower first", "Correct them.")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (H, W) uint8, 255 on edges."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if self.sigma:
            grey = cv2.GaussianBlur(grey, (0, 0), self.sigma)
        return np.asarray(cv2.Canny(grey, self.low, self.high), np.uint8)
