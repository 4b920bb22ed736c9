"""Pedestrians and cyclists: limbs, clothes and hair, each in a moment of a step."""

from functools import lru_cache

import numpy as np

from voxbox_core.datasets.street.materials import Material
from voxbox_core.datasets.street.mesh import Mesh, box, ellipsoid, join, skin, standing, tube
from voxbox_core.datasets.street.vehicles import BLACK, NO_TRIM, Vehicle, paint, wheel

SKINS = ((0.45, 0.28, 0.20), (0.50, 0.33, 0.25), (0.30, 0.17, 0.10), (0.12, 0.06, 0.04))
HAIR = ((0.02, 0.015, 0.01), (0.08, 0.05, 0.03), (0.25, 0.17, 0.08), (0.25, 0.25, 0.25))
CLOTHES = (
    (0.012, 0.012, 0.015),
    (0.02, 0.03, 0.08),
    (0.05, 0.07, 0.12),
    (0.09, 0.09, 0.10),
    (0.30, 0.30, 0.30),
    (0.60, 0.60, 0.60),
    (0.30, 0.02, 0.02),
    (0.05, 0.10, 0.25),
    (0.38, 0.34, 0.28),
    (0.06, 0.09, 0.04),
    (0.14, 0.08, 0.04),
    (0.45, 0.20, 0.25),
)
HIP, KNEE, SHOULDER = 0.92, 0.48, 1.43  # m, of somebody 1.75 m tall


def _cloth(rng: np.random.Generator) -> np.ndarray:
    return np.array(CLOTHES[rng.integers(len(CLOTHES))]) * rng.uniform(0.6, 1.4)


def _one_of(rng: np.random.Generator, choices: tuple) -> np.ndarray:
    return np.array(choices[rng.integers(len(choices))])


def _swing(angle: float) -> np.ndarray:
    """The direction of a limb hanging down, swung forward by an angle, rad."""
    return np.array([np.sin(angle), 0.0, -np.cos(angle)])


def pedestrian(rng: np.random.Generator, stride: float) -> Vehicle:
    """Somebody walking (stride: swing of the legs, rad) or standing (0)."""
    scale = rng.normal(1.0, 0.05)
    if rng.random() < 0.08:
        scale = rng.uniform(0.65, 0.85)
    girth = rng.uniform(0.9, 1.25)
    phase = rng.uniform(0, 2 * np.pi)
    top, legs, face, hair = _cloth(rng), _cloth(rng), _one_of(rng, SKINS), _one_of(rng, HAIR)
    sleeve = top if rng.random() < 0.7 else face
    shorts = rng.random() < 0.15
    parts = [_torso(girth, top)]
    if rng.random() < 0.15:
        parts.append(_skirt(girth, legs))
        legs = face if rng.random() < 0.6 else legs
    for side in (1, -1):
        swing = stride * np.sin(phase if side > 0 else phase + np.pi)
        bend = max(0.0, np.sin((phase if side > 0 else phase + np.pi) - 0.9)) * stride * 1.1
        parts += _leg(side, swing, bend, girth, legs, face if shorts else legs)
        parts += _arm(side, -swing * 0.9 + rng.normal(0, 0.06), girth, sleeve, face)
    parts += _head((0.015, 0, 1.60), face, hair, rng.random() < 0.3)
    if rng.random() < 0.25:
        parts.append(ellipsoid((0.11, 0.15, 0.22), (-0.17, 0, 1.25), _cloth(rng), Material.CLOTH))
    elif rng.random() < 0.25:
        parts.append(box((0.3, 0.1, 0.28), (0.02, rng.choice([-1, 1]) * 0.3, 0.72), _cloth(rng), Material.CLOTH))
    mesh = standing(join(parts)).moved(scale=(scale, scale, scale))
    return Vehicle(mesh, mesh.size().astype(np.float64), NO_TRIM)


def _torso(girth: float, color: np.ndarray) -> Mesh:
    heights = np.array([0.86, 0.98, 1.12, 1.30, 1.42, 1.49])
    depth = np.array([0.10, 0.105, 0.10, 0.12, 0.10, 0.05]) * girth
    width = np.array([0.15, 0.165, 0.15, 0.19, 0.19, 0.07]) * girth
    return _barrel(heights, depth, width, color)


