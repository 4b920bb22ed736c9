"""Houses with gable, hip or flat roofs, garages, and rows of town houses; the shader draws windows on walls."""

import numpy as np

from voxbox_core.datasets.street.materials import Material
from voxbox_core.datasets.street.mesh import Mesh, box, build, join

PLASTER = (
    (0.62, 0.60, 0.55),
    (0.66, 0.66, 0.66),
    (0.55, 0.47, 0.34),
    (0.48, 0.36, 0.27),
    (0.60, 0.52, 0.36),
    (0.36, 0.36, 0.36),
    (0.42, 0.20, 0.13),
    (0.30, 0.14, 0.10),
    (0.45, 0.50, 0.55),
)
TILES = ((0.26, 0.075, 0.04), (0.20, 0.065, 0.045), (0.09, 0.05, 0.04), (0.07, 0.07, 0.075), (0.14, 0.10, 0.085))


def house(rng: np.random.Generator, width: float, depth: float, storeys: int) -> Mesh:
    """Its front, `width` m along x, looks to -y; the front wall stands at y = 0, the house behind it."""
    walls = np.array(PLASTER[rng.integers(len(PLASTER))]) * rng.uniform(0.75, 1.15)
    height = storeys * rng.uniform(2.7, 3.1) + rng.uniform(0.2, 0.8)
    parts = [box((width, depth, height), (0, depth / 2, height / 2), walls, Material.WALL)]
    if storeys <= 3 or rng.random() < 0.6:
        parts.append(_gable(rng, width, depth, height))
    else:
        parts.append(box((width + 0.3, depth + 0.3, 0.35), (0, depth / 2, height + 0.17), walls * 0.7))
    if rng.random() < 0.8:
        x, size = rng.uniform(-0.3, 0.3) * width, rng.uniform(0.4, 0.7)
        parts.append(box((size, size, 2.2), (x, depth * rng.uniform(0.35, 0.65), height + 2.0), (0.2, 0.09, 0.06)))
    if rng.random() < 0.7:
        x = rng.uniform(-0.35, 0.35) * width
        parts.append(box((1.1, 0.12, 2.1), (x, -0.03, 1.1), np.array((0.12, 0.08, 0.06)) * rng.uniform(0.3, 2.5)))
        parts.append(box((1.8, 1.0, 0.12), (x, -0.4, 2.5), (0.3, 0.3, 0.3)))
    if storeys > 1 and rng.random() < 0.4:
        for level in range(1, storeys):
            x = rng.choice([-0.25, 0.25]) * width
            parts.append(box((2.6, 1.1, 1.1), (x, -0.55, level * 2.85 + 0.4), walls * rng.uniform(0.6, 1.0)))
    if storeys > 2 and rng.random() < 0.35:
        awning = np.array(
            [(0.4, 0.03, 0.03), (0.5, 0.5, 0.48), (0.15, 0.35, 0.05), (0.02, 0.06, 0.25)][rng.integers(4)]
        )
        parts.append(box((width * 0.8, 1.4, 0.15), (0, -0.7, 2.8), awning, Material.CLOTH))
        parts.append(box((width * 0.9, 0.08, 2.3), (0, -0.02, 1.35), (0.02, 0.022, 0.025), Material.GLASS))
    return join(parts)


def _gable(rng: np.random.Generator, width: float, depth: float, height: float) -> Mesh:
    rise, over = depth / 2 * np.tan(np.radians(rng.uniform(28, 48))), 0.4
    along, hip = rng.random() < 0.7, rng.uniform(0, 0.35) if rng.random() < 0.4 else 0.0
    if not along:
        rise = width / 2 * np.tan(np.radians(rng.uniform(30, 45)))
    rise = min(rise, 5.5)
    x, y = width / 2 + over, depth / 2 + over
    inset = hip * (x if along else y)
    ridge = [(-x + inset, 0), (x - inset, 0)] if along else [(0, -y + inset), (0, y - inset)]
    low = [(-x, -y), (x, -y), (x, y), (-x, y)]
    corners = [*((*p, 0.0) for p in low), *((*p, rise) for p in ridge)]
    vertices = np.array(corners) + np.array([0, depth / 2, height - 0.05])
    if along:
        faces = [(0, 1, 5), (0, 5, 4), (2, 3, 4), (2, 4, 5), (1, 2, 5), (3, 0, 4)]
    else:
        faces = [(0, 1, 4), (1, 2, 5), (1, 5, 4), (2, 3, 5), (3, 0, 4), (3, 4, 5)]
    faces += [(0, 3, 2), (0, 2, 1)]
    color = np.array(TILES[rng.integers(len(TILES))]) * rng.uniform(0.7, 1.3)
    return build(vertices, np.array(faces), color, Material.ROOF)


def garages(rng: np.random.Generator, count: int) -> Mesh:
    """A row of garages with doors to -y."""
    wall = np.full(3, rng.uniform(0.4, 0.65))
    door = np.array([(0.5, 0.5, 0.5), (0.15, 0.17, 0.2), (0.2, 0.13, 0.08), (0.10, 0.16, 0.12)][rng.integers(4)])
    width = count * 3.0
    parts = [box((width, 5.5, 2.5), (0, 2.75, 1.25), wall), box((width + 0.3, 5.8, 0.2), (0, 2.75, 2.55), wall * 0.5)]
    parts += [box((2.4, 0.06, 2.05), (-width / 2 + 1.5 + 3 * i, 0, 1.03), door, Material.CLOTH) for i in range(count)]
    return join(parts)
