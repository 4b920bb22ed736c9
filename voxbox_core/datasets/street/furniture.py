"""What stands along streets: lamp posts, signs, traffic lights, bins, benches, fences, rails."""

import numpy as np

from voxbox_core.datasets.street.materials import Material
from voxbox_core.datasets.street.mesh import Mesh, box, join, tube

STEEL = (0.22, 0.23, 0.24)
WHITE = (0.75, 0.75, 0.75)


def lamp_post(rng: np.random.Generator) -> Mesh:
    """Its arm reaches to +y."""
    height, reach = rng.uniform(5, 9), rng.uniform(0.6, 2.0)
    color = np.array(STEEL) * rng.uniform(0.4, 1.4)
    way = [(0, 0, -0.1), (0, 0, height - 0.6), (0, reach * 0.3, height), (0, reach, height + 0.05)]
    return join(
        [
            tube(way, [0.09, 0.06, 0.05, 0.04], color, Material.METAL, 8),
            box((0.25, 0.6, 0.12), (0, reach, height), color, Material.METAL),
        ]
    )


def sign(rng: np.random.Generator) -> Mesh:
    """A traffic sign whose face looks to -x."""
    height = rng.uniform(2.0, 2.6)
    post = tube([(0, 0, -0.1), (0, 0, height + 0.5)], 0.035, STEEL, Material.METAL, 6)
    kind, middle = rng.integers(5), height + 0.15
    if kind == 0:
        plate = [_disc(rng, middle, 0.3, (0.45, 0.02, 0.02)), _disc(rng, middle, 0.22, WHITE, 0.02)]
    elif kind == 1:
        plate = [_disc(rng, middle, 0.3, (0.02, 0.08, 0.4))]
    elif kind == 2:
        plate = [_disc(rng, middle, 0.36, WHITE, 0.0, 4), _disc(rng, middle, 0.27, (0.6, 0.4, 0.02), 0.02, 4)]
    elif kind == 3:
        plate = [_disc(rng, middle, 0.42, (0.45, 0.02, 0.02), 0.0, 3), _disc(rng, middle, 0.28, WHITE, 0.02, 3)]
    else:
        color = [(0.02, 0.08, 0.4), WHITE, (0.6, 0.45, 0.02)][rng.integers(3)]
        size = rng.uniform(0.4, 1.2)
        plate = [box((0.03, size, size * rng.uniform(0.4, 1.2)), (-0.05, 0, middle), color, Material.PLATE)]
    return join([post, *plate])


def _disc(
    rng: np.random.Generator,
    z: float,
    radius: float,
    color: tuple[float, float, float],
    ahead: float = 0.0,
    sides: int = 14,
) -> Mesh:
    flat = tube([(-0.045 - ahead, 0, 0), (-0.06 - ahead, 0, 0)], radius, color, Material.MATTE, sides)
    spin = np.pi / 2 if sides == 3 else 0.0
    cos, sin = np.cos(spin), np.sin(spin)
    y, height = flat.vertices[:, 1].copy(), flat.vertices[:, 2].copy()
    flat.vertices[:, 1], flat.vertices[:, 2] = cos * y - sin * height, sin * y + cos * height
    return flat.moved((0, 0, z))


def traffic_light(rng: np.random.Generator) -> Mesh:
    """Its lamps look to -x."""
    height = rng.uniform(2.2, 3.0)
    parts = [
        tube([(0, 0, -0.1), (0, 0, height + 1)], 0.06, STEEL, Material.METAL, 8),
        box((0.22, 0.32, 0.95), (-0.16, 0, height + 0.45), (0.015, 0.017, 0.016)),
    ]
    lit = rng.integers(2) * 2
    for i, color in enumerate(((0.02, 0.9, 0.3), (0.9, 0.5, 0.02), (1.0, 0.05, 0.02))):
        shade = 1.0 if i == lit else 0.06
        disc = tube([(-0.26, 0, 0), (-0.29, 0, 0)], 0.1, np.array(color) * shade, Material.LAMP, 10)
        parts.append(disc.moved((0, 0, height + 0.15 + 0.3 * i)))
    return join(parts)


def bin_(rng: np.random.Generator) -> Mesh:
    color = np.array([(0.03, 0.03, 0.03), (0.03, 0.06, 0.03), (0.15, 0.1, 0.02), (0.02, 0.03, 0.10)][rng.integers(4)])
    height = rng.uniform(0.9, 1.2)
    return join(
        [
            box((0.6, 0.55, height), (0, 0, height / 2), color, Material.MATTE, (1.1, 1.1)),
            box((0.7, 0.64, 0.08), (0, 0, height + 0.04), color * 1.4),
        ]
    )


def bench(rng: np.random.Generator) -> Mesh:
    color = np.array((0.12, 0.07, 0.04)) * rng.uniform(0.6, 1.4)
    legs = [box((0.06, 0.4, 0.42), (x, 0, 0.21), STEEL) for x in (-0.7, 0.7)]
    return join([*legs, box((1.7, 0.45, 0.06), (0, 0, 0.45), color), box((1.7, 0.06, 0.4), (0, -0.22, 0.72), color)])


def cabinet(rng: np.random.Generator) -> Mesh:
    """A distribution cabinet, a parcel, a crate."""
    size = rng.uniform((0.5, 0.3, 0.6), (1.3, 0.6, 1.4))
    return box(size, (0, 0, size[2] / 2), np.full(3, rng.uniform(0.1, 0.4)) * rng.uniform(0.85, 1.15, 3))


def bollard(rng: np.random.Generator) -> Mesh:
    height = rng.uniform(0.7, 1.1)
    color = WHITE if rng.random() < 0.4 else np.array(STEEL) * 0.4
    return tube([(0, 0, -0.1), (0, 0, height)], 0.06, color, Material.MATTE, 8)


def fence(rng: np.random.Generator, length: float) -> Mesh:
    """Along x: slats or a wall, on a plinth or not."""
    height = rng.uniform(0.8, 1.8)
    if rng.random() < 0.4:
        color = np.full(3, rng.uniform(0.2, 0.55)) * rng.uniform(0.9, 1.1, 3)
        return box((length, 0.25, height * 0.8), (0, 0, height * 0.4), color)
    color = [np.array((0.14, 0.08, 0.045)), np.full(3, 0.5), np.full(3, 0.06)][rng.integers(3)] * rng.uniform(0.7, 1.3)
    pitch = rng.uniform(0.16, 0.3)
    count = max(2, int(length / pitch))
    slats = [
        box((0.09, 0.03, height - 0.08), (x, 0, height / 2), color) for x in np.linspace(-length / 2, length / 2, count)
    ]
    rails = [box((length, 0.04, 0.07), (0, -0.035, z), color * 0.8) for z in (0.3, height - 0.25)]
    return join([*slats, *rails, box((length, 0.12, 0.2), (0, 0, 0.1), (0.3, 0.3, 0.3))])


def rail(length: float) -> Mesh:
    """A crash barrier along x."""
    posts = [
        box((0.12, 0.1, 0.7), (x, 0.08, 0.35), STEEL, Material.METAL) for x in np.arange(-length / 2, length / 2, 4.0)
    ]
    beams = [box((length, 0.05, 0.12), (0, 0, z), (0.3, 0.31, 0.32), Material.METAL) for z in (0.52, 0.7)]
    return join([*posts, *beams, box((length, 0.03, 0.3), (0, 0.03, 0.61), (0.2, 0.2, 0.2), Material.METAL)])
