"""The geometry of fruxel grids against the paper's numbers and its own definition."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.fruxel import PAPER, SHAPENET, SPACINGS, STREET, Fruxel

SMALL = Fruxel(2.0, 12.0, 13, 9, 17, 40.0)
GRIDS = [replace(SMALL, spacing=s, principal=p) for s in SPACINGS for p in ((), (5.3, -1.7), (-40.0, 30.0))]
NUSCENES = Camera(np.array([[1266.4, 0, 816.3 - 0.5], [0, 1266.4, 491.5 - 0.5], [0, 0, 1]]), 1600, 900)
KITTI = Camera(np.array([[721.54, 0, 609.6 - 0.5], [0, 721.54, 172.9 - 0.5], [0, 0, 1]]), 1242, 375)
"""Of the data sets' cameras, in OpenCV's coordinates, half a pixel before those of the numbers."""


def cells(fruxel):
    return np.argwhere(np.ones(fruxel.shape, bool))


@pytest.mark.parametrize("fruxel", [*GRIDS, SHAPENET, STREET], ids=lambda f: f"{f.spacing}{f.principal}")
def test_each_cell_s_centre_lies_in_it(fruxel):
    index = cells(fruxel)[:: max(1, np.prod(fruxel.shape) // 50000)]
    found, inside = fruxel.locate(fruxel.centers(index))
    assert inside.all()
    np.testing.assert_array_equal(found, index)


@settings(max_examples=50, deadline=None)
@given(k=st.floats(0.01, 12.99), j=st.floats(0.01, 8.99), i=st.floats(0.01, 16.99), fruxel=st.sampled_from(GRIDS))
def test_any_point_lies_in_the_cell_that_its_coordinates_name(k, j, i, fruxel):
    z = float(fruxel.plane(k))
    x, y = fruxel.principal
    point = np.array([[(i - x) * z / fruxel.focal, (j - y) * z / fruxel.focal, z]])
    assert fruxel.slice_of(z) == pytest.approx(k, abs=1e-9)
    near_a_border = min(abs(v - round(v)) for v in (k, j, i)) < 1e-9
    found, inside = fruxel.locate(point)
    assert inside[0] and (near_a_border or found[0].tolist() == [int(k), int(j), int(i)])


def test_points_outside_are_outside():
    z, half = 5.0, 5.0 * np.tan(np.radians(20))
    ends = [[0, 0, 1.99], [0, 0, 12.01], [1.001 * half, 0, z], [-1.001 * half, 0, z], [0, half, z], [0, -half, z]]
    assert not SMALL.locate(np.array([*ends, [0, 0, 0], [0, 0, -5], [np.nan, 0, 5], [0, 0, np.nan]]))[1].any()
    assert SMALL.locate(np.array([[0.999 * half, 0, z], [0, 0, 2.001], [0, 0, 11.999]]))[1].all()
    found, inside = SMALL.locate(np.zeros((0, 3)))
    assert found.shape == (0, 3) and inside.shape == (0,)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_all_cells_together_are_the_frustum(spacing):
    fruxel = replace(PAPER, spacing=spacing)
    frustum = 4 / 3 * np.tan(np.radians(20)) ** 2 * (12.0**3 - 2.0**3)
    assert (fruxel.volumes * 128 * 128).sum() == pytest.approx(frustum) == pytest.approx(303.8, abs=0.05)


def test_the_paper_s_grids_have_their_sizes():
    """f, the cells' sizes and the ratio of their volumes, computed by hand from {z_n, z_f, d, alpha}."""
    assert PAPER.focal == pytest.approx(175.839, abs=1e-3) and SHAPENET.focal == pytest.approx(110.851, abs=1e-3)
    np.testing.assert_allclose(PAPER.thickness, 0.078125)
    np.testing.assert_allclose(SHAPENET.thickness, 0.0546875)
    assert PAPER.edges[[0, -1]] / PAPER.focal == pytest.approx([0.01137, 0.06824], abs=1e-5)
    assert SHAPENET.edges[[0, -1]] / SHAPENET.focal == pytest.approx([0.0271, 0.0902], abs=1e-4)
    assert PAPER.volumes[-1] / PAPER.volumes[0] == pytest.approx(34.4, abs=0.1)
    assert SHAPENET.volumes[-1] / SHAPENET.volumes[0] == pytest.approx(10.9, abs=0.1)


def test_log_cells_have_the_same_proportions_at_all_depths():
    fruxel = replace(PAPER, spacing="log")
    proportion = fruxel.thickness / fruxel.lateral
    np.testing.assert_allclose(proportion, proportion[0])


def test_inverse_slices_are_even_in_inverse_depth():
    steps = np.diff(1 / replace(PAPER, spacing="inverse").edges)
    np.testing.assert_allclose(steps, steps[0])


