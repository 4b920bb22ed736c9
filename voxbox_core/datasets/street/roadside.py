"""Everything along a street that stands still: the ground, kerbs, plots with houses and gardens, trees, furniture."""

from collections.abc import Iterator

import numpy as np

from voxbox_core.datasets.street import furniture, houses, people, plants
from voxbox_core.datasets.street.character import AHEAD, BACK, Crossing, Side, Street
from voxbox_core.datasets.street.materials import Material, Semantic
from voxbox_core.datasets.street.mesh import Mesh, box, join
from voxbox_core.datasets.street.scene import Part

KERB = 0.12  # m, height
HORIZON = 600.0  # m
FAR = 330.0  # m, how far the surface of the road goes on
ASPHALT = ((0.13, 0.13, 0.13), (0.17, 0.17, 0.165), (0.10, 0.10, 0.105), (0.21, 0.20, 0.19))
PAVING = ((0.26, 0.25, 0.24), (0.20, 0.20, 0.20), (0.30, 0.27, 0.24), (0.24, 0.19, 0.16))
GRASS = ((0.065, 0.09, 0.025), (0.09, 0.11, 0.035), (0.05, 0.075, 0.02))
WHITE = (0.62, 0.62, 0.60)


def roadside(rng: np.random.Generator, street: Street) -> tuple[Part, ...]:
    tints = [np.array(c[rng.integers(len(c))]) * rng.uniform(0.8, 1.2) for c in (ASPHALT, PAVING, GRASS)]
    ground = list(_ground(street, *tints))
    buildings: list[Mesh] = []
    greens: list[Mesh] = []
    others: list[Mesh] = []
    bicycles: list[Mesh] = []
    for side in street.sides:
        ground += _edge(street, side, *tints)
        for kind, mesh in _plots(rng, street, side):
            {Semantic.BUILDING: buildings, Semantic.TREE: greens, Semantic.OTHER: others}[kind].append(mesh)
        greens += _street_trees(rng, street, side)
        for kind, mesh in _furniture(rng, street, side):
            {Semantic.BICYCLE: bicycles, Semantic.OTHER: others}[kind].append(mesh)
    greens += _background(rng, street)
    parts = [Part(join(ground), Semantic.GROUND)]
    if markings := list(_markings(rng, street)):
        parts.append(Part(join(markings), Semantic.GROUND, solid=False))
    standing = {
        Semantic.BUILDING: buildings,
        Semantic.OTHER: others,
        Semantic.TREE: greens,
        Semantic.BICYCLE: bicycles,
    }
    for kind, meshes in standing.items():
        if meshes:
            parts.append(Part(join(meshes), kind))
    return tuple(parts)


def _ground(street: Street, asphalt: np.ndarray, paving: np.ndarray, grass: np.ndarray) -> Iterator[Mesh]:
    left, right = (side.kerb for side in street.sides)
    yield box((2 * HORIZON, 2 * HORIZON, 0.5), (HORIZON * 0.8, 0, -0.32), grass, Material.GRASS)
    yield street.road.ribbon(-60, FAR, -right, left, 0.0, asphalt, Material.ASPHALT)
    for crossing in street.crossings:
        for sign in crossing.signs:
            kerb = left if sign > 0 else right
            yield _across(
                street, crossing, sign, kerb, 90.0, -crossing.half, crossing.half, 0.0, asphalt, Material.ASPHALT
            )
            for edge in (-crossing.half - 2, crossing.half):
                yield _across(
                    street, crossing, sign, kerb + 6, 90.0, edge, edge + 2, KERB - 0.02, paving, Material.PAVING
                )


def _across(
    street: Street,
    crossing: Crossing,
    sign: int,
    near: float,
    far: float,
    start: float,
    end: float,
    top: float,
    color: np.ndarray,
    material: Material,
) -> Mesh:
    """A slab along a side street, from |d| = near to far, between two offsets from the side street's middle."""
    slab = box(
        (end - start, far - near, top + 0.3),
        ((start + end) / 2, sign * (near + far) / 2, (top - 0.3) / 2),
        color,
        material,
    )
    return street.road.put(slab, crossing.s, 0.0)


def _spans(street: Street, sign: int, start: float, end: float) -> Iterator[tuple[float, float]]:
    """Stretches of a side between its side streets."""
    for crossing in street.crossings:
        if sign in crossing.signs:
            if crossing.s - crossing.half > start:
                yield start, crossing.s - crossing.half
            start = crossing.s + crossing.half
    yield start, end


