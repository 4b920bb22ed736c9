"""A spinning LiDAR in the street world: exact first hits of its rays, then what a real sensor does to them.

Every triangle is tested against the rays inside its own azimuth and elevation bounds, with a depth buffer over
the (beam, column) grid. A ray is inside a triangle when it lies on one side of the three planes through the
sensor and the edges; neighbours share those planes to the last bit, so nothing slips through a seam.
"""

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from voxbox_core.errors import InputError


def _hdl64_elevations() -> np.ndarray:
    """HDL-64E user manual: upper block +2 .. -8.33 deg every 1/3 deg, lower block -8.83 .. -24.33 deg every 1/2 deg."""
    upper = 2.0 - np.arange(32) / 3
    lower = -8.83 - np.arange(32) / 2
    return np.sort(np.concatenate([upper, lower]))


@dataclass(frozen=True)
class LidarPattern:
    """What a spinning LiDAR measures and how well.

    elevations: (E,) deg above the horizon, ascending, one per beam.  columns: firings per turn.
    nearest, farthest: m, returns outside are none.  range_noise: standard deviation, m.
    dropout: share of returns lost at random.
    dark_range: m, where a tenth of the light back from a head-on surface is just enough for a sure return;
    beyond, returns thin out with the received power, reflectivity / range^2.
    Raises InputError when a value is out of its range.
    """

    elevations: np.ndarray = field(default_factory=_hdl64_elevations)
    columns: int = 2083
    nearest: float = 0.9
    farthest: float = 120.0
    range_noise: float = 0.02
    dropout: float = 0.02
    dark_range: float = 50.0

    def __post_init__(self) -> None:
        elevations = np.asarray(self.elevations, dtype=np.float64)
        object.__setattr__(self, "elevations", elevations)
        if elevations.ndim != 1 or not len(elevations) or np.any(np.diff(elevations) <= 0):
            raise InputError("LidarPattern.elevations", elevations, "ascending angles, one per beam", "Sort them.")
        if np.abs(elevations).max() >= 90:
            raise InputError("LidarPattern.elevations", elevations, "degrees within (-90, 90)", "Give degrees.")
        if self.columns < 8:
            raise InputError("LidarPattern.columns", self.columns, "at least 8 firings per turn", "Raise it.")
        if not 0 <= self.nearest < self.farthest:
            raise InputError(
                "LidarPattern range", f"{self.nearest}..{self.farthest} m", "0 <= nearest < farthest", "Swap them."
            )
        if not 0 <= self.dropout <= 1 or self.range_noise < 0 or self.dark_range <= 0:
            raise InputError(
                "LidarPattern dropout, range_noise, dark_range",
                (self.dropout, self.range_noise, self.dark_range),
                "a share in [0, 1], a deviation >= 0 m and a range > 0 m",
                "Correct the value.",
            )


PATTERNS = {
    16: LidarPattern(np.linspace(-15.0, 15.0, 16), columns=1800, farthest=100.0, range_noise=0.03),
    32: LidarPattern(np.linspace(-30.67, 10.67, 32), columns=1800, farthest=100.0, range_noise=0.02),
    64: LidarPattern(),
}
"""Beams -> pattern: like a VLP-16, like an HDL-32E (nuScenes' sensor), like an HDL-64E (KITTI's)."""


@dataclass(frozen=True)
class Scan:
    """One turn.  points: (P, 4) float32 x y z intensity in the LiDAR frame (x forward, y left, z up), m and [0, 1].
    instance: (P,) int32 id of what was hit, 0 for the static world."""

    points: np.ndarray
    instance: np.ndarray


def scan(
    vertices: np.ndarray,
    instance: np.ndarray,
    reflectivity: np.ndarray,
    world_from_lidar: np.ndarray,
    pattern: LidarPattern,
    rng: np.random.Generator,
) -> Scan:
    """What the LiDAR returns in one turn of a standing moment.

    vertices: (T, 3, 3) triangles in the world, m.  instance: (T,) int.  reflectivity: (T,) in [0, 1].
    world_from_lidar: (4, 4).  rng decides the phase of the turn, noise and lost returns.
    """
    local = (np.asarray(vertices, np.float64) - world_from_lidar[:3, 3]) @ world_from_lidar[:3, :3]
    phase = rng.uniform(0, 2 * np.pi / pattern.columns)
    distance, hit, incidence = cast(
        np.ascontiguousarray(local), np.deg2rad(pattern.elevations), pattern.columns, phase, pattern.farthest
    )
    distance = distance + rng.normal(0.0, pattern.range_noise, distance.shape)
    intensity = reflectivity[hit] * (0.2 + 0.8 * incidence)
    with np.errstate(invalid="ignore"):
        power = (intensity / 0.1) * (pattern.dark_range / distance) ** 2
        returned = rng.random(distance.shape) < np.minimum(power, 1.0) * (1.0 - pattern.dropout)
    returned &= (hit >= 0) & (distance >= pattern.nearest)
    points = _directions(pattern, phase)[returned] * distance[returned][:, None]
    return Scan(
        np.concatenate([points, intensity[returned][:, None]], 1).astype(np.float32),
        np.asarray(instance)[hit[returned]].astype(np.int32),
    )


