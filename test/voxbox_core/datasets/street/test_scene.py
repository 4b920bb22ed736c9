"""Scenes: one seed one street, room for everybody, and the same solids wherever one asks."""

import numpy as np
import pytest

from voxbox_core.datasets.street.character import draw_street
from voxbox_core.datasets.street.layout import StreetSettings, build_scene
from voxbox_core.datasets.street.materials import Material, Semantic, reflectivity
from voxbox_core.datasets.street.mesh import box, ellipsoid
from voxbox_core.datasets.street.motion import Motion
from voxbox_core.datasets.street.road import Road
from voxbox_core.datasets.street.scene import KINDS, Instance, Part, Scene
from voxbox_core.datasets.street.solids import containing
from voxbox_core.datasets.street.space import Space
from voxbox_core.datasets.street.traffic import traffic
from voxbox_core.datasets.street.viewer import draw_light, draw_look, draw_rig
from voxbox_core.errors import InputError

GREY = (0.3, 0.3, 0.3)


def _scene(parts: tuple[Part, ...], instances: tuple[Instance, ...]) -> Scene:
    rng = np.random.default_rng(0)
    rig, _ = draw_rig(rng, draw_street(rng), 320, 96)
    return Scene(0, instances, parts, draw_light(rng), draw_look(rng), rig)


def _objects(seed: int) -> tuple[Instance, ...]:
    """A street's objects without its surroundings, which take longer to build."""
    rng = np.random.default_rng(seed)
    street = draw_street(rng)
    _, ego = draw_rig(rng, street, 1242, 375)
    return traffic(rng, street, ego)


@pytest.fixture(scope="module")
def street() -> Scene:
    return build_scene(5)


def test_a_seed_is_a_street(street: Scene) -> None:
    first, second, third = street, build_scene(5), build_scene(6)
    for a, b in zip(first.triangles(1.0), second.triangles(1.0)):
        assert np.array_equal(a, b)
    assert first.camera.intrinsics.tolist() == second.camera.intrinsics.tolist() != third.camera.intrinsics.tolist()


def test_semantics_of_simple_solids() -> None:
    """A house, a round tree overlapping it, a car that drives, against formulas."""
    house = Part(box((4, 6, 5), (10, 0, 2.5), GREY), Semantic.BUILDING)
    tree = Part(ellipsoid((2, 2, 2), (12, 3, 3), GREY, Material.LEAVES, 41, 40), Semantic.TREE)
    line = Part(box((30, 0.2, 0.02), (0, -1, 0.5), GREY), Semantic.GROUND, solid=False)
    car = Instance(1, "Car", box((4, 2, 1.5), (0, 0, 0.75), GREY), np.array([4, 2, 1.5]), Motion(0, -5, np.pi / 2, 3.0))
    scene = _scene((house, tree, line), (car,))
    points = np.random.default_rng(1).uniform((-5, -8, -1), (16, 8, 6), (4_000, 3))
    x, y, z = points.T
    expected = np.where(z < 0, Semantic.GROUND, Semantic.AIR)
    expected[(np.abs(x - 10) < 2) & (np.abs(y) < 3) & (z > 0) & (z < 5)] = Semantic.BUILDING
    radius = np.linalg.norm(points - [12, 3, 3], axis=1)
    expected[radius < 2] = Semantic.TREE
    expected[(np.abs(x) < 1) & (np.abs(y + 5 - 3.0) < 2) & (z > 0) & (z < 1.5)] = Semantic.CAR
    clear = np.abs(radius - 2) > 0.05
    assert np.array_equal(scene.semantics_at(points, 1.0)[clear], expected[clear])
    assert set(np.unique(expected)) == {
        Semantic.AIR, Semantic.GROUND, Semantic.BUILDING, Semantic.TREE, Semantic.CAR
    }  # fmt: skip


def test_a_union_of_overlapping_solids_has_no_holes() -> None:
    """Also where a point sits exactly under edges and corners."""
    both = np.concatenate([box((2, 2, 2), (0, 0, 0), GREY).triangles(), box((2, 2, 2), (1, 0, 0), GREY).triangles()])
    steps = np.linspace(-0.75, 0.75, 7)
    grid = np.stack(np.meshgrid(np.append(steps, [1.0, 1.5]), steps, steps), -1).reshape(-1, 3)
    assert containing(both, grid).all()
    assert not containing(both, grid + np.array([4, 0, 0])).any()
    assert not containing(both, np.array([[0.0, 0.0, 1.2], [0, 0, -1.2], [-1.5, 0, 0]])).any()


