"""Trucks and buses: boxes in the right places."""

import numpy as np

from voxbox_core.datasets.street.materials import Material
from voxbox_core.datasets.street.mesh import Mesh, box, join, tube
from voxbox_core.datasets.street.vehicles import GLASS, NO_TRIM, Vehicle, paint, wheel


def truck(rng: np.random.Generator) -> Vehicle:
    """A cab before a box, a tipper, a flatbed or a tank."""
    length, width, height = rng.uniform(6, 11), rng.uniform(2.2, 2.55), rng.uniform(2.9, 3.8)
    color, cab, top = paint(rng), rng.uniform(1.7, 2.2), min(height, rng.uniform(2.5, 3.1))
    front = length / 2
    lower, upper = top * 0.5, top * 0.5 - 0.3
    parts = [
        box((cab, width * 0.96, lower), (front - cab / 2, 0, 0.4 + lower / 2), color, Material.PAINT),
        box(
            (cab * 0.97, width * 0.95, upper),
            (front - cab / 2 - 0.02, 0, 0.4 + lower + upper / 2),
            color,
            Material.PAINT,
            (0.88, 0.94),
        ),
        box((0.06, width * 0.82, top * 0.27), (front - 0.075, 0, top * 0.73), GLASS, Material.GLASS, (1, 0.93)),
        box((length * 0.98, width * 0.4, 0.25), (-0.05, 0, 0.75), (0.02, 0.02, 0.02)),
        box((0.06, width * 0.9, 0.28), (front + 0.0, 0, 0.5), (0.03, 0.03, 0.03)),
        box((0.04, width * 0.7, 0.3), (front, 0, 1.0), (0.015, 0.015, 0.015)),
        box((0.08, width * 0.9, 0.12), (-front + 0.05, 0, 0.55), (0.25, 0.25, 0.25), Material.METAL),
        box((0.03, 0.52, 0.12), (-front, 0, 0.72), (0.7, 0.7, 0.68), Material.PLATE),
    ]
    for side in (1, -1):
        parts += [
            box(
                (cab * 0.5, 0.04, top * 0.22),
                (front - cab * 0.42, side * width * 0.47, top * 0.73),
                GLASS,
                Material.GLASS,
            ),
            box((0.07, 0.32, 0.17), (front - 0.01, side * width * 0.37, 0.78), (0.6, 0.6, 0.6), Material.LAMP),
            box((0.06, 0.42, 0.15), (-front + 0.03, side * width * 0.36, 0.9), (0.4, 0.01, 0.01), Material.LAMP),
            box((0.1, 0.2, 0.42), (front - 0.1, side * (width / 2 + 0.14), top * 0.76), (0.02, 0.02, 0.02)),
        ]
    parts += _load(rng, length, width, height, cab)
    axles = [front - cab * 0.6, -front + 1.2] + ([-front + 2.5] if length > 8 else [])
    for x in axles:
        parts += [wheel((x, side * (width / 2 - 0.17), 0.48), 0.48, 0.3, np.full(3, 0.2)) for side in (1, -1)]
    return Vehicle(join(parts), np.array([length, width, max(height, top + 0.1)]), NO_TRIM)


def _load(rng: np.random.Generator, length: float, width: float, height: float, cab: float) -> list[Mesh]:
    room = length - cab - 0.25
    middle = -length / 2 + room / 2
    kind = rng.random()
    light = np.full(3, rng.uniform(0.4, 0.75))
    if kind < 0.55:
        color = light if rng.random() < 0.6 else paint(rng)
        return [box((room, width, height - 1.05), (middle, 0, 1.05 + (height - 1.05) / 2), color, Material.PAINT)]
    if kind < 0.7:
        radius = (height - 1.0) / 2
        tank = tube(
            [(middle - room / 2, 0, 1 + radius), (middle + room / 2, 0, 1 + radius)], radius, light, Material.PAINT, 20
        )
        return [tank.moved(scale=(1, min(1.0, width / 2 / radius), 1))]
    color = paint(rng)
    walls = [box((room, width, 0.15), (middle, 0, 1.08), color, Material.PAINT)]
    rim = rng.uniform(0.4, 1.0)
    walls += [
        box((room, 0.06, rim), (middle, s * (width / 2 - 0.03), 1.15 + rim / 2), color, Material.PAINT) for s in (1, -1)
    ]
    walls.append(box((0.06, width - 0.12, rim), (middle - room / 2 + 0.03, 0, 1.15 + rim / 2), color, Material.PAINT))
    walls.append(
        box(
            (0.1, width, height - 1.15),
            (middle + room / 2 - 0.05, 0, 1.15 + (height - 1.15) / 2),
            color,
            Material.PAINT,
        )
    )
    return walls


def bus(rng: np.random.Generator) -> Vehicle:
    length, width, height = rng.uniform(9.5, 13), rng.uniform(2.45, 2.55), rng.uniform(2.9, 3.25)
    color = np.array(
        [(0.6, 0.6, 0.58), (0.45, 0.05, 0.03), (0.5, 0.4, 0.05), (0.05, 0.1, 0.35), (0.1, 0.3, 0.15)][rng.integers(5)]
    )
    front, sill = length / 2, 0.32
    parts = [
        box((length, width, height - sill), (0, 0, sill + (height - sill) / 2), color, Material.PAINT, (0.985, 0.96)),
        box((0.05, width * 0.9, height * 0.42), (front - 0.03, 0, height * 0.58), GLASS, Material.GLASS, (1, 0.97)),
        box((0.05, width * 0.8, height * 0.26), (-front + 0.035, 0, height * 0.66), GLASS, Material.GLASS, (1, 0.97)),
        box((0.06, width * 0.6, 0.24), (front - 0.035, 0, height * 0.91), (0.02, 0.02, 0.005)),
        box((0.03, 0.52, 0.12), (-front + 0.01, 0, 0.65), (0.7, 0.7, 0.68), Material.PLATE),
    ]
    bays = int(rng.integers(5, 8))
    for side in (1, -1):
        for i in range(bays):
            x = -front + length / bays * (i + 0.5)
            parts.append(
                box(
                    (length / bays - 0.12, 0.05, height * 0.33),
                    (x, side * (width / 2 - 0.035), height * 0.62),
                    GLASS,
                    Material.GLASS,
                    (1, 0.97),
                )
            )
        parts.append(box((0.05, 0.32, 0.2), (front - 0.005, side * width * 0.38, 0.72), (0.6, 0.6, 0.6), Material.LAMP))
        parts.append(
            box((0.05, 0.2, 0.45), (-front + 0.01, side * width * 0.42, 1.0), (0.4, 0.01, 0.01), Material.LAMP)
        )
        parts += [
            wheel((x, side * (width / 2 - 0.14), 0.48), 0.48, 0.3, np.full(3, 0.2))
            for x in (length * 0.28, -length * 0.25)
        ]
    return Vehicle(join(parts), np.array([length, width, height]), NO_TRIM)
