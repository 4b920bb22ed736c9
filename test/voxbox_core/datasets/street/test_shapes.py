"""Every shape is what it claims: closed, turned outwards, standing on its origin, of its size."""

from collections.abc import Callable

import numpy as np
import pytest

from voxbox_core.datasets.street import furniture, houses, lorries, people, plants, vehicles
from voxbox_core.datasets.street.materials import Material
from voxbox_core.datasets.street.mesh import Mesh, box, ellipsoid, tube
from voxbox_core.datasets.street.road import Road
from voxbox_core.datasets.street.vehicles import Vehicle

VEHICLES: dict[str, Callable[[np.random.Generator], Vehicle]] = {
    "car": vehicles.car,
    "van": vehicles.van,
    "truck": lorries.truck,
    "bus": lorries.bus,
    "cyclist": people.cyclist,
    "pedestrian": lambda rng: people.pedestrian(rng, 0.4),
}
THINGS: dict[str, Callable[[np.random.Generator], Mesh]] = {
    "tree": plants.tree,
    "hedge": lambda rng: plants.hedge(rng, (8.0, 1.0, 1.5)),
    "wood": lambda rng: plants.wood(rng, 30.0, 5.0, 8.0),
    "house": lambda rng: houses.house(rng, 10.0, 9.0, int(rng.integers(1, 5))),
    "garages": lambda rng: houses.garages(rng, 3),
    "fence": lambda rng: furniture.fence(rng, 8.0),
    "rail": lambda rng: furniture.rail(20.0),
    "motorcycle": people.motorcycle,
    "lamp post": furniture.lamp_post,
    "sign": furniture.sign,
    "traffic light": furniture.traffic_light,
    "ribbon": lambda rng: Road(0.01).ribbon(0, 40, -3, 4, 0.1, (0.1, 0.1, 0.1), Material.ASPHALT),
}
SHAPES = THINGS | {name: (lambda rng, draw=draw: draw(rng).mesh) for name, draw in VEHICLES.items()}


def _volume(mesh: Mesh) -> float:
    a, b, c = mesh.triangles().astype(np.float64).transpose(1, 0, 2)
    return float((np.cross(a, b) * c).sum() / 6)


@pytest.mark.parametrize("name", SHAPES)
def test_closed_and_turned_outwards(name: str) -> None:
    """Closed: every edge is run through as often one way as the other, corners at one place being one corner."""
    for seed in range(4):
        mesh = SHAPES[name](np.random.default_rng(seed))
        _, corner = np.unique(np.round(mesh.vertices, 4), axis=0, return_inverse=True)
        faces = corner.reshape(-1)[mesh.faces]
        start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
        count = len(mesh.vertices)
        one, other = np.bincount(start * count + end, minlength=1), np.bincount(end * count + start, minlength=1)
        size = max(len(one), len(other))
        assert np.array_equal(np.pad(one, (0, size - len(one))), np.pad(other, (0, size - len(other))))
        assert _volume(mesh) > 0


@pytest.mark.parametrize("name", VEHICLES)
def test_size_is_the_extent(name: str) -> None:
    """Mirrors and plates may stick out: a few centimetres lengthwise, a hand's length sideways."""
    for seed in range(5):
        vehicle = VEHICLES[name](np.random.default_rng(seed))
        low, high = vehicle.mesh.vertices.min(0), vehicle.mesh.vertices.max(0)
        assert low[2] == pytest.approx(0, abs=0.02)
        assert high[2] == pytest.approx(vehicle.size[2], abs=0.04)
        assert (high - low)[0] == pytest.approx(vehicle.size[0], abs=0.06)
        assert -0.01 < (high - low)[1] - vehicle.size[1] < 0.55


def test_cars_have_the_sizes_of_kittis() -> None:
    """One camera takes size for distance: a fleet larger than the labels' would be placed too far."""
    sizes = np.array([vehicles.car(np.random.default_rng(seed)).size for seed in range(400)])
    assert sizes.mean(0) == pytest.approx([3.88, 1.63, 1.53], rel=0.02)
    assert ((sizes.std(0) > [0.25, 0.04, 0.05]) & (sizes.std(0) < [0.55, 0.15, 0.16])).all()


def test_volumes_of_simple_solids() -> None:
    grey = (0.5, 0.5, 0.5)
    assert _volume(box((2, 3, 4), (1, 1, 1), grey)) == pytest.approx(24)
    assert _volume(ellipsoid((1, 2, 3), (5, 0, 0), grey, rings=61, sides=60)) == pytest.approx(8 * np.pi, rel=0.01)
    assert _volume(tube([(0, 0, 0), (3, 0, 4)], 0.5, grey, Material.METAL, 60)) == pytest.approx(1.25 * np.pi, rel=0.01)


def test_a_moved_mesh_keeps_its_normals_upright() -> None:
    """A sphere squeezed, turned and shifted: its normals are still at right angles to its faces, roughly."""
    mesh = ellipsoid((1, 1, 1), (0, 0, 0), (0.5, 0.5, 0.5), rings=40, sides=40).moved((3, 2, 1), 0.7, (2.0, 0.5, 1.0))
    a, b, c = mesh.triangles().transpose(1, 0, 2)
    flat = np.cross(b - a, c - a)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    assert (mesh.normals * flat[:, None]).sum(-1).min() > 0.9
