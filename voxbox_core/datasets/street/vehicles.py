"""Cars and vans: bodies lofted from side profiles, every one of another shape.

A body is a row of cross-sections from tail to nose. Each is half a ring from the middle of the floor over sill,
shoulder, belt line and window to the middle of the roof, mirrored. What lies on the paint (lamps, plates, grille,
seams) is not geometry: the shader draws it where `Trim` says.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from voxbox_core.datasets.street.materials import Material
from voxbox_core.datasets.street.mesh import Mesh, box, join, skin, tube

GLASS = (0.012, 0.014, 0.016)
RIM_RADIUS = 0.66
"""Of a wheel's rim, share of the tyre's radius."""

BLACK = (0.012, 0.012, 0.013)

PAINTS = (  # linear RGB, share on German streets
    ((0.60, 0.60, 0.60), 0.14),
    ((0.38, 0.39, 0.40), 0.22),
    ((0.12, 0.125, 0.13), 0.17),
    ((0.010, 0.010, 0.012), 0.22),
    ((0.012, 0.030, 0.14), 0.09),
    ((0.30, 0.012, 0.014), 0.07),
    ((0.02, 0.06, 0.035), 0.025),
    ((0.26, 0.21, 0.14), 0.025),
    ((0.55, 0.34, 0.02), 0.01),
    ((0.06, 0.14, 0.28), 0.03),
)


@dataclass(frozen=True)
class Vehicle:
    """mesh: in its own frame.  size: (3,) length, width, height, m (mirrors stick out).  trim: (5, 4), see Trim."""

    mesh: Mesh
    size: np.ndarray
    trim: np.ndarray


@dataclass(frozen=True)
class Trim:
    """What the shader draws on paint; m in the vehicle's frame, y from the middle.

    head, tail: (y inside, z low, z high, reach along the flank) of the lamps.  grille: (half width, z low, z high)
    in the nose.  plates: (z front, z rear) of the licence plates' middles.  bumper: z below which front and rear
    are dark plastic.  doors: (x front seam, x middle seam, x rear seam), 0 for none.
    """

    head: tuple[float, float, float, float]
    tail: tuple[float, float, float, float]
    grille: tuple[float, float, float]
    plates: tuple[float, float]
    bumper: float
    doors: tuple[float, float, float]

    def packed(self) -> np.ndarray:
        """(5, 4) f32 as the shader reads it."""
        rows = (self.head, self.tail, (*self.grille, self.bumper), (*self.doors, 0.0), (*self.plates, 0.0, 0.0))
        return np.array(rows, np.float32)


NO_TRIM = np.zeros((5, 4), np.float32)


@dataclass(frozen=True)
class Profile:
    """A body from the side.  length, width, height: m, means.  belt: lower edge of the windows, share of height.
    nose, deck: height of bonnet front and of the boot, share of height.
    cabin: (rear foot, rear top, front top, front foot), share of length from the tail."""

    length: float
    width: float
    height: float
    belt: float
    nose: float
    deck: float
    cabin: tuple[float, float, float, float]


CARS = {
    "hatchback": (0.28, Profile(3.64, 1.60, 1.51, 0.60, 0.50, 0.62, (0.0, 0.09, 0.53, 0.74))),
    "small": (0.13, Profile(3.26, 1.51, 1.52, 0.59, 0.51, 0.62, (0.0, 0.07, 0.55, 0.79))),
    "sedan": (0.17, Profile(4.18, 1.65, 1.46, 0.61, 0.49, 0.67, (0.10, 0.26, 0.54, 0.71))),
    "estate": (0.17, Profile(4.21, 1.65, 1.49, 0.61, 0.49, 0.63, (0.0, 0.07, 0.56, 0.72))),
    "suv": (0.09, Profile(4.07, 1.73, 1.70, 0.61, 0.54, 0.63, (0.0, 0.06, 0.56, 0.73))),
    "coupe": (0.05, Profile(3.93, 1.65, 1.38, 0.62, 0.48, 0.66, (0.03, 0.25, 0.51, 0.70))),
    "people carrier": (0.09, Profile(3.98, 1.67, 1.65, 0.57, 0.50, 0.59, (0.0, 0.05, 0.60, 0.84))),
    "pick-up": (0.02, Profile(4.68, 1.73, 1.74, 0.60, 0.54, 0.58, (0.36, 0.40, 0.60, 0.72))),
}
"""Share of the cars on the street, and shape. Their mean size is that of KITTI's labels, 3.88 x 1.63 x 1.53 m."""