def _edge(street: Street, side: Side, asphalt: np.ndarray, paving: np.ndarray, grass: np.ndarray) -> Iterator[Mesh]:
    inner, outer = side.walk
    for start, end in _spans(street, side.sign, -60, FAR):
        strips = [(side.kerb, side.kerb + 0.15, KERB, np.full(3, 0.3), Material.MATTE)]
        if side.verge > 0:
            strips.append((side.kerb + 0.15, inner, KERB - 0.02, grass, Material.GRASS))
        if side.pavement > 0:
            strips.append((inner, outer, KERB, paving, Material.PAVING))
        for near, far, top, color, material in strips:
            low, high = sorted((side.sign * near, side.sign * far))
            yield street.road.ribbon(start, end, low, high, top, color, material)


def _markings(rng: np.random.Generator, street: Street) -> Iterator[Mesh]:
    if rng.random() >= street.character.line:
        return
    width = street.lanes[0][0] * -2
    bounds = [0.0] if street.character.lanes == 1 else [0.0, width, -width]
    period, length = [(12.0, 6.0), (9.0, 3.0), (6.0, 3.0)][rng.integers(3)]
    for d in bounds:
        if d == 0.0 and rng.random() < 0.3:
            yield street.road.stripe(BACK, FAR, d, 0.13, WHITE)
            continue
        for s in np.arange(BACK, 150, period) + rng.uniform(0, period):
            yield street.road.stripe(s, s + length, d, 0.13, WHITE)
    if street.character.lanes > 1 or rng.random() < 0.4:
        for sign in (1, -1):
            edge = width * street.character.lanes
            yield street.road.stripe(BACK, FAR, sign * (edge - 0.1), 0.12, WHITE)
    for crossing in street.crossings:
        if rng.random() < 0.5:
            s = crossing.s - crossing.half - 2.5
            yield street.road.stripe(s, s + 0.5, -width / 2, width * 0.9, WHITE)
        if rng.random() < 0.25:
            s = crossing.s - crossing.half - 6
            for d in np.arange(-width, width, 1.0):
                yield street.road.stripe(s, s + 3.2, d + 0.5, 0.5, WHITE)


def _plots(rng: np.random.Generator, street: Street, side: Side) -> Iterator[tuple[Semantic, Mesh]]:
    kind, boundary = street.character, side.walk[1]
    closed = kind.setback[1] <= 1.0
    setback = rng.uniform(*kind.setback)
    for start, end in _spans(street, side.sign, BACK, AHEAD):
        start, end = start + 2.5, end - 2.5
        if side.wood and end - start > 9:
            yield Semantic.TREE, _wood(rng, street, side, start, end)
            continue
        while end - start > 7:
            width = min(rng.uniform(8, 18) if not closed else rng.uniform(9, 20), end - start)
            yield from _plot(rng, street, side, start, start + width, boundary, setback, closed)
            start += width


def _wood(rng: np.random.Generator, street: Street, side: Side, start: float, end: float) -> Mesh:
    rows = []
    for distance, height in ((3.5, 3.0), (7.0, 9.0)):
        for s in np.arange(start + 5, end - 4, 10.0):
            row = plants.wood(rng, 11.0, 2.5, height)
            rows.append(street.road.put(row, s, side.sign * (side.walk[1] + distance + 2)))
    return join(rows)


