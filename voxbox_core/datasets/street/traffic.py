"""Who is on the street: parked, driving, waiting and crossing vehicles, people on foot and on bicycles."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from voxbox_core.datasets.street import lorries, people, vehicles
from voxbox_core.datasets.street.character import Side, Street
from voxbox_core.datasets.street.motion import Motion
from voxbox_core.datasets.street.scene import Instance
from voxbox_core.datasets.street.space import Space
from voxbox_core.datasets.street.vehicles import Vehicle

KERB = 0.12  # m, height of the pavement
SHAPES: dict[str, Callable[[np.random.Generator], Vehicle]] = {
    "Car": vehicles.car,
    "Van": vehicles.van,
    "Truck": lorries.truck,
    "Bus": lorries.bus,
    "Cyclist": people.cyclist,
}

Placed = tuple[str, Vehicle, Motion]
Kinds = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Crowd:
    """How many of whom, and where along the street.

    parked, moving: kinds of vehicles and their shares.  people: times the character's walkers and riders.
    first, last: s between which there are vehicles, m; in the lanes and at the kerb some begin a few metres off.
    around: s that people are about, before it and behind it, m; None for s = 0 and before it alone.
    """

    parked: Kinds = (("Car", 0.90), ("Van", 0.085), ("Truck", 0.015))
    moving: Kinds = (("Car", 0.84), ("Van", 0.08), ("Truck", 0.055), ("Bus", 0.025))
    people: float = 1.0
    first: float = 0.0
    last: float = 85.0
    around: float | None = None

    def place(self, rng: np.random.Generator, nearest: float, spread: float) -> float:
        """s of a person or rider, m."""
        if self.around is None:
            return nearest + rng.gamma(2.0, spread)
        return self.around + rng.choice([-1.0, 1.0]) * (nearest + rng.gamma(2.0, spread))


USUAL = Crowd()
"""What a camera that looks ahead from s = 0 meets."""


def traffic(rng: np.random.Generator, street: Street, ego: Motion, crowd: Crowd = USUAL) -> tuple[Instance, ...]:
    """All labelled objects, none in another one's way."""
    space = Space()
    space.claim(ego, 6.5, 1.9)
    placed: list[Placed] = []
    for candidates in (_moving, _crossing, _parked, _walkers, _riders):
        for kind, vehicle, motion in candidates(rng, street, crowd):
            margin = 0.05 if kind == "Pedestrian" else 0.25
            if space.claim(motion, vehicle.size[0], vehicle.size[1], margin):
                placed.append((kind, vehicle, motion))
    return tuple(Instance(i, kind, v.mesh, v.size, motion, v.trim) for i, (kind, v, motion) in enumerate(placed, 1))


def _drawn(rng: np.random.Generator, kinds: Kinds) -> tuple[str, Vehicle]:
    names, shares = zip(*kinds)
    kind = str(names[rng.choice(len(names), p=shares)])
    return kind, SHAPES[kind](rng)


def _moving(rng: np.random.Generator, street: Street, crowd: Crowd) -> Iterator[Placed]:
    """Vehicles of a lane have the lane's speed, so that they never meet."""
    for d, direction, speed in street.lanes:
        s = rng.exponential(street.character.gap) + (6.5 if direction > 0 else 5.0) + crowd.first
        queue = rng.random() < 0.2
        while s < crowd.last:
            kind, vehicle = _drawn(rng, crowd.moving)
            s += vehicle.size[0] / 2
            turn = 0.0 if direction > 0 else np.pi
            yield kind, vehicle, street.road.motion(s, d + rng.normal(0, 0.15), speed, turn)
            s += vehicle.size[0] / 2 + (rng.uniform(1.5, 5) if queue else rng.exponential(street.character.gap) + 3)


def _crossing(rng: np.random.Generator, street: Street, crowd: Crowd) -> Iterator[Placed]:
    """Vehicles in side streets: waiting, leaving, parked there, or in the middle of a turn."""
    for crossing in street.crossings:
        for sign in crossing.signs:
            kerb = street.sides[0 if sign > 0 else 1].kerb
            for _ in range(rng.integers(0, 4)):
                kind, vehicle = _drawn(rng, crowd.parked)
                near, leaving = kerb + rng.uniform(2.5, 35), rng.random() < 0.5
                lane = crossing.half * (0.45 if rng.random() < 0.5 else 0.78) * sign * (1 if leaving else -1)
                turn = (np.pi / 2 if sign > 0 else -np.pi / 2) + (0 if leaving else np.pi) + rng.normal(0, 0.05)
                yield kind, vehicle, street.road.motion(crossing.s + lane, sign * near, 5.0 if leaving else 0.0, turn)
        if rng.random() < 0.5:
            kind, vehicle = _drawn(rng, crowd.moving)
            place = crossing.s + rng.uniform(-0.6, 0.6) * crossing.half
            yield (
                kind,
                vehicle,
                street.road.motion(place, rng.uniform(-2, 8), rng.choice([0.0, 6.0]), rng.uniform(-np.pi, np.pi)),
            )


