"""Poses survive the certificate's code, on grids of any proportions and spacings."""

import numpy as np
import pytest
import torch

from ssz_ros.pose_codec import ROTATIONS, PoseGrid, plane, upright, yaw_of
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.voxel_sample import Poses
from voxbox_core.errors import InputError
from voxbox_core.fruxel import SPACINGS, Fruxel
from voxbox_core.voxels import CLASSES

CAR, PERSON = CLASSES.index("car"), CLASSES.index("person")
CELLS = (3, 2, 4)


def grid(spacing: str = "log", rotation: str = "quaternion") -> PoseGrid:
    return PoseGrid(Fruxel(2.0, 40.0, 13, 10, 20, 60.0, spacing, (9.0, 4.5)), CELLS, rotation)


def some_poses(fruxel: Fruxel, count: int, label: int = CAR) -> Poses:
    rng = np.random.default_rng(0)
    place = rng.uniform(0.02, 0.98, (count, 3)) * fruxel.shape
    depth = fruxel.plane(place[:, 0])
    x = (place[:, 2] - fruxel.principal[0]) * depth / fruxel.focal
    y = (place[:, 1] - fruxel.principal[1]) * depth / fruxel.focal
    quaternion = rng.normal(size=(count, 4))
    quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
    quaternion[quaternion[:, 0] < 0] *= -1
    return Poses(np.full(count, label), np.stack([x, y, depth], 1), quaternion, np.ones((count, 3)))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_depths_with_a_gradient_are_those_of_the_grid(spacing: str) -> None:
    fruxel = grid(spacing).fruxel
    k = np.linspace(0, fruxel.slices, 50)
    np.testing.assert_allclose(plane(fruxel, torch.from_numpy(k)), fruxel.plane(k), rtol=1e-12)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_round_trip(spacing: str, rotation: str) -> None:
    """A certificate that says in each cell of an object where in the cell its centre is, decodes to the poses."""
    poses = grid(spacing, rotation)
    fruxel, stride = poses.fruxel, np.array(poses.fruxel.shape) / CELLS
    objects = some_poses(fruxel, 12)
    targets = poses.encode(objects)
    assert 6 <= targets["object"].sum() <= 12
    certificate = torch.zeros(1, poses.channels, *CELLS, dtype=torch.float64)
    for cell in np.argwhere(targets["object"]):
        x, y, z = targets["translation"][(slice(None), *cell)].astype(np.float64)
        row = fruxel.principal[1] + fruxel.focal * y / z
        column = fruxel.principal[0] + fruxel.focal * x / z
        part = np.array([fruxel.slice_of(z), row, column]) / stride - cell
        assert ((part > -1e-6) & (part < 1 + 1e-6)).all()
        logits = np.log(part / (1 - part))
        code = -2.0 if rotation == "quaternion" else 3.0  # of any length, and a quaternion of any sign
        code = code * targets["rotation"][(slice(None), *cell)]
        certificate[(0, slice(None), *cell)] = torch.from_numpy(np.concatenate([[1.0], logits, code]))
    found = poses.decode(certificate)
    at = torch.from_numpy(targets["object"])
    for name in ("translation", "rotation"):
        np.testing.assert_allclose(found[name][0][:, at], targets[name][:, at], atol=1e-4)
    assert torch.allclose(found["real"][0, at], torch.tensor(1.0, dtype=torch.float64).sigmoid())


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_objects_are_read_back_as_poses(rotation: str) -> None:
    poses = grid("log", rotation)
    yaw = np.array([0.3, -2.0, 3.0])
    objects = some_poses(poses.fruxel, 3)
    objects = Poses(objects.label, objects.translation, upright(yaw), objects.size)
    targets = {name: torch.from_numpy(value)[None] for name, value in poses.encode(objects).items()}
    certificate = torch.zeros(1, poses.channels, *CELLS)
    certificate[:, 4:] = targets["rotation"]
    translation, rotations = poses.poses(certificate, targets)
    assert translation.shape == (3, 3) and rotations.shape == (3, 4)
    turn = 2 * yaw if rotation == "double_yaw" else yaw
    found = yaw_of(rotations) * (2 if rotation == "double_yaw" else 1)
    expected = np.exp(1j * turn)
    assert sorted(np.round(np.exp(1j * found), 4), key=np.angle) == sorted(np.round(expected, 4), key=np.angle)


def test_yaw_is_that_of_boxes_and_upright_its_inverse() -> None:
    yaw = np.linspace(-3.1, 3.1, 9)
    quaternion = upright(yaw)
    np.testing.assert_allclose(np.linalg.norm(quaternion, axis=1), 1)
    assert (quaternion[:, 0] >= 0).all()
    np.testing.assert_allclose(yaw_of(quaternion), yaw, atol=1e-12)
    w, x, y, z = quaternion.T
    forward = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], 1)
    np.testing.assert_allclose(forward, np.stack([np.cos(yaw), 0 * yaw, -np.sin(yaw)], 1), atol=1e-12)
    up = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], 1)
    np.testing.assert_allclose(up, np.tile([0, -1, 0], (9, 1)), atol=1e-12)
    count = len(yaw)
    boxes = Boxes3D(
        np.zeros((count, 3)), np.tile([4.0, 1e-6, 1e-6], (count, 1)), yaw,
        np.zeros(count, int), np.ones(count), np.zeros((count, 4)), ("car",),
    )  # fmt: skip
    reach = boxes.corners() @ forward[:, :, None]
    np.testing.assert_allclose(np.abs(reach).max((1, 2)), 2, rtol=1e-5)


def test_of_objects_in_one_cell_the_nearest_is_kept_and_those_outside_are_not() -> None:
    poses = PoseGrid(Fruxel(2.0, 40.0, 8, 8, 8, 60.0), (1, 1, 1), "yaw")
    translation = [[0, 0, 30], [0.1, 0, 9], [0, 0, 20], [0, 0, 1], [0, 0, -5], [30, 0, 10]]
    identity = np.tile([1.0, 0, 0, 0], (6, 1))
    targets = poses.encode(Poses(np.full(6, CAR), np.array(translation, float), identity, np.ones((6, 3))))
    assert targets["object"].all()
    np.testing.assert_allclose(targets["translation"].ravel(), [0.1, 0, 9], rtol=1e-6)


def test_people_are_the_same_from_all_sides() -> None:
    poses = grid()
    assert poses.encode(some_poses(poses.fruxel, 4, CAR))["rotates"].any()
    targets = poses.encode(some_poses(poses.fruxel, 4, PERSON))
    assert targets["object"].any() and not targets["rotates"].any()


@pytest.mark.parametrize("nothing", [None, Poses([], np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 3)))])
def test_nothing_to_encode(nothing: Poses | None) -> None:
    targets = grid().encode(nothing)
    assert not targets["object"].any()
    assert targets["translation"].shape == (3, *CELLS) and targets["rotation"].shape == (4, *CELLS)


def test_refusals() -> None:
    with pytest.raises(InputError, match="rotation code"):
        grid(rotation="euler")
    with pytest.raises(InputError, match="cells of a certificate"):
        PoseGrid(Fruxel(2.0, 40.0, 8, 8, 8, 60.0), (1, 0, 1))
