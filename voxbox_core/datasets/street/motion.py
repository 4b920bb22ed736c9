"""Where something is at a time: constant speed along a circular arc, in closed form."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Motion:
    """x, y: place at t = 0, m.  heading: rad, from x towards y.  speed: m/s along the heading.
    curvature: 1/m, positive to the left.  z: height, m."""

    x: float
    y: float
    heading: float
    speed: float = 0.0
    curvature: float = 0.0
    z: float = 0.0

    def pose(self, t: float) -> np.ndarray:
        """(4, 4) world from object at time t, s."""
        x, y, heading = advance(self.x, self.y, self.heading, self.curvature, self.speed * t)
        cos, sin = np.cos(heading), np.sin(heading)
        return np.array([[cos, -sin, 0, x], [sin, cos, 0, y], [0, 0, 1, self.z], [0, 0, 0, 1]], np.float64)


def advance(x: float, y: float, heading: float, curvature: float, distance: float) -> tuple[float, float, float]:
    """x, y, heading after `distance` along an arc; the chord of an arc of angle a is distance * sinc(a / 2)."""
    angle = curvature * distance
    chord = distance * np.sinc(angle / 2 / np.pi)
    return x + chord * np.cos(heading + angle / 2), y + chord * np.sin(heading + angle / 2), heading + angle