def _skirt(girth: float, color: np.ndarray) -> Mesh:
    return _barrel(
        np.array([0.55, 0.75, 1.0]), np.array([0.2, 0.17, 0.11]) * girth, np.array([0.22, 0.2, 0.16]) * girth, color
    )


def _barrel(heights: np.ndarray, depth: np.ndarray, width: np.ndarray, color: np.ndarray) -> Mesh:
    around = np.arange(10) * 2 * np.pi / 10
    rings = np.stack(
        [depth[:, None] * np.cos(around), width[:, None] * np.sin(around), np.repeat(heights[:, None], 10, 1)], -1
    )
    return skin(rings, color, Material.CLOTH, 70.0)


def _leg(side: int, swing: float, bend: float, girth: float, thigh: np.ndarray, calf: np.ndarray) -> list[Mesh]:
    hip = np.array([0, side * 0.09, HIP])
    knee = hip + 0.45 * _swing(swing)
    foot = knee + 0.43 * _swing(swing - bend)
    return [
        tube([hip, knee], [0.09 * girth, 0.065 * girth], thigh, Material.CLOTH, 7),
        tube([knee, foot], [0.064 * girth, 0.045], calf, Material.CLOTH, 7),
        box(
            (0.26, 0.09, 0.09),
            (foot[0] + 0.05, foot[1], foot[2] + 0.01),
            (0.02, 0.02, 0.02),
            Material.CLOTH,
            (0.7, 0.9),
        ),
    ]


def _arm(side: int, swing: float, girth: float, sleeve: np.ndarray, face: np.ndarray) -> list[Mesh]:
    shoulder = np.array([0, side * 0.2 * girth, SHOULDER])
    elbow = shoulder + 0.29 * (_swing(swing) + np.array([0, side * 0.15, 0]))
    hand = elbow + 0.27 * _swing(swing + 0.35)
    return [
        tube([shoulder, elbow, hand], np.array([0.058, 0.046, 0.036]) * girth, sleeve, Material.CLOTH, 6),
        ellipsoid((0.045, 0.035, 0.06), hand, face, Material.SKIN, 4, 6),
    ]


def _head(center: tuple[float, float, float], face: np.ndarray, hair: np.ndarray, long: bool) -> list[Mesh]:
    x, y, z = center
    fall = 0.07 if long else 0.0
    return [
        tube([(x - 0.02, y, z - 0.18), (x - 0.01, y, z - 0.05)], 0.05, face, Material.SKIN, 6),
        ellipsoid((0.10, 0.08, 0.125), center, face, Material.SKIN, 6, 8),
        ellipsoid((0.105, 0.09, 0.10 + fall), (x - 0.025, y, z + 0.045 - fall), hair, Material.SKIN, 6, 8),
    ]


def cyclist(rng: np.random.Generator) -> Vehicle:
    """A bicycle and its rider, one object."""
    top, legs, face = _cloth(rng), _cloth(rng), _one_of(rng, SKINS)
    bare, lean, turn = rng.random() < 0.3, rng.uniform(0.2, 0.6), rng.uniform(0, 2 * np.pi)
    hip = np.array([-0.17, 0, 0.97])
    neck = hip + 0.5 * np.array([np.sin(lean), 0, np.cos(lean)])
    parts = [bicycle(rng)]
    for side in (1, -1):
        angle = turn + (np.pi if side > 0 else 0.0)
        joint = hip + np.array([0, side * 0.09, 0])
        foot = np.array([0.17 * np.cos(angle), side * 0.11, 0.30 + 0.17 * np.sin(angle)])
        knee = _bent(joint, foot, 0.45, 0.45)
        parts.append(tube([joint, knee], [0.09, 0.065], legs, Material.CLOTH, 7))
        parts.append(tube([knee, foot], [0.062, 0.045], face if bare else legs, Material.CLOTH, 7))
        parts.append(box((0.25, 0.09, 0.08), (foot[0] + 0.05, foot[1], foot[2]), (0.03, 0.03, 0.03), Material.CLOTH))
        shoulder, hand = neck + np.array([0, side * 0.18, -0.05]), np.array([0.36, side * 0.25, 1.04])
        elbow = (shoulder + hand) / 2 + [-0.02, side * 0.05, -0.08]
        parts.append(
            tube([shoulder, elbow, hand], [0.055, 0.045, 0.036], top if rng.random() < 0.6 else face, Material.CLOTH, 6)
        )
    parts.append(
        tube(
            [hip - [0, 0, 0.06], hip * 0.55 + neck * 0.45, neck, neck + np.array([0.02, 0, 0.05])],
            [0.13, 0.15, 0.15, 0.06],
            top,
            Material.CLOTH,
            9,
        )
    )
    helmet = rng.random() < 0.35
    parts += _head((neck[0] + 0.07, 0, neck[2] + 0.2), face, paint(rng) if helmet else _one_of(rng, HAIR), False)
    scale = rng.normal(1.0, 0.03)
    mesh = standing(join(parts)).moved(scale=(scale, scale, scale))
    return Vehicle(mesh, mesh.size().astype(np.float64), NO_TRIM)