def _plot(
    rng: np.random.Generator,
    street: Street,
    side: Side,
    start: float,
    end: float,
    boundary: float,
    setback: float,
    closed: bool,
) -> Iterator[tuple[Semantic, Mesh]]:
    """A piece of ground between two s: a house or none, its boundary to the street, its trees."""
    kind, middle, width = street.character, (start + end) / 2, end - start
    turn = 0.0 if side.sign > 0 else np.pi
    front = boundary + (setback if closed else rng.uniform(*kind.setback))
    if rng.random() < kind.house:
        storeys = int(rng.integers(kind.storeys[0], kind.storeys[1] + 1))
        free = 0.0 if closed else rng.uniform(1.0, 4.0)
        shape = houses.house(rng, width - free, rng.uniform(8, 12), storeys)
        yield Semantic.BUILDING, street.road.put(shape, middle, side.sign * front, turn)
    elif rng.random() < 0.2 and width > 9:
        yield (
            Semantic.BUILDING,
            street.road.put(
                houses.garages(rng, int(width // 3.2)), middle, side.sign * (boundary + rng.uniform(0.5, 5)), turn
            ),
        )
    else:
        row = plants.wood(rng, width, 4, rng.uniform(4, 9))
        yield Semantic.TREE, street.road.put(row, middle, side.sign * (boundary + rng.uniform(5, 10)), turn)
    if closed:
        return
    if rng.random() < kind.hedge:
        size = (width - rng.uniform(0.5, 3.5), rng.uniform(0.7, 1.3), rng.uniform(0.8, 2.4))
        yield (
            Semantic.TREE,
            street.road.put(plants.hedge(rng, size), middle, side.sign * (boundary + 0.3 + size[1] / 2), turn),
        )
    elif rng.random() < 0.6:
        yield (
            Semantic.OTHER,
            street.road.put(
                furniture.fence(rng, width - rng.uniform(0.2, 3)), middle, side.sign * (boundary + 0.3), turn
            ),
        )
    while rng.random() < kind.garden_tree * 0.65:
        s, d = rng.uniform(start, end), boundary + rng.uniform(1.5, max(2.0, front - boundary))
        yield Semantic.TREE, street.road.put(plants.tree(rng), s, side.sign * d)


def _street_trees(rng: np.random.Generator, street: Street, side: Side) -> Iterator[Mesh]:
    if rng.random() > street.character.street_tree * 1.6:
        return
    pitch, d = rng.uniform(8, 16), side.kerb + 0.15 + max(0.6, side.verge / 2)
    for s in np.arange(BACK + rng.uniform(0, pitch), AHEAD, pitch):
        if street.free(s - 1, s + 1, side.sign) and rng.random() < 0.85:
            yield street.road.put(plants.tree(rng), s + rng.normal(0, 0.5), side.sign * d, z=0.0)


def _furniture(rng: np.random.Generator, street: Street, side: Side) -> Iterator[tuple[Semantic, Mesh]]:
    near, turn, road = side.kerb + 0.45, 0.0 if side.sign < 0 else np.pi, street.road
    pitch = rng.uniform(22, 40)
    if rng.random() < 0.7:
        for s in np.arange(BACK + rng.uniform(0, pitch), AHEAD, pitch):
            yield Semantic.OTHER, road.put(furniture.lamp_post(rng), s, side.sign * near, turn)
    for crossing in street.crossings:
        s = crossing.s - crossing.half - 3.0
        if rng.random() < 0.35:
            yield Semantic.OTHER, road.put(furniture.traffic_light(rng), s, side.sign * near, turn)
        if rng.random() < 0.5:
            yield Semantic.OTHER, road.put(furniture.sign(rng), s - 2.0, side.sign * near, 0.0)
    pieces = (
        furniture.sign,
        furniture.sign,
        furniture.bin_,
        furniture.bench,
        furniture.cabinet,
        furniture.bollard,
        people.motorcycle,
        _bicycles,
    )
    for _ in range(rng.poisson(7)):
        piece, s = pieces[rng.integers(len(pieces))], rng.uniform(0, 80)
        d = near if piece is furniture.sign or rng.random() < 0.4 else side.walk[1] - 0.45
        if street.free(s - 2, s + 2, side.sign):
            shape = piece(rng)
            towards = (0.0 if rng.random() < 0.7 else np.pi) if piece is furniture.sign else turn
            kind = Semantic.BICYCLE if piece is _bicycles else Semantic.OTHER
            yield kind, road.put(shape, s, side.sign * d, towards, KERB)
    if side.verge > 1 and rng.random() < 0.3:
        for s in np.arange(0, AHEAD, 30.0):
            yield Semantic.OTHER, road.put(furniture.rail(30.0), s + 15, side.sign * (side.kerb + 0.5), turn)


def _bicycles(rng: np.random.Generator) -> Mesh:
    """A few parked bicycles, across the pavement."""
    count = int(rng.integers(1, 5))
    return join([people.bicycle(rng).moved((0.6 * i, 0, 0), np.pi / 2 + rng.normal(0, 0.15)) for i in range(count)])


def _background(rng: np.random.Generator, street: Street) -> Iterator[Mesh]:
    """Trees and houses behind the furnished plots, and across the end of the street."""
    for side in street.sides:
        for s in np.arange(BACK, 300, 36.0):
            row = plants.wood(rng, 36, 6, rng.uniform(7, 13), coarse=True)
            if street.free(s - 2, s + 2, side.sign):
                yield street.road.put(row, s, side.sign * (side.walk[1] + rng.uniform(24, 45)))
    for offset in np.arange(-100, 101, 40.0):
        row = plants.wood(rng, 42, 8, rng.uniform(10, 22), coarse=True)
        yield street.road.put(row, FAR + rng.uniform(-20, 10), offset, np.pi / 2)
