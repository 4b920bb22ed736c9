"""Meshes as solid cells, against formulas, winding angles and the street's own answer."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxbox_core import analytic_solids
from voxbox_core.analytic_solids import Box, Cylinder, Ellipsoid, HalfSpace
from voxbox_core.datasets.street.layout import build_scene
from voxbox_core.datasets.street.materials import Semantic
from voxbox_core.datasets.street.mesh import ellipsoid, tube
from voxbox_core.errors import InputError
from voxbox_core.fruxel import PAPER, SPACINGS, STREET, Fruxel
from voxbox_core.voxelize import PRIORITY, fill, occupancy
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN

SMALL = Fruxel(2.0, 12.0, 32, 32, 32, 40.0)
CORNERS = np.array([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
QUADS = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]])
FACES = np.concatenate([QUADS[:, [0, 1, 2]], QUADS[:, [0, 2, 3]]])


def box_mesh(box):
    """(12, 3, 3), counter-clockwise from outside."""
    return (CORNERS * box.size)[FACES] @ box.rotation.T + box.center


def random_boxes(seed, count, nearest=-1.0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        center = rng.uniform([-2, -2, nearest], [2, 2, 12])
        yield Box(center, rng.uniform(0.3, 6, 3), Rotation.random(random_state=rng).as_matrix())


def winding_angles(triangles, points):
    """(P,) how often closed surfaces go round each point (van Oosterom and Strackee, 1983)."""
    a, b, c = (triangles[None, :, n] - points[:, None] for n in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
    across = (a * np.cross(b, c)).sum(-1)
    along = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return np.round(np.arctan2(across, along).sum(-1) / (2 * np.pi)).astype(int)


@pytest.mark.parametrize("subslices", [1, 3])
@pytest.mark.parametrize("rule", ["winding", "parity"])
@pytest.mark.parametrize(
    "fruxel",
    [SMALL, PAPER, STREET, *(Fruxel(1.0, 9.0, 20, 30, 41, 70.0, s, (12.3, 31.4)) for s in SPACINGS)],
    ids=lambda f: f"{f.slices}-{f.spacing}",
)
def test_boxes_are_exactly_what_the_formula_says(fruxel, rule, subslices):
    """Boxes of all sizes and turns, many around the camera or cut by the near plane: not one cell differs."""
    for box in random_boxes(0, 4 if fruxel is PAPER else 12):
        found = occupancy(box_mesh(box), fruxel, subslices, rule)
        np.testing.assert_array_equal(found, analytic_solids.occupancy(box, fruxel, subslices))


def test_the_boxes_of_that_test_are_worth_it():
    inside = [box.contains(np.zeros(3)) for box in random_boxes(0, 12)]
    cells = [analytic_solids.occupancy(box, SMALL, 1).mean() for box in random_boxes(0, 12)]
    assert sum(inside) >= 2 and sum(0 < c < 1 for c in cells) >= 7


def test_round_solids_are_right_within_their_facets():
    turn = Rotation.from_euler("xyz", [0.4, 0.3, 0.2]).as_matrix()
    radii, center = np.array([1.5, 0.8, 1.0]), np.array([0.3, -0.2, 6.0])
    mesh = ellipsoid(radii, np.zeros(3), (1, 1, 1), rings=60, sides=80).triangles() @ turn.T + center
    found = occupancy(mesh, PAPER, 1)
    outer = analytic_solids.occupancy(Ellipsoid(center, radii * 1.001, turn), PAPER, 1)
    inner = analytic_solids.occupancy(Ellipsoid(center, radii * 0.997, turn), PAPER, 1)
    assert (inner <= found).all() and (found <= outer).all() and inner.sum() > 0.98 * outer.sum() > 1000
    pipe = tube([(0, 0, -1.0), (0, 0, 1.0)], 0.5, (1, 1, 1), 0, sides=200).triangles() @ turn.T + center
    found = occupancy(pipe, PAPER, 1)
    outer = analytic_solids.occupancy(Cylinder(center, 0.501, 2.002, turn), PAPER, 1)
    inner = analytic_solids.occupancy(Cylinder(center, 0.499, 1.998, turn), PAPER, 1)
    assert (inner <= found).all() and (found <= outer).all() and inner.sum() > 0.98 * outer.sum() > 1000


def test_solids_that_overlap_are_their_union_and_by_parity_not():
    a, b = Box([0, 0, 6], [2, 2, 2]), Box([0.5, 0.5, 6.5], [2, 2, 2])
    alone = [analytic_solids.occupancy(solid, SMALL, 1) for solid in (a, b)]
    both = np.concatenate([box_mesh(a), box_mesh(b)])
    np.testing.assert_array_equal(occupancy(both, SMALL, 1), alone[0] | alone[1])
    np.testing.assert_array_equal(occupancy(both[:, ::-1], SMALL, 1), alone[0] | alone[1])
    np.testing.assert_array_equal(occupancy(both, SMALL, 1, "parity"), alone[0] ^ alone[1])
    mixed = both.copy()
    mixed[::2] = mixed[::2, ::-1]
    np.testing.assert_array_equal(occupancy(mixed, SMALL, 1, "parity"), alone[0] ^ alone[1])


def test_a_crooked_mesh_agrees_with_its_winding_angles():
    rng = np.random.default_rng(1)
    bumps = rng.uniform(0.4, 1.5, (9, 12))
    mesh = ellipsoid((1.5, 1.2, 2.5), (0.2, 0.1, 4.0), (1, 1, 1), rings=9, sides=12, bumps=bumps).triangles()
    cells = np.argwhere(np.ones(SMALL.shape, bool))[rng.choice(32**3, 3000, replace=False)]
    expected = winding_angles(mesh.astype(np.float64), SMALL.centers(cells)) != 0
    assert 300 < expected.sum() < 2700
    np.testing.assert_array_equal(occupancy(mesh, SMALL, 1)[tuple(cells.T)], expected)


@pytest.mark.parametrize("rule", ["winding", "parity"])
def test_rays_through_corners_and_edges_count_once(rule):
    """A slab of fans of triangles whose hubs and rims, and most of whose edges, lie on rays of columns."""
    fruxel = Fruxel(1.0, 9.0, 16, 8, 8, 90.0)
    rim = np.array([[2.5, 2.5], [5.5, 2.5], [5.5, 5.5], [2.5, 5.5]]) - 4
    hub = np.array([3.5, 3.5]) - 4
    front, back = (np.column_stack([rim / fruxel.focal * z, np.full(4, z)]) for z in (2.0, 4.0))
    hubs = [np.append(hub / fruxel.focal * z, z) for z in (2.0, 4.0)]
    faces = []
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        faces += [[hubs[0], front[b], front[a]], [hubs[1], back[a], back[b]]]
        faces += [[front[a], front[b], back[b]], [front[a], back[b], back[a]]]
    thick = occupancy(np.array(faces), fruxel, 1, rule).sum(0)
    assert (thick[3:5, 3:5] == (4 - 2) / 0.5).all()
    assert set(thick[2:6, 2:6].ravel()) <= {0, (4 - 2) / 0.5} and thick.sum() == thick[2:6, 2:6].sum()


def test_any_cell_met_in_a_sub_slice_counts():
    """A plate thinner than a slice is missed at the middle, and found by the sub-slice that it lies in."""
    edges = SMALL.edges[10:12]
    thin = Box([0, 0, edges[0] + 0.2 * (edges[1] - edges[0])], [9, 9, 0.1 * (edges[1] - edges[0])])
    assert not occupancy(box_mesh(thin), SMALL, 1).any()
    assert occupancy(box_mesh(thin), SMALL, 3)[10].all() and occupancy(box_mesh(thin), SMALL, 3).sum() == 32 * 32


def test_what_is_out_of_the_grid_is_not_in_it():
    for center in ([0, 0, -5], [0, 0, 20], [30, 0, 6], [0, -30, 6], [0, 0, 1.2]):
        assert not occupancy(box_mesh(Box(center, [1, 1, 1])), SMALL).any()
    assert not occupancy(np.zeros((0, 3, 3)), SMALL).any()
    assert occupancy(box_mesh(Box([0, 0, 6], [90, 90, 90])), SMALL).all()


def test_a_street_is_what_it_says_of_itself():
    """`Scene.semantics_at` counts upwards, in the world: another ray for every cell."""
    scene = build_scene(3)
    world_from_camera = scene.rig.motion.pose(0.0) @ scene.rig.ego_from_camera
    turn, place = world_from_camera[:3, :3], world_from_camera[:3, 3]
    solid = [p for p in scene.parts if p.solid and p.semantic != Semantic.GROUND]
    parts = [(p.mesh.triangles(), int(p.semantic) if p.semantic < len(CLASSES) else None) for p in solid]
    for instance in scene.instances:
        pose, kinds = instance.pose(0.0), instance.semantics()
        placed = instance.mesh.triangles() @ pose[:3, :3].T + pose[:3, 3]
        parts += [(placed[kinds == kind], int(kind)) for kind in np.unique(kinds)]
    labels = fill([((mesh - place) @ turn, label) for mesh, label in parts], STREET, subslices=1)
    cells = np.argwhere(np.ones(STREET.shape, bool))[::17]
    truth = scene.semantics_at(STREET.centers(cells) @ turn.T + place, 0.0)
    truth = np.where(truth == Semantic.OTHER, UNKNOWN, truth)
    above = truth != Semantic.GROUND
    assert (truth[above] != AIR).sum() > 500
    np.testing.assert_array_equal(labels[tuple(cells.T)][above], truth[above])


def test_the_later_of_the_priority_wins_whatever_the_order():
    box = box_mesh(Box([0, 0, 6], [1, 1, 1]))
    inside = tuple(SMALL.locate(np.array([[0.0, 0, 6]]))[0][0])
    ground = analytic_solids.occupancy(HalfSpace([0, 1, 0], -0.2), SMALL)
    assert set(PRIORITY) == set(CLASSES)
    for later, name in enumerate(PRIORITY[1:], start=1):
        for earlier in PRIORITY[:later]:
            parts = [(box, CLASSES.index(name)), (box, CLASSES.index(earlier)), (box, None)]
            for order in (parts, parts[::-1]):
                assert fill(order, SMALL, ground)[inside] == CLASSES.index(name)


def test_the_unknown_is_unknown_where_nothing_known_is():
    known, unknown = Box([0, 0, 6], [1, 1, 1]), Box([0.5, 0, 6], [1, 1, 1])
    labels = fill([(box_mesh(known), CLASSES.index("car")), (box_mesh(unknown), None)], SMALL, subslices=1)
    car, other = (analytic_solids.occupancy(solid, SMALL, 1) for solid in (known, unknown))
    np.testing.assert_array_equal(labels == CLASSES.index("car"), car)
    np.testing.assert_array_equal(labels == UNKNOWN, other & ~car)
    assert (labels[~car & ~other] == AIR).all()


def test_below_the_ground_all_is_ground():
    """A wedge, down to the end of the frustum; without a ground there is none."""
    height = 1.5
    below = analytic_solids.occupancy(HalfSpace([0, 1, 0], height), PAPER, 1)
    labels = fill([], PAPER, below)
    k, j, _ = np.meshgrid(*map(np.arange, PAPER.shape), indexing="ij")
    depth = (j + 0.5 - 64) * PAPER.depths[k] / PAPER.focal
    np.testing.assert_array_equal(labels == CLASSES.index("ground"), depth >= height)
    assert not fill([], PAPER).any()


def test_a_filled_ground_does_not_write_into_the_caller_s():
    ground = np.zeros(SMALL.shape, bool)
    fill([(box_mesh(Box([0, 0, 6], [1, 1, 1])), CLASSES.index("ground"))], SMALL, ground)
    assert not ground.any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"triangles": np.zeros((4, 3))}, r"shape of the triangles .* \(4, 3\); expected \(T, 3, 3\)"),
        ({"triangles": np.full((1, 3, 3), np.nan)}, "a corner of the triangles to voxelize is not finite"),
        ({"subslices": 0}, "subslices to voxelize is 0; expected at least 1"),
        ({"rule": "odd"}, "rule to voxelize is odd"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        occupancy(**({"triangles": np.zeros((1, 3, 3)), "fruxel": SMALL} | wrong))


def test_labels_and_grounds_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="label to voxelize is 10"):
        fill([(np.zeros((0, 3, 3)), 10)], SMALL)
    with pytest.raises(InputError, match="shape of the ground"):
        fill([], SMALL, np.zeros((2, 2, 2), bool))
    for bad, message in (
        (lambda: Box([0, 0, np.inf], [1, 1, 1]), "center of a Box"),
        (lambda: Box([0, 0, 1], [1, 0, 1]), "size of a Box .* expected m, above 0"),
        (lambda: Ellipsoid([0, 0, 1], [1, 1, 1], 2 * np.eye(3)), "rotation of a Ellipsoid .* a rotation matrix"),
        (lambda: HalfSpace([0, 0, 0], 1.0), "normal of a HalfSpace"),
        (lambda: analytic_solids.occupancy(Box([0, 0, 1], [1, 1, 1]), SMALL, 0), "subslices"),
    ):
        with pytest.raises(InputError, match=message):
            bad()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_volumes_agree(spacing):
    """Cells have the volume of their solid: of a box well inside, within what its faces cut off."""
    fruxel = replace(PAPER, spacing=spacing)
    box = Box([0.1, -0.2, 7.0], [1.5, 1.1, 2.3], Rotation.from_euler("y", 0.4).as_matrix())
    found = (occupancy(box_mesh(box), fruxel, 1).sum((1, 2)) * fruxel.volumes).sum()
    assert found == pytest.approx(box.size.prod(), rel=0.02)