VANS = (
    Profile(4.45, 1.80, 1.84, 0.53, 0.50, 0.56, (0.0, 0.03, 0.66, 0.86)),
    Profile(4.95, 1.91, 1.98, 0.52, 0.50, 0.55, (0.0, 0.02, 0.74, 0.90)),
    Profile(5.60, 2.00, 2.55, 0.47, 0.41, 0.50, (0.0, 0.015, 0.76, 0.90)),
)


def paint(rng: np.random.Generator) -> np.ndarray:
    shares = np.array([share for _, share in PAINTS])
    color = np.array(PAINTS[rng.choice(len(PAINTS), p=shares / shares.sum())][0])
    return np.clip(color * rng.uniform(0.7, 1.3) + rng.normal(0, 0.004, 3), 0.004, 0.85)


def car(rng: np.random.Generator) -> Vehicle:
    shares, profiles = zip(*CARS.values())
    profile = profiles[rng.choice(len(profiles), p=np.array(shares) / sum(shares))]
    return _bodied(rng, profile, paint(rng), 0.0)


def van(rng: np.random.Generator) -> Vehicle:
    """Small delivery vans, minibuses and tall panel vans; most without rear side windows, most white."""
    color = np.full(3, rng.uniform(0.5, 0.75)) if rng.random() < 0.5 else paint(rng)
    return _bodied(rng, VANS[rng.integers(len(VANS))], color, 1.0 if rng.random() < 0.65 else 0.0)


def _bodied(rng: np.random.Generator, mean: Profile, color: np.ndarray, panelled: float) -> Vehicle:
    stretch = rng.normal(1.0, 0.03)
    profile = replace(
        mean,
        length=mean.length * stretch,
        width=mean.width * (0.5 + 0.5 * stretch) * rng.normal(1, 0.015),
        height=mean.height * rng.normal(1, 0.022),
        belt=mean.belt + rng.normal(0, 0.01),
        nose=mean.nose + rng.normal(0, 0.015),
        deck=mean.deck + rng.normal(0, 0.01),
        cabin=_jittered(mean.cabin, rng),
    )
    length, width, height = profile.length, profile.width, profile.height
    floor = rng.uniform(0.16, 0.22) + (0.05 if height > 1.6 else 0)
    body = _body(rng, profile, color, floor, panelled)
    radius = height * rng.uniform(0.2, 0.215) if height < 1.8 else rng.uniform(0.32, 0.35)
    front, rear = length * rng.uniform(0.30, 0.325), -length * rng.uniform(0.285, 0.315)
    dark_mirrors = rng.random() < 0.4
    rim = np.full(3, rng.choice([0.04, 0.2, 0.35, 0.45])) * rng.uniform(0.8, 1.2)
    parts = [body]
    for side in (1, -1):
        for x in (front, rear):
            parts.append(_arch(x, side * width / 2, radius, floor))
            parts.append(wheel((x, side * (width / 2 - 0.095), radius), radius, 0.19, rim))
        foot = length * (profile.cabin[3] - 0.5)
        parts.append(
            box(
                (0.10, 0.17, 0.12),
                (foot - 0.22, side * (width / 2 + 0.05), height * profile.belt + 0.06),
                BLACK if dark_mirrors else color,
                Material.MATTE if dark_mirrors else Material.PAINT,
                (0.8, 0.9),
            )
        )
    if rng.random() < 0.25:
        parts += [
            tube(
                [(-length * 0.36, s * width * 0.34, height + 0.01), (length * 0.04, s * width * 0.34, height + 0.01)],
                0.018,
                BLACK,
                Material.METAL,
                5,
            )
            for s in (1, -1)
        ]
    trim = _trim(rng, profile, floor)
    return Vehicle(join(parts), np.array([length, width, height]), trim.packed())


def _jittered(cabin: tuple[float, float, float, float], rng: np.random.Generator) -> tuple[float, float, float, float]:
    a, b, c, d = np.array(cabin) + rng.normal(0, 0.008, 4) * (np.array(cabin) > 0)
    return float(a), float(b), float(c), float(d)