@pytest.mark.parametrize("per_cell", [1, 2, 5])
@pytest.mark.parametrize("fruxel", GRIDS, ids=lambda f: f"{f.spacing}{f.principal}")
def test_each_cell_is_seen_in_its_own_pixels(fruxel, per_cell):
    """What defines a fruxel grid: cell (k, j, i) projects into the pixels of column (j, i), whatever k is."""
    index = cells(fruxel)
    camera = fruxel.camera(per_cell)
    assert (camera.width, camera.height) == (per_cell * fruxel.columns, per_cell * fruxel.rows)
    pixels, _ = camera.project(fruxel.centers(index))
    np.testing.assert_allclose(pixels, per_cell * (index[:, [2, 1]] + 0.5) - 0.5, atol=1e-8)


@pytest.mark.parametrize("camera", [NUSCENES, KITTI], ids=["nuscenes", "kitti"])
@pytest.mark.parametrize("per_cell", [1, 2])
@pytest.mark.parametrize("fruxel", [PAPER, STREET, replace(PAPER, principal=(50.0, 80.5))])
def test_a_real_camera_s_image_is_moved_into_the_grid_s(camera, per_cell, fruxel):
    points = fruxel.centers(cells(fruxel)[:: np.prod(fruxel.shape) // 5000])
    moved = camera.project(points)[0] @ fruxel.affine(camera, per_cell)[:, :2].T + fruxel.affine(camera, per_cell)[:, 2]
    np.testing.assert_allclose(moved, fruxel.camera(per_cell).project(points)[0], atol=1e-8)


@pytest.mark.parametrize(
    ("camera", "square", "left", "top"),
    [(NUSCENES, 921.9, 355.3, 30.6), (KITTI, 525.2, 347.0, -89.7)],
    ids=["nuscenes", "kitti"],
)
def test_the_crops_of_real_cameras_are_those_computed_by_hand(camera, square, left, top):
    """2 f tan(20 deg) pixels about the principal point, in coordinates where a pixel covers [p, p + 1)."""
    affine = PAPER.affine(camera, 2)
    back = np.linalg.inv(np.vstack([affine, [0, 0, 1]]))
    start, end = (back @ [e, e, 1] for e in (-0.5, 255.5))
    assert start[:2] + 0.5 == pytest.approx([left, top], abs=0.1)
    assert (end - start)[:2] == pytest.approx([square, square], abs=0.1)


def test_unequal_focal_lengths_and_skew_are_straightened():
    camera = Camera(np.array([[800.0, 3.0, 400], [0, 600, 300], [0, 0, 1]]), 800, 600)
    points = PAPER.centers(cells(PAPER)[::5000])
    affine = PAPER.affine(camera)
    moved = camera.project(points)[0] @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(moved, PAPER.camera().project(points)[0], atol=1e-8)


def test_a_warped_image_shows_what_its_camera_sees():
    """A bright square in a real image lands on the cells that its direction belongs to."""
    image = np.zeros((KITTI.height, KITTI.width), np.float32)
    image[200:230, 700:740] = 1
    warped = cv2.warpAffine(image, STREET.affine(KITTI, 2), (2 * STREET.columns, 2 * STREET.rows))
    rows, columns = np.nonzero(warped > 0.5)
    middle = KITTI.back_project(np.array([[(700 + 739) / 2, (200 + 229) / 2]]), np.array([10.0]))
    expected, _ = STREET.camera(2).project(middle)
    assert [columns.mean(), rows.mean()] == pytest.approx(expected[0], abs=0.5)


@pytest.mark.parametrize("fruxel", [PAPER, STREET, *GRIDS], ids=lambda f: f"{f.spacing}{f.principal}")
def test_json_tells_everything(fruxel):
    assert Fruxel.from_json(fruxel.to_json()) == fruxel
    assert hash(Fruxel.from_json(fruxel.to_json())) == hash(fruxel)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"near": 0.0}, "near of a fruxel grid is 0.0; expected m, above 0"),
        ({"near": float("nan")}, "near of a fruxel grid is nan"),
        ({"far": 2.0}, r"far of a fruxel grid is 2.0; expected m, beyond near \(2.0\)"),
        ({"far": float("inf")}, "far of a fruxel grid is inf"),
        ({"slices": 0}, "slices of a fruxel grid is 0; expected at least 1"),
        ({"rows": -3}, "rows of a fruxel grid is -3"),
        ({"columns": 2.5}, "columns of a fruxel grid is 2.5; expected a whole number"),
        ({"alpha": 180.0}, "alpha of a fruxel grid is 180.0; expected deg, between 0 and 180"),
        ({"spacing": "cubic"}, "spacing of a fruxel grid is cubic; expected one of"),
        ({"principal": (1.0,)}, r"principal of a fruxel grid is \(1.0,\); expected two grid coordinates"),
        ({"principal": (1.0, float("nan"))}, "principal of a fruxel grid"),
    ],
)
def test_what_makes_no_frustum_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **change)


@pytest.mark.parametrize("text", ["", "[]", '{"near": 2}', '{"depth": 3}', '{"near": "two"}'])
def test_text_that_describes_no_grid_is_refused(text):
    with pytest.raises(InputError):
        Fruxel.from_json(text)