def _bent(start: np.ndarray, end: np.ndarray, upper: float, lower: float) -> np.ndarray:
    """Where a joint between two limbs must be, bent forward in the plane y = constant."""
    reach = end - start
    distance = min(float(np.hypot(reach[0], reach[2])), 0.999 * (upper + lower))
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    aside = np.sqrt(max(upper**2 - along**2, 0.0))
    direction = np.array([reach[0], 0, reach[2]]) / distance
    forward = np.array([-direction[2], 0, direction[0]])
    return start + along * direction + aside * forward + [0, reach[1] / 2, 0]


def bicycle(rng: np.random.Generator) -> Mesh:
    """A bicycle on z = 0, with a basket or without."""
    mesh = _bicycle(rng.random() < 0.4)
    return mesh.painted(paint(rng) * 0.8, mesh.material == Material.LAMP, Material.MATTE)


@lru_cache
def _bicycle(basket: bool) -> Mesh:
    """Wheels, frame, bars and saddle; the frame is marked as LAMP, to be painted."""
    radius, around = 0.34, np.linspace(0, 2 * np.pi, 19)
    parts = []
    for x in (-0.52, 0.52):
        ring = np.stack([x + radius * np.cos(around), 0 * around, radius + 0.005 + radius * np.sin(around)], -1)
        parts.append(tube(ring, 0.022, BLACK, Material.RUBBER, 5))
        hub = np.array([x, 0, radius])
        for angle in np.arange(4) * np.pi / 4:
            spoke = radius * np.array([np.cos(angle), 0, np.sin(angle)])
            parts.append(tube([hub - spoke, hub + spoke], 0.006, (0.3, 0.3, 0.3), Material.METAL, 3))
    pedals, seat, head = (0, 0, 0.3), (-0.18, 0, 0.86), (0.36, 0, 0.88)
    front, rear = (0.52, 0, radius), (-0.52, 0, radius)
    for start, end in ((pedals, seat), (pedals, head), (seat, head), (head, front), (rear, pedals), (rear, seat)):
        parts.append(tube([start, end], 0.02, BLACK, Material.LAMP, 5))
    parts.append(tube([(0.36, -0.28, 1.02), (0.36, 0.28, 1.02)], 0.016, BLACK, Material.MATTE, 5))
    parts.append(tube([(0.36, 0, 0.85), (0.36, 0, 1.02)], 0.016, BLACK, Material.MATTE, 5))
    parts.append(box((0.26, 0.14, 0.06), (-0.2, 0, 0.9), (0.02, 0.02, 0.02)))
    if basket:
        parts.append(box((0.35, 0.3, 0.25), (-0.55, 0, 0.87), BLACK))
    return join(parts)


def motorcycle(rng: np.random.Generator) -> Mesh:
    """A parked motorcycle; not a labelled object."""
    color = paint(rng)
    return join(
        [
            wheel((0.72, 0, 0.31), 0.31, 0.11, np.full(3, 0.2)),
            wheel((-0.72, 0, 0.31), 0.31, 0.14, np.full(3, 0.2)),
            ellipsoid((0.42, 0.18, 0.2), (0.12, 0, 0.78), color, Material.MATTE),
            ellipsoid((0.45, 0.16, 0.1), (-0.45, 0, 0.8), BLACK),
            ellipsoid((0.35, 0.2, 0.22), (0.05, 0, 0.45), (0.05, 0.05, 0.05), Material.METAL),
            tube([(0.72, 0, 0.3), (0.45, 0, 0.95)], 0.05, (0.3, 0.3, 0.3), Material.METAL, 6),
            tube([(0.42, -0.36, 1.0), (0.42, 0.36, 1.0)], 0.02, BLACK, Material.MATTE, 5),
        ]
    )