def _trim(rng: np.random.Generator, p: Profile, floor: float) -> Trim:
    nose, belt, half = p.nose * p.height, p.belt * p.height, p.width / 2
    lamp = nose - rng.uniform(0.02, 0.06)
    tall = rng.random() < 0.5
    tail_top = belt + (rng.uniform(0.0, 0.12) if tall else -rng.uniform(0.02, 0.1))
    middle = p.length * (p.cabin[1] * 0.45 + p.cabin[2] * 0.55 - 0.5)
    return Trim(
        head=(half * rng.uniform(0.48, 0.62), lamp - rng.uniform(0.12, 0.2), lamp, rng.uniform(0.25, 0.5)),
        tail=(
            half * rng.uniform(0.55, 0.75),
            tail_top - rng.uniform(0.3, 0.45 if tall else 0.3),
            tail_top,
            rng.uniform(0.1, 0.3),
        ),
        grille=(half * rng.uniform(0.3, 0.5), lamp - rng.uniform(0.1, 0.2), lamp - 0.02),
        plates=(
            floor + rng.uniform(0.16, 0.24),
            floor + (rng.uniform(0.2, 0.3) if rng.random() < 0.4 else rng.uniform(0.48, 0.62)),
        ),
        bumper=floor + (rng.uniform(0.3, 0.36) if rng.random() < 0.25 else rng.uniform(0.04, 0.12)),
        doors=(p.length * (p.cabin[3] - 0.5) - 0.12, middle, middle - rng.uniform(0.7, 0.9) if p.length > 3.7 else 0.0),
    )


def _body(rng: np.random.Generator, p: Profile, color: np.ndarray, floor: float, panelled: float) -> Mesh:
    rear_foot, rear_top, front_top, front_foot = p.cabin
    ends = np.array([0.0, 0.004, 0.012, 0.028, 0.05])
    middle = np.array([rear_foot, rear_top, front_top, front_foot, rear_top + 0.02, front_top - 0.02])
    pillar = rear_top * 0.45 + front_top * 0.55
    x = np.unique(
        np.concatenate([ends, 1 - ends, np.linspace(0.08, 0.92, 22), middle, [pillar - 0.012, pillar + 0.012]]).clip(
            0, 1
        )
    )
    top, roof, cabin = _side(p, x)
    half = (
        p.width / 2 * (1 - 0.05 * np.abs(2 * x - 1) ** 3) * (1 - 0.16 * _corner(x, 0.05) - 0.18 * _corner(1 - x, 0.09))
    )
    low = floor + 0.10 * _corner(x, 0.05) + 0.08 * _corner(1 - x, 0.06) + 0.03 * np.abs(2 * x - 1) ** 4
    roof_half = half * (0.90 - (0.90 - rng.uniform(0.70, 0.78) - (0.06 if p.height > 1.75 else 0)) * cabin)
    rise, crown = top - low, 0.02 + 0.015 * cabin
    outline = [
        (0 * x, low),
        (half * 0.86, low),
        (half * 0.965, low + 0.07),
        (half * 0.995, low + rise * 0.36),
        (half, low + rise * 0.62),
        (half * 0.985, low + rise * 0.86),
        (half * 0.945, top),
        (roof_half + (half * 0.945 - roof_half) * 0.10, top + (roof - top) * 0.88),
        (roof_half * 0.93, top + (roof - top) * 0.975),
        (roof_half * 0.5, roof - crown * 0.25),
        (0 * x, roof),
    ]
    y, z = np.stack([a for a, _ in outline], 1), np.stack([b for _, b in outline], 1)
    along = np.broadcast_to(((x - 0.5) * p.length)[:, None], y.shape)
    right, left = np.stack([along, -y, z], -1), np.stack([along, y, z], -1)
    # Counter-clockwise seen from the nose, whose viewer has the car's left on his right.
    rings = np.concatenate([left, right[:, -2:0:-1]], 1)
    colors, materials = _faces(x, cabin, p, color, rings.shape[1], len(outline), panelled)
    return skin(rings, colors, materials, 36.0)


def _corner(x: np.ndarray, reach: float) -> np.ndarray:
    """0 away from an end at x = 0, rising to 1 at it as the corner of a circle does."""
    e = (1 - x / reach).clip(0, 1)
    return 1 - np.sqrt(1 - e**2)


