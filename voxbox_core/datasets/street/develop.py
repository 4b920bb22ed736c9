"""From radiance to the pixels of a cheap automotive camera: lens, exposure, response, noise."""

import cv2
import numpy as np

from voxbox_core.datasets.street.scene import Look


def develop(radiance: np.ndarray, look: Look, seed: int, t: float, camera: int = 0) -> np.ndarray:
    """Linear RGB (H, W, 3) f32 -> (H, W, 3) uint8. The noise is decided by seed, time, s, and camera."""
    rng = np.random.default_rng([seed, round(t * 1e6), 7 + camera])
    image = radiance * (look.white * look.exposure * _falloff(radiance.shape, look.vignette)).astype(np.float32)
    image = cv2.GaussianBlur(np.minimum(image, 4.0), (0, 0), look.blur)
    soft = 1.0 - np.exp(-1.3 * image)
    image = np.minimum(image, 1.0) * (1 - look.shoulder) + soft * look.shoulder
    image = np.where(image < 0.0031308, image * 12.92, 1.055 * np.maximum(image, 1e-6) ** (1 / 2.4) - 0.055)
    grey = image.mean(-1, keepdims=True)
    image = ((grey + (image - grey) * look.saturation) - 0.5) * look.contrast + 0.5
    image = image + rng.standard_normal(image.shape, np.float32) * np.float32(look.noise)
    return (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _falloff(shape: tuple[int, ...], strength: float) -> np.ndarray:
    """(H, W, 1): the lens's loss of light, `strength` in the corners."""
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None]
    return (1 - strength * (x**2 + y**2) / 2)[..., None]