def _parked(rng: np.random.Generator, street: Street, crowd: Crowd) -> Iterator[Placed]:
    for side in street.sides:
        if side.parked > 0:
            yield from _bays(rng, street, side, crowd) if side.bay else _row(rng, street, side, crowd)


def _row(rng: np.random.Generator, street: Street, side: Side, crowd: Crowd) -> Iterator[Placed]:
    s = rng.uniform(-9, 0) + crowd.first
    while s < crowd.last:
        if rng.random() > side.parked:
            s += rng.uniform(4, 10)
            continue
        kind, vehicle = _drawn(rng, crowd.parked)
        length, width, _ = vehicle.size
        s += length / 2
        with_traffic = rng.random() < 0.93
        turn = (0.0 if (side.sign < 0) == with_traffic else np.pi) + rng.normal(0, 0.025)
        d = side.sign * (side.kerb - width / 2 - 0.15 - abs(rng.normal(0, 0.1)))
        if street.free(s - length / 2, s + length / 2, side.sign):
            yield kind, vehicle, street.road.motion(s, d, 0.0, turn)
        s += length / 2 + rng.uniform(0.5, 1.8)


def _bays(rng: np.random.Generator, street: Street, side: Side, crowd: Crowd) -> Iterator[Placed]:
    """Cars across the street, nose or tail to the kerb."""
    for s in np.arange(rng.uniform(-8, -5) + crowd.first, crowd.last * 0.8, 2.55 / np.sin(side.bay)):
        if rng.random() > side.parked or not street.free(s - 3, s + 3, side.sign):
            continue
        kind, vehicle = "Car", vehicles.car(rng)
        turn = side.sign * side.bay + (0 if rng.random() < 0.75 else np.pi) + rng.normal(0, 0.03)
        d = side.sign * (side.kerb - 2.75 + rng.normal(0, 0.15))
        yield kind, vehicle, street.road.motion(s, d, 0.0, turn)


def _walkers(rng: np.random.Generator, street: Street, crowd: Crowd) -> Iterator[Placed]:
    for _ in range(rng.poisson(street.character.walkers * crowd.people)):
        side = street.sides[rng.integers(2)]
        s, turn = crowd.place(rng, 4.0, 11.0), 0.0 if rng.random() < 0.5 else np.pi
        if rng.random() < 0.15:
            yield _walker(rng, street, s, rng.uniform(-side.kerb, side.kerb), rng.choice([-1, 1]) * np.pi / 2, 0.0)
            continue
        inner, outer = side.walk
        d = side.sign * rng.uniform(inner + 0.4, max(outer - 0.4, inner + 0.5))
        for k in range(1 if rng.random() < 0.65 else int(rng.integers(2, 4))):
            yield _walker(rng, street, s + rng.normal(0, 0.3) * k, d + 0.65 * k, turn, KERB)


def _walker(rng: np.random.Generator, street: Street, s: float, d: float, turn: float, z: float) -> Placed:
    standing = rng.random() < 0.25
    person = people.pedestrian(rng, rng.uniform(0, 0.08) if standing else rng.uniform(0.3, 0.55))
    if standing:
        turn += rng.uniform(-np.pi, np.pi)
    return "Pedestrian", person, street.road.motion(s, d, 0.0 if standing else 1.3, turn, z)


def _riders(rng: np.random.Generator, street: Street, crowd: Crowd) -> Iterator[Placed]:
    """On the right edge of the road, or on the pavement."""
    for _ in range(rng.poisson(street.character.riders * crowd.people)):
        side = street.sides[rng.integers(2)]
        s, rider = crowd.place(rng, 5.0, 12.0), people.cyclist(rng)
        with_traffic = rng.random() < 0.8
        turn = 0.0 if (side.sign < 0) == with_traffic else np.pi
        outermost = max(abs(lane[0]) for lane in street.lanes)
        if rng.random() < 0.6:
            yield "Cyclist", rider, street.road.motion(s, side.sign * (outermost + rng.uniform(0.3, 0.9)), 4.5, turn)
        else:
            turn += 0.0 if rng.random() < 0.85 else rng.uniform(-1.5, 1.5)
            yield "Cyclist", rider, street.road.motion(s, side.sign * rng.uniform(*side.walk), 4.5, turn, KERB)
