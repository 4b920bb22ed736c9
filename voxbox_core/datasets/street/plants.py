"""Trees, bushes and hedges: clumps of foliage in which the shader leaves holes."""

from functools import lru_cache

import numpy as np

from voxbox_core.datasets.street.materials import Material
from voxbox_core.datasets.street.mesh import Mesh, ellipsoid, join, tube

GREENS = ((0.040, 0.075, 0.018), (0.055, 0.095, 0.022), (0.028, 0.055, 0.018), (0.085, 0.10, 0.028), (0.05, 0.07, 0.02))
AUTUMN = ((0.16, 0.08, 0.02), (0.14, 0.03, 0.02), (0.17, 0.13, 0.03))
VARIANTS = 24
"""Shapes of each plant; a scene turns, scales and colours them."""


def tree(rng: np.random.Generator) -> Mesh:
    """5 to 12 m high, its trunk on the origin."""
    color = np.array(AUTUMN[rng.integers(3)] if rng.random() < 0.07 else GREENS[rng.integers(5)])
    mesh = _grown(int(rng.integers(VARIANTS)))
    stretch = rng.uniform(0.8, 1.25)
    return _leafy(mesh, color, rng).moved(
        yaw=rng.uniform(0, 2 * np.pi), scale=(stretch, stretch, stretch * rng.uniform(0.9, 1.15))
    )


def hedge(rng: np.random.Generator, size: tuple[float, float, float]) -> Mesh:
    """Bushes in a row along x, filling a box of size (l, w, h), m."""
    length, width, height = size
    count = max(1, round(length / 2.4))
    color = np.array(GREENS[rng.integers(5)]) * rng.uniform(0.7, 1.2)
    row = [
        _shrub(int(rng.integers(VARIANTS))).moved(
            ((i + 0.5) * length / count - length / 2, 0, 0), rng.choice([0.0, np.pi]), (length / count, width, height)
        )
        for i in range(count)
    ]
    return _leafy(join(row), color, rng)


def wood(rng: np.random.Generator, length: float, depth: float, height: float, coarse: bool = False) -> Mesh:
    """The edge of a wood along x, `depth` m deep: big clumps without trunks; coarse ones for the distance."""
    count = max(1, round(length / (7 if coarse else 5)))
    color = np.array(GREENS[rng.integers(5)])
    clumps = [
        _leafy(_shrub(int(rng.integers(VARIANTS)), coarse), color * rng.uniform(0.6, 1.4), rng).moved(
            ((i + rng.uniform(0.2, 0.8)) * length / count - length / 2, rng.uniform(-0.4, 0.4) * depth, -0.1),
            rng.uniform(0, 2 * np.pi),
            (*rng.uniform(6, 10, 2) * (1.3 if coarse else 1.0), height * rng.uniform(0.7, 1.2)),
        )
        for i in range(count)
    ]
    return join(clumps)


def _leafy(mesh: Mesh, color: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Foliage takes `color`; a mesh's own colours of leaves are its light and dark clumps."""
    leaves = mesh.material == Material.LEAVES
    tint = color * rng.uniform(0.7, 1.25) * np.array([rng.uniform(0.9, 1.15), 1, 1])
    return mesh.painted(mesh.color * tint, leaves)


@lru_cache(maxsize=VARIANTS)
def _grown(variant: int) -> Mesh:
    rng = np.random.default_rng([variant, 1])
    height = rng.uniform(6, 10)
    trunk = rng.uniform(0.1, 0.2)
    bare = rng.uniform(0.2, 0.35) * height
    lean = rng.normal(0, 0.25, 2)
    way = [(0, 0, -0.2), (*(lean * 0.4), bare), (*lean, height * 0.75)]
    parts = [tube(way, [trunk, trunk * 0.8, trunk * 0.25], (0.055, 0.045, 0.035), Material.BARK, 7)]
    reach, middle = height * rng.uniform(0.2, 0.33), (bare + height) / 2
    slender = rng.random() < 0.25
    for _ in range(16 if not slender else 10):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        spread = np.array([reach, reach, (height - bare) * 0.42]) * ([0.5, 0.5, 1.1] if slender else [1, 1, 1])
        center = np.array([*lean, middle]) + direction * spread * rng.uniform(0.35, 1)
        parts.append(_clump(rng, center, np.array([1, 1, 0.85]) * reach * rng.uniform(0.32, 0.55)))
    return join(parts)


@lru_cache(maxsize=2 * VARIANTS)
def _shrub(variant: int, coarse: bool = False) -> Mesh:
    """Fills a box of size (1, 1, 1) on the origin."""
    rng = np.random.default_rng([variant, 2])
    parts = []
    for _ in range(3 if coarse else 4):
        center = np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.12, 0.12), rng.uniform(0.4, 0.55)])
        parts.append(_clump(rng, center, np.array([0.34, 0.44, 0.46]) * rng.uniform(0.85, 1.05), 5 if coarse else 6))
    return join(parts)


def _clump(rng: np.random.Generator, center: np.ndarray, radii: np.ndarray, rings: int = 6) -> Mesh:
    sides = rings + 2
    bumps = 1 + 0.12 * rng.normal(size=(rings, sides))
    bumps[[0, -1]] = 1.0
    return ellipsoid(radii, center, np.full(3, rng.uniform(0.75, 1.3)), Material.LEAVES, rings, sides, bumps)
