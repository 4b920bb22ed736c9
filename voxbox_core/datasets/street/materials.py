"""What surfaces are made of: how the shader paints them, how much of a LiDAR's light they send back."""

from enum import IntEnum

import numpy as np


class Material(IntEnum):
    """How a face is shaded. The face's colour is its base colour, linear RGB."""

    MATTE = 0
    PAINT = 1
    """Car paint under clear coat: mirrors the sky at grazing angles."""
    GLASS = 2
    LAMP = 3
    ASPHALT = 4
    GRASS = 5
    PAVING = 6
    WALL = 7
    """A facade; its texture coordinates are metres along and up, windows are drawn by the shader."""
    ROOF = 8
    LEAVES = 9
    """Foliage: the shader leaves holes in it, and so do its shadows."""
    BARK = 10
    MARKING = 11
    METAL = 12
    RUBBER = 13
    CLOTH = 14
    SKIN = 15
    RIM = 16
    """A wheel's inside; its texture coordinates run to 1 at the edge of the rim, the shader draws the spokes."""
    PLATE = 17
    """A licence plate or a lettered sign: dark strokes on the base colour, texture coordinates in [0, 1]."""


class Semantic(IntEnum):
    """What a point in space belongs to."""

    AIR = 0
    PERSON = 1
    CAR = 2
    TRUCK = 3
    VAN = 4
    BUS = 5
    BUILDING = 6
    TREE = 7
    BICYCLE = 8
    GROUND = 9
    OTHER = 10


_RETURN = {
    Material.GLASS: 0.05,
    Material.LAMP: 0.9,
    Material.PLATE: 0.95,
    Material.MARKING: 0.75,
    Material.LEAVES: 0.45,
}


def reflectivity(material: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Materials (F,), colours (F, 3) -> share of infrared light sent back (F,) f32 in [0, 1].

    Lamps and plates are retroreflectors, leaves are bright in the infrared, glass lets the light pass; the rest
    goes with its brightness.
    """
    table = np.full(len(Material), np.nan)
    for kind, value in _RETURN.items():
        table[kind] = value
    fixed = table[material]
    return np.where(np.isnan(fixed), 0.08 + 0.8 * color.mean(-1), fixed).clip(0.0, 1.0).astype(np.float32)