def _directions(pattern: LidarPattern, phase: float) -> np.ndarray:
    """(E, columns, 3) unit vectors of the rays."""
    elevation = np.deg2rad(pattern.elevations)[:, None]
    azimuth = (phase + np.arange(pattern.columns) * (2 * np.pi / pattern.columns))[None]
    up = np.broadcast_to(np.sin(elevation), (len(elevation), pattern.columns))
    return np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), up], -1)


@njit(cache=True)
def cast(
    triangles: np.ndarray, elevations: np.ndarray, columns: int, phase: float, farthest: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First hits of rays from the origin.

    triangles: (T, 3, 3) float64 in the LiDAR frame, m.  elevations: (E,) rad, ascending.  Ray (i, j) points to
    elevation i and azimuth phase + 2 pi j / columns.
    -> distance (E, columns) m, inf without hit; index of the triangle, -1 without; |cos| of the incidence angle.
    """
    beams = len(elevations)
    step = 2 * np.pi / columns
    distance = np.full((beams, columns), np.inf)
    hit = np.full((beams, columns), -1, np.int32)
    incidence = np.zeros((beams, columns))
    cos_az = np.cos(phase + step * np.arange(columns))
    sin_az = np.sin(phase + step * np.arange(columns))
    cos_el, sin_el = np.cos(elevations), np.sin(elevations)
    for index in range(len(triangles)):
        a, b, c = triangles[index, 0], triangles[index, 1], triangles[index, 2]
        normal = np.cross(b - a, c - a)
        length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        if length < 1e-12:
            continue
        normal /= length
        offset = normal[0] * a[0] + normal[1] * a[1] + normal[2] * a[2]
        if abs(offset) > farthest or offset == 0.0:
            continue
        first, last, nearest, reach = _azimuth_bounds(a, b, c)
        if nearest > farthest:
            continue
        low, high = _elevation_bounds(a, b, c, nearest, reach)
        beam_from = np.searchsorted(elevations, low - 1e-9)
        beam_to = np.searchsorted(elevations, high + 1e-9)
        column_from = int(np.ceil((first - phase) / step - 1e-6))
        column_to = min(int(np.floor((last - phase) / step + 1e-6)), column_from + columns - 1)
        if beam_to <= beam_from or column_to < column_from:
            continue
        ab, bc, ca = np.cross(a, b), np.cross(b, c), np.cross(c, a)
        for column in range(column_from, column_to + 1):
            j = column % columns
            for i in range(beam_from, beam_to):
                x, y, z = cos_el[i] * cos_az[j], cos_el[i] * sin_az[j], sin_el[i]
                towards = normal[0] * x + normal[1] * y + normal[2] * z
                if towards == 0.0:
                    continue
                t = offset / towards
                if t <= 0.0 or t >= distance[i, j] or t > farthest:
                    continue
                u = ab[0] * x + ab[1] * y + ab[2] * z
                v = bc[0] * x + bc[1] * y + bc[2] * z
                w = ca[0] * x + ca[1] * y + ca[2] * z
                if (u >= 0 and v >= 0 and w >= 0) or (u <= 0 and v <= 0 and w <= 0):
                    distance[i, j] = t
                    hit[i, j] = index
                    incidence[i, j] = abs(towards)
    return distance, hit, incidence


@njit(cache=True)
def _azimuth_bounds(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[float, float, float, float]:
    """-> first and last azimuth, rad (a full turn when the triangle stands over the sensor); least and greatest
    horizontal distance, m."""
    start = np.arctan2(a[1], a[0])
    to_b = _turn(a, b)
    to_c = to_b + _turn(b, c)
    winding = to_c + _turn(c, a)
    reach = np.sqrt(max(a[0] ** 2 + a[1] ** 2, b[0] ** 2 + b[1] ** 2, c[0] ** 2 + c[1] ** 2))
    if abs(winding) > np.pi:
        return -np.pi, np.pi, 0.0, reach
    nearest = min(_closest(a, b), _closest(b, c), _closest(c, a))
    return start + min(0.0, to_b, to_c), start + max(0.0, to_b, to_c), nearest, reach


@njit(cache=True)
def _turn(p: np.ndarray, q: np.ndarray) -> float:
    """The signed azimuth from p to q, within (-pi, pi]."""
    return np.arctan2(p[0] * q[1] - p[1] * q[0], p[0] * q[0] + p[1] * q[1])


@njit(cache=True)
def _closest(p: np.ndarray, q: np.ndarray) -> float:
    """Horizontal distance of the segment p q from the sensor."""
    ex, ey = q[0] - p[0], q[1] - p[1]
    squared = ex * ex + ey * ey
    along = 0.0 if squared == 0.0 else min(1.0, max(0.0, -(p[0] * ex + p[1] * ey) / squared))
    return np.sqrt((p[0] + along * ex) ** 2 + (p[1] + along * ey) ** 2)


@njit(cache=True)
def _elevation_bounds(a: np.ndarray, b: np.ndarray, c: np.ndarray, nearest: float, reach: float) -> tuple[float, float]:
    """Elevations, rad, no point of the triangle is outside of: its height span seen from its distance span."""
    lowest, highest = min(a[2], b[2], c[2]), max(a[2], b[2], c[2])
    low = np.arctan2(lowest, nearest if lowest < 0 else reach)
    high = np.arctan2(highest, nearest if highest > 0 else reach)
    return low, high
