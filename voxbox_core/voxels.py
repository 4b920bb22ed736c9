"""What fills a fruxel grid: a class per cell."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel

CLASSES = ("air", "person", "car", "truck", "van", "bus", "building", "tree", "bicycle", "ground")
"""Of SSZ (section 1), air among them so that empty cells are learned too; numbered as `street.materials.Semantic`."""

AIR, UNKNOWN = 0, 255
"""UNKNOWN: nobody knows what is in a cell; neither learned nor judged."""

COLOURS = {
    "air": (135, 206, 235),
    "person": (220, 20, 60),
    "car": (0, 100, 230),
    "truck": (130, 60, 170),
    "van": (0, 170, 190),
    "bus": (250, 170, 30),
    "building": (150, 140, 130),
    "tree": (60, 140, 50),
    "bicycle": (240, 90, 190),
    "ground": (110, 85, 70),
}
"""RGB 0..255 of each class, wherever voxels are shown."""


@dataclass(frozen=True)
class Voxels:
    """labels: (slices, rows, columns) uint8, indices into `classes` or UNKNOWN.  fruxel: their geometry.
    probability: of each label, uint8 of the same shape, 255 for certain; None where nobody said.
    on_surface: (N,) flat indices of `surface`, where somebody has found them already.
    Raises InputError where they do not belong together.
    """

    labels: np.ndarray
    fruxel: Fruxel
    probability: np.ndarray | None = None
    classes: tuple[str, ...] = CLASSES
    on_surface: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("labels", "probability"):
            array = getattr(self, name)
            if array is not None and (array.dtype != np.uint8 or array.shape != self.fruxel.shape):
                expected = f"uint8 {self.fruxel.shape}"
                raise InputError(f"{name} of voxels", f"{array.dtype} {array.shape}", expected, "Use their own grid.")

    @property
    def occupied(self) -> np.ndarray:
        """(slices, rows, columns) bool: something known that is not air."""
        return (self.labels != AIR) & (self.labels != UNKNOWN)

    @cached_property
    def surface(self) -> np.ndarray:
        """(slices, rows, columns) bool: occupied, with a known air cell before, behind or beside it."""
        if self.on_surface is not None:
            found = np.zeros(self.labels.shape, bool)
            found.ravel()[self.on_surface] = True
            return found
        air = np.pad(self.labels == AIR, 1)
        middle = slice(1, -1)
        beside = np.zeros(self.labels.shape, bool)
        for axis in range(3):
            for way in (slice(None, -2), slice(2, None)):
                place = [middle] * 3
                place[axis] = way
                beside |= air[tuple(place)]
        return self.occupied & beside

    @property
    def visible(self) -> np.ndarray:
        """(slices, rows, columns) bool: of each column the first cell that is not air, and the air before it."""
        solid = self.labels != AIR
        behind = np.cumsum(solid, axis=0, dtype=np.int32) - solid
        return np.asarray(behind == 0)
