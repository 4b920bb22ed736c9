"""Solids that a formula knows, in the cells of a fruxel grid: boxes, ellipsoids, cylinders, half-spaces.

Camera frame: x right, y down, z forward, m. Own frame of a solid: origin in its centre, its axes the columns of
`rotation` (3, 3), camera from object.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxelize import SUBSLICES


class Solid(Protocol):
    """Anything that knows which points lie in it."""

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the camera frame, m -> (...) bool."""

    def reach(self) -> tuple[float, float]:
        """The least and the greatest depth Z of its points, m."""


def occupancy(solid: Solid, fruxel: Fruxel, subslices: int = SUBSLICES) -> np.ndarray:
    """(slices, rows, columns) bool: cells whose middle lies in the solid in one of `subslices` planes of the slice,
    exactly as of `voxelize.occupancy`. Raises InputError for no sub-slices."""
    if subslices < 1:
        raise InputError("subslices to voxelize", subslices, "at least 1", "Correct it.")
    depths = fruxel.plane((np.arange(fruxel.slices * subslices) + 0.5) / subslices)
    low, high = solid.reach()
    occupied = np.zeros(fruxel.shape, bool)
    for k in np.flatnonzero((depths >= low) & (depths <= high)):
        occupied[k // subslices] |= solid.contains(fruxel.rays * depths[k])
    return occupied


def _upright() -> np.ndarray:
    return np.eye(3)


@dataclass(frozen=True)
class Box:
    """center: (3,) m.  size: (3,) full extents along its own axes, m.  rotation: (3, 3), see the module."""

    center: np.ndarray
    size: np.ndarray
    rotation: np.ndarray = field(default_factory=_upright)

    def __post_init__(self) -> None:
        _check(self, center=(3,), size=(3,), rotation=(3, 3))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the camera frame, m -> (...) bool."""
        own = (points - self.center) @ self.rotation
        return np.asarray((np.abs(own) <= self.size / 2).all(-1))

    def reach(self) -> tuple[float, float]:
        """The least and the greatest depth Z of its points, m."""
        return _around(self.center, np.abs(self.rotation[2]) @ self.size / 2)


@dataclass(frozen=True)
class Ellipsoid:
    """center: (3,) m.  radii: (3,) along its own axes, m.  rotation: (3, 3), see the module."""

    center: np.ndarray
    radii: np.ndarray
    rotation: np.ndarray = field(default_factory=_upright)

    def __post_init__(self) -> None:
        _check(self, center=(3,), radii=(3,), rotation=(3, 3))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the camera frame, m -> (...) bool."""
        own = (points - self.center) @ self.rotation / self.radii
        return np.asarray((own**2).sum(-1) <= 1)

    def reach(self) -> tuple[float, float]:
        """The least and the greatest depth Z of its points, m."""
        return _around(self.center, float(np.linalg.norm(self.rotation[2] * self.radii)))


@dataclass(frozen=True)
class Cylinder:
    """center: (3,) m.  radius, height: m, height along its own third axis.  rotation: (3, 3), see the module."""

    center: np.ndarray
    radius: float
    height: float
    rotation: np.ndarray = field(default_factory=_upright)

    def __post_init__(self) -> None:
        _check(self, center=(3,), radius=(), height=(), rotation=(3, 3))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the camera frame, m -> (...) bool."""
        own = (points - self.center) @ self.rotation
        return np.asarray(((own[..., :2] ** 2).sum(-1) <= self.radius**2) & (np.abs(own[..., 2]) <= self.height / 2))

    def reach(self) -> tuple[float, float]:
        """The least and the greatest depth Z of its points, m."""
        across = self.radius * float(np.linalg.norm(self.rotation[2, :2]))
        return _around(self.center, across + abs(self.rotation[2, 2]) * self.height / 2)


@dataclass(frozen=True)
class HalfSpace:
    """All points with normal . point >= offset: of the ground `height` m below the camera, (0, 1, 0) and height.

    normal: (3,) into the solid.  offset: m, where the normal is of length 1.
    """

    normal: np.ndarray
    offset: float

    def __post_init__(self) -> None:
        _check(self, normal=(3,), offset=())
        if not self.normal.any():
            raise InputError("normal of a HalfSpace", self.normal.tolist(), "another direction than 0", "Correct it.")

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the camera frame, m -> (...) bool."""
        return np.asarray(points @ self.normal >= self.offset)

    def reach(self) -> tuple[float, float]:
        """The least and the greatest depth Z of its points, m."""
        return -np.inf, np.inf


def _around(center: np.ndarray, half: float) -> tuple[float, float]:
    margin = 1e-9 * (1 + abs(center[2]) + half)
    return center[2] - half - margin, center[2] + half + margin


def _check(solid: object, **shapes: tuple[int, ...]) -> None:
    """Give the solid its values as float64 of these shapes. Raises InputError for others, for numbers that are not
    finite, and for a rotation that is none."""
    for name, shape in shapes.items():
        value = np.asarray(getattr(solid, name), np.float64)
        what = f"{name} of a {type(solid).__name__}"
        if value.shape != shape or not np.isfinite(value).all():
            raise InputError(what, value.tolist(), f"finite numbers of shape {shape}", "Correct it.")
        if name in ("size", "radii", "radius", "height") and not (value > 0).all():
            raise InputError(what, value.tolist(), "m, above 0", "Correct it.")
        if name == "rotation" and not np.allclose(value @ value.T, np.eye(3), atol=1e-6):
            raise InputError(what, value.tolist(), "a rotation matrix", "Correct it.")
        object.__setattr__(solid, name, value if shape else float(value))