def _side(p: Profile, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights of belt line or bonnet and of the roof, m, and the cabin's share of its full height, at stations x."""
    rear_foot, rear_top, front_top, front_foot = p.cabin
    fine = np.linspace(-0.1, 1.1, 601)
    belt = p.belt * p.height
    ahead = ((fine - front_foot) / (1 - front_foot)).clip(0, 1)
    bonnet = belt + 0.02 + (p.nose * p.height - belt - 0.02) * (0.5 * ahead + 0.5 * ahead**2.5)
    behind = ((rear_foot - fine) / max(rear_foot, 0.02)).clip(0, 1)
    deck = p.deck * p.height - 0.02 * behind
    top = np.where(
        fine > front_foot, bonnet, np.where(fine < rear_foot, deck, belt + (0.03 * (rear_foot - fine + 0.3)).clip(0))
    )
    cabin = np.interp(
        fine, [rear_foot - 1e-3, rear_top, front_top, front_foot + 1e-3], [0 if rear_foot > 0 else 0.15, 1, 1, 0]
    )
    middle = (rear_top + front_top) / 2 + 0.06
    crown = p.height * (1 - 0.045 * ((fine - middle) / 0.3) ** 2).clip(0.9)
    crown -= crown.max() - p.height
    kernel = np.hanning(13)[1:-1] / np.hanning(13).sum()
    roof = np.convolve(top + (crown - top) * cabin, kernel, "same")
    top, roof, cabin = np.interp(x, fine, top), np.interp(x, fine, roof), np.interp(x, fine, cabin)
    drop = 0.10 * _corner(1 - x, 0.06) + (0.05 * _corner(x, 0.03) if rear_foot > 0 else 0)
    return top - drop, np.maximum(roof, top) - drop, cabin


def _faces(
    x: np.ndarray, cabin: np.ndarray, p: Profile, color: np.ndarray, around: int, outline: int, panelled: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colours and materials of the loft's faces."""
    rear_foot, rear_top, front_top, front_foot = p.cabin
    middle = ((x[1:] + x[:-1]) / 2)[:, None]
    share = ((cabin[1:] + cabin[:-1]) / 2)[:, None]
    segment = np.arange(around)
    level = np.minimum(segment, around - 1 - segment)[None]
    pillar = rear_top * 0.45 + front_top * 0.55
    solid = (
        (np.abs(middle - pillar) < 0.013)
        | (np.abs(middle - rear_top) < 0.016)
        | (panelled * (middle < front_top - 0.2) > 0)
    )
    side = (
        (level == outline - 5) & (share > 0.16) & (middle > rear_foot + 0.015) & (middle < front_foot - 0.02) & ~solid
    )
    slanted = (middle > front_top) | (middle < rear_top)
    screen = (
        (level >= outline - 3) & (share > 0.1) & (share < 0.95) & slanted & ~((middle < rear_top) & (panelled > 0.5))
    )
    floor = np.broadcast_to(level <= 1, side.shape)
    materials = np.select([side | screen, floor], [Material.GLASS, Material.MATTE], Material.PAINT)
    colors = np.select([(side | screen)[..., None], floor[..., None]], [np.array(GLASS), np.array(BLACK)], color)
    caps = 2 * around
    return (
        np.concatenate([np.repeat(colors.reshape(-1, 3), 2, 0), np.tile(color, (caps, 1))]),
        np.concatenate([np.repeat(materials.ravel(), 2), np.full(caps, Material.PAINT)]),
    )


def wheel(center: tuple[float, float, float], radius: float, width: float, rim: np.ndarray) -> Mesh:
    """A wheel whose axle lies along y."""
    unit = _unit_wheel()
    return unit.painted(rim, unit.material == Material.RIM).moved(center, 0.0, (radius, width, radius))


@lru_cache
def _unit_wheel() -> Mesh:
    """Of radius and width 1, around the origin."""
    side, shoulder = 0.5, 0.37
    tyre = tube(
        [(0, -side, 0), (0, -shoulder, 0), (0, shoulder, 0), (0, side, 0)], [0.9, 1, 1, 0.9], BLACK, Material.RUBBER, 18
    )
    disc = tube([(0, -side - 0.04, 0), (0, side + 0.04, 0)], RIM_RADIUS, BLACK, Material.RIM, 16)
    return join([tyre, replace(disc, texture=disc.triangles()[..., [0, 2]] / np.float32(RIM_RADIUS))])


def _arch(x: float, y: float, radius: float, floor: float) -> Mesh:
    """The dark hole a wheel stands in, cut off at the sill."""
    arch = _unit_disc().moved((x, y - np.sign(y) * 0.117, radius), 0.0, (radius * 1.13, 0.24, radius * 1.13))
    arch.vertices[:, 2] = np.maximum(arch.vertices[:, 2], floor + 0.02)
    return arch


@lru_cache
def _unit_disc() -> Mesh:
    return tube([(0, -0.5, 0), (0, 0.5, 0)], 1.0, (0.003, 0.003, 0.003), Material.RUBBER, 20)
