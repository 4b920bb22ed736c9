"""Voxel samples in one picture: image, what its rays meet first, the cells from above and from the side."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from voxbox_core.datasets.voxel_sample import VoxelSample
from voxbox_core.draw_voxels import beside, first_met, palette, rendered
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file
from voxbox_core.voxels import AIR, UNKNOWN, Voxels

_HEIGHT = 360  # px, of a row
_VEILED = 0.25  # how much of a colour is left over the image, where nothing is met


def write_sheet(path: Path, samples: Sequence[VoxelSample]) -> None:
    """Write the samples, one per row. Raises InputError for a format without writer."""
    if path.suffix not in (".png", ".jpg"):
        raise InputError("picture to write", path.name, "a name ending in .png or .jpg", "Rename it.")
    picture = np.concatenate([row(sample) for sample in samples])
    with whole_file(path) as temporary:
        cv2.imwrite(str(temporary), picture[..., ::-1])


def row(sample: VoxelSample) -> np.ndarray:
    """(_HEIGHT, W, 3) uint8 RGB."""
    voxels = sample.voxels
    width = round(_HEIGHT * voxels.fruxel.columns / voxels.fruxel.rows / 2)
    size = (width, _HEIGHT // 2)
    image = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)
    seen = np.concatenate([image, overlaid(image, voxels)])
    cv2.putText(seen, sample.name, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return beside([seen, *(rendered(voxels, view, (640, _HEIGHT)) for view in ("above", "side", "oblique"))])


def overlaid(image: np.ndarray, voxels: Voxels, strength: float = 0.55) -> np.ndarray:
    """An image that is aligned with the grid, of any size (H, W, 3) uint8, tinted with the class of the first occupied
    cell of each column; less where there is none."""
    met = first_met(np.where(voxels.labels == UNKNOWN, np.uint8(AIR), voxels.labels))
    size = (image.shape[1], image.shape[0])
    ink = cv2.resize(palette(voxels.classes)[met], size, interpolation=cv2.INTER_NEAREST)
    weight = np.where(met == AIR, _VEILED * strength, strength).astype(np.float32)
    part = cv2.resize(weight, size, interpolation=cv2.INTER_NEAREST)[..., None]
    return np.asarray(((1 - part) * image + part * ink).astype(np.uint8))
