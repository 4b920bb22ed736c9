"""What kind of street it is: its widths, lanes and habits."""

from dataclasses import dataclass

import numpy as np

from voxbox_core.datasets.street.road import Road

BACK, AHEAD = -30.0, 125.0
"""m: how much of the street is furnished behind and before the camera."""

PARKING = 2.1  # m, width of a lane of parked cars

Range = tuple[float, float]


@dataclass(frozen=True)
class Character:
    """Ranges are uniform, m. Shares are probabilities.

    lane: width.  lanes: per direction.  parked: share of the kerb taken by parked cars.  bays: share of sides with
    cars standing across the street.  verge: grass between kerb and pavement.  setback: of houses from the pavement.
    house, hedge, garden_tree, street_tree: shares per plot.  wood: share of sides that are forest.  line: share of
    streets with a line in their middle.  speed: m/s.  gap: mean distance of moving vehicles, m.
    walkers, riders: mean numbers.
    """

    lane: Range
    lanes: int
    parked: Range
    bays: float
    verge: Range
    pavement: Range
    setback: Range
    storeys: tuple[int, int]
    house: float
    hedge: float
    garden_tree: float
    street_tree: float
    wood: float
    line: float
    speed: Range
    gap: float
    walkers: float
    riders: float


RESIDENTIAL = Character(
    lane=(2.7, 3.3),
    lanes=1,
    parked=(0.35, 0.9),
    bays=0.2,
    verge=(0.0, 0.0),
    pavement=(1.4, 2.6),
    setback=(2.5, 8.0),
    storeys=(1, 2),
    house=0.75,
    hedge=0.65,
    garden_tree=0.7,
    street_tree=0.12,
    wood=0.04,
    line=0.1,
    speed=(4, 10),
    gap=45.0,
    walkers=2.5,
    riders=1.0,
)
TOWN = Character(
    lane=(2.9, 3.6),
    lanes=1,
    parked=(0.3, 0.95),
    bays=0.2,
    verge=(0.0, 0.0),
    pavement=(2.2, 4.5),
    setback=(0.0, 1.0),
    storeys=(3, 5),
    house=0.93,
    hedge=0.1,
    garden_tree=0.1,
    street_tree=0.35,
    wood=0.0,
    line=0.45,
    speed=(4, 12),
    gap=28.0,
    walkers=6.0,
    riders=1.8,
)
AVENUE = Character(
    lane=(3.1, 3.6),
    lanes=2,
    parked=(0.0, 0.4),
    bays=0.1,
    verge=(1.5, 5.0),
    pavement=(1.6, 3.0),
    setback=(4.0, 14.0),
    storeys=(2, 4),
    house=0.45,
    hedge=0.5,
    garden_tree=0.8,
    street_tree=0.5,
    wood=0.15,
    line=1.0,
    speed=(9, 17),
    gap=26.0,
    walkers=2.5,
    riders=1.2,
)
COUNTRY = Character(
    lane=(2.9, 3.6),
    lanes=1,
    parked=(0.0, 0.0),
    bays=0.0,
    verge=(2.0, 6.0),
    pavement=(0.0, 1.5),
    setback=(6.0, 20.0),
    storeys=(1, 2),
    house=0.12,
    hedge=0.3,
    garden_tree=0.8,
    street_tree=0.35,
    wood=0.65,
    line=1.0,
    speed=(12, 22),
    gap=40.0,
    walkers=0.8,
    riders=0.8,
)
SHARES = ((RESIDENTIAL, 0.42), (TOWN, 0.26), (AVENUE, 0.20), (COUNTRY, 0.12))


@dataclass(frozen=True)
class Side:
    """One side of the street.  sign: +1 left, -1 right.  kerb: |d| of its kerb.  parked: share of the kerb taken.
    bay: angle of cars standing across, rad, 0 for none.  verge, pavement: widths.  wood: whether it is forest."""

    sign: int
    kerb: float
    parked: float
    bay: float
    verge: float
    pavement: float
    wood: bool

    @property
    def walk(self) -> Range:
        """|d| of the pavement's inner and outer edge; at least a strip to walk on."""
        inner = self.kerb + 0.15 + self.verge
        return inner, inner + max(self.pavement, 0.8)


@dataclass(frozen=True)
class Crossing:
    """A side street.  s: its middle.  half: half its width, m.  signs: the sides it leaves to."""

    s: float
    half: float
    signs: tuple[int, ...]


@dataclass(frozen=True)
class Street:
    """road, character, sides (left, right), crossings.  lanes: (d, direction +1 or -1, speed m/s) each."""

    road: Road
    character: Character
    sides: tuple[Side, Side]
    crossings: tuple[Crossing, ...]
    lanes: tuple[tuple[float, int, float], ...]

    def free(self, start: float, end: float, sign: int) -> bool:
        """Whether no side street leaves to that side between two s."""
        return all(sign not in c.signs or end < c.s - c.half - 1 or start > c.s + c.half + 1 for c in self.crossings)


def draw_street(rng: np.random.Generator) -> Street:
    kind = SHARES[rng.choice(len(SHARES), p=[share for _, share in SHARES])][0]
    road = Road(rng.choice([0.0, rng.normal(0, 0.004)]))
    lane, count = rng.uniform(*kind.lane), kind.lanes
    lanes = []
    for i in range(count):
        for direction in (1, -1):
            lanes.append((-direction * lane * (i + 0.5), direction, rng.uniform(*kind.speed)))
    sides = tuple(_side(rng, kind, sign, lane * count) for sign in (1, -1))
    return Street(road, kind, (sides[0], sides[1]), _crossings(rng), tuple(lanes))


def _side(rng: np.random.Generator, kind: Character, sign: int, edge: float) -> Side:
    parked = rng.uniform(*kind.parked) if rng.random() < 0.85 else 0.0
    bay = rng.choice([np.pi / 2, np.pi / 2, np.pi / 4, np.pi / 3]) if rng.random() < kind.bays else 0.0
    room = 0.2 if parked == 0 else 5.2 if bay else PARKING
    verge = rng.uniform(*kind.verge)
    return Side(sign, edge + room, parked, bay, verge, rng.uniform(*kind.pavement), rng.random() < kind.wood)


def _crossings(rng: np.random.Generator) -> tuple[Crossing, ...]:
    found, s = [], rng.uniform(-10, 90)
    while s < AHEAD:
        signs = ((1, -1), (1,), (-1,))[rng.choice(3, p=(0.5, 0.25, 0.25))]
        found.append(Crossing(s, rng.uniform(3.0, 5.5), signs))
        s += rng.uniform(35, 110)
    return tuple(found)