def test_what_a_street_is_made_of(street: Scene) -> None:
    """Points inside objects and above roads are what they are, in a whole scene."""
    for item in street.instances[:6]:
        if item.kind in ("Cyclist", "Pedestrian"):
            continue
        middle = (item.pose(0.7) @ [0, 0, item.size[2] * 0.4, 1])[None, :3]
        assert street.semantics_at(middle, 0.7)[0] == KINDS[item.kind]
    below = np.array([[0.0, 0.0, -0.1]])
    assert street.semantics_at(below, 0.0)[0] == Semantic.GROUND


def test_a_cyclist_is_a_person_on_a_bicycle() -> None:
    cyclists = [i for seed in range(6) for i in _objects(seed) if i.kind == "Cyclist"]
    assert cyclists
    assert set(np.unique(cyclists[0].semantics())) == {Semantic.PERSON, Semantic.BICYCLE}


def test_nobody_stands_or_drives_in_another() -> None:
    """Measured with circles inside the footprints, not with the code that placed them."""
    for seed in range(6):
        objects = _objects(seed)
        for t in (0.0, 2.0, 5.5):
            spots, owners = [], []
            for item in objects:
                half = item.size[1] / 2
                for x in np.linspace(-item.size[0] / 2 + half, item.size[0] / 2 - half, 4):
                    spots.append([*(item.pose(t) @ [x, 0, 0, 1])[:2], half * 0.95])
                    owners.append(item.id)
            places, owner = np.array(spots).reshape(-1, 3), np.array(owners)
            gap = np.linalg.norm(places[:, None, :2] - places[None, :, :2], axis=-1)
            apart = gap > places[:, None, 2] + places[None, :, 2]
            assert (apart | (owner[:, None] == owner[None])).all(), f"seed {seed} at {t} s"


def test_distances_are_those_of_a_street() -> None:
    """Cars from a few to some 100 m ahead, half of them within 60 m (the farther ones mostly hidden); all kinds."""
    objects = [item for seed in range(40) for item in _objects(seed)]
    assert {item.kind for item in objects} == set(KINDS)
    ahead = np.array([item.pose(0.0)[0, 3] for item in objects if item.kind == "Car"])
    ahead = ahead[ahead > 2]
    assert 20 < np.median(ahead) < 60
    assert np.quantile(ahead, 0.05) < 12
    assert ahead.max() < 140


def test_motion_follows_its_arc() -> None:
    """Positions by small steps agree with the closed form."""
    motion = Motion(1.0, 2.0, 0.3, 8.0, 0.02)
    x, y, heading, step = 1.0, 2.0, 0.3, 1e-4
    for _ in range(20_000):
        x, y = x + 8 * step * np.cos(heading), y + 8 * step * np.sin(heading)
        heading += 8 * step * 0.02
    pose = motion.pose(2.0)
    assert pose[:2, 3] == pytest.approx([x, y], abs=2e-3)
    assert np.arctan2(pose[1, 0], pose[0, 0]) == pytest.approx(heading, abs=1e-6)


@pytest.mark.parametrize("curvature", [0.0, 0.01, -0.02])
def test_a_lane_keeps_its_distance_from_the_middle(curvature: float) -> None:
    road = Road(curvature)
    for turn, sign in ((0.0, 1), (np.pi, -1)):
        pose = road.motion(10.0, 3.0, 5.0, turn).pose(4.0)
        s = 10.0 + sign * 20.0 / (1 - curvature * 3.0)
        x, y, heading = road.place(s, 3.0)
        assert pose[:2, 3] == pytest.approx([x, y], abs=1e-6)
        assert pose[:2, 0] == pytest.approx([np.cos(heading + turn), np.sin(heading + turn)], abs=1e-9)


def test_space_is_given_once() -> None:
    space = Space()
    assert space.claim(Motion(0, 0, 0, 0), 4, 2)
    assert not space.claim(Motion(3, 0.5, 0.4, 0), 4, 2)
    assert space.claim(Motion(0, 2.4, 0, 0), 4, 2)
    assert not space.claim(Motion(-30, 0, 0, 10), 4, 2), "it would drive into the first"


def test_reflectivity_is_a_share() -> None:
    colors = np.array([(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5)])
    dark, bright, plate = reflectivity(np.array([Material.MATTE, Material.MATTE, Material.PLATE]), colors)
    assert 0 < dark < bright <= 1
    assert plate > bright


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="image size is 0x375"):
        StreetSettings(0, 375)
