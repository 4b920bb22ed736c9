"""A road as a circular arc: places along and across it, and the ribbons of surface that follow it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from voxbox_core.datasets.street.materials import Material
from voxbox_core.datasets.street.mesh import Mesh, skin
from voxbox_core.datasets.street.motion import Motion, advance

STEP = 5.0  # m along a ribbon
DEPTH = 0.3  # m, how deep the ground's solids reach


@dataclass(frozen=True)
class Road:
    """s: metres along its middle from the world's origin, where it heads along x.  d: metres to the left of it.
    curvature: 1/m, positive to the left."""

    curvature: float = 0.0

    def place(self, s: float, d: float) -> tuple[float, float, float]:
        """x, y, m, and heading, rad, of a place."""
        x, y, heading = advance(0.0, 0.0, 0.0, self.curvature, s)
        return x - d * np.sin(heading), y + d * np.cos(heading), heading

    def motion(self, s: float, d: float, speed: float = 0.0, turn: float = 0.0, z: float = 0.0) -> Motion:
        """Along the road at a constant d when turn is 0 (with it) or pi (against it); else straight on."""
        x, y, heading = self.place(s, d)
        bend = self.curvature / (1 - self.curvature * d)
        along = {0.0: bend, np.pi: -bend}.get(turn, 0.0)
        return Motion(x, y, heading + turn, speed, along, z)

    def put(self, mesh: Mesh, s: float, d: float, turn: float = 0.0, z: float = 0.0) -> Mesh:
        """A shape, its x axis along the road turned by `turn`."""
        x, y, heading = self.place(s, d)
        return mesh.moved((x, y, z), heading + turn)

    def ribbon(
        self, start: float, end: float, right: float, left: float, top: float, color: ArrayLike, material: Material
    ) -> Mesh:
        """A slab from s = start to end and d = right to left, its top at z = top, m."""
        count = 2 if self.curvature == 0 else max(2, round((end - start) / STEP) + 1)
        stations = np.linspace(start, end, count)
        corners = ((right, -DEPTH), (right, top), (left, top), (left, -DEPTH))
        d, z = np.array(corners[::-1]).T
        middle = np.array([self.place(s, 0.0) for s in stations])
        x, y, heading = middle.T[..., None]
        rings = np.stack(np.broadcast_arrays(x - d * np.sin(heading), y + d * np.cos(heading), z), -1)
        return skin(rings, color, material, 0.0)

    def stripe(self, start: float, end: float, d: float, width: float, color: ArrayLike) -> Mesh:
        """A marking without thickness worth the name, on the road."""
        slab = self.ribbon(start, end, d - width / 2, d + width / 2, 0.012, color, Material.MARKING)
        slab.vertices[:, 2] = slab.vertices[:, 2].clip(0.002)
        return slab
