"""Voxels in pictures: true to their place and size, hidden where something stands before them, known from unknown."""

import numpy as np
import pytest

from voxbox_core.draw_voxels import VIEWS, comparison, first_met, rendered, slices
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxel_raster import View, corners, paint
from voxbox_core.voxels import AIR, CLASSES, COLOURS, UNKNOWN, Voxels

GRID = Fruxel(near=2.0, far=20.0, slices=12, rows=8, columns=12, alpha=60.0, spacing="log")
CAR, TREE, GROUND = (CLASSES.index(name) for name in ("car", "tree", "ground"))
LEGEND = 30


def _voxels(*cells: tuple[int, int, int, int]) -> Voxels:
    """(slice, row, column, label) of what is not air."""
    labels = np.full(GRID.shape, AIR, np.uint8)
    for k, j, i, label in cells:
        labels[k, j, i] = label
    return Voxels(labels, GRID)


def _inked(picture: np.ndarray, name: str) -> np.ndarray:
    """(H, W) bool, without the legend: pixels nearer to a class's hue than to grey, as bright as a lit face."""
    ink = np.array(COLOURS[name], float)
    pixels = picture[:-LEGEND].astype(float)
    likeness = (pixels @ ink) / (np.linalg.norm(pixels, axis=-1) * np.linalg.norm(ink) + 1e-9)
    return np.asarray((likeness > 0.985) & (pixels.max(-1) > 0.4 * ink.max()))


def test_from_above_cells_stand_at_their_metres() -> None:
    cells = np.array([[3, 4, 1], [7, 4, 6], [10, 4, 10]])
    metres, pixels, areas = GRID.centers(cells)[:, [0, 2]], [], []
    for k, j, i in cells:
        shown = _inked(rendered(_voxels((k, j, i, CAR)), "above"), "car")
        pixels.append(np.argwhere(shown).mean(0)[::-1] * (1, -1))
        areas.append(shown.sum())
    scale = np.linalg.norm(np.diff(pixels, axis=0), axis=1) / np.linalg.norm(np.diff(metres, axis=0), axis=1)
    assert np.allclose(scale, scale[0], rtol=0.04)  # of a cell's middle, half-way in slices and not in metres
    k = cells[:, 0]
    assert np.allclose(areas, scale[0] ** 2 * (GRID.thickness * GRID.edges[1:] / GRID.focal)[k], rtol=0.2)


def test_a_cell_hides_what_is_behind_it() -> None:
    both = rendered(_voxels((2, 4, 5, CAR), (9, 4, 5, TREE)), "camera")
    assert _inked(both, "car").any() and not _inked(both, "tree").any()
    apart = rendered(_voxels((2, 4, 5, CAR), (9, 4, 8, TREE)), "camera")
    assert _inked(apart, "car").sum() == pytest.approx(_inked(apart, "tree").sum(), rel=0.1)  # rays: of one size


def test_faces_leave_no_gaps_and_nothing_behind_shows() -> None:
    filled = np.ones(GRID.shape, bool)
    ink = np.full((*GRID.shape, 3), 200, np.uint8)
    ink[1:] = 0, 200, 0  # all but the nearest slice
    scale = 17.3
    view = View(np.eye(3), np.zeros(3), scale * GRID.focal, (scale * 6, scale * 4))
    picture, nearness = paint(filled, ink, view.project(corners(GRID)), (int(scale * 12), int(scale * 8)), 1.0)
    assert np.allclose(nearness, 1 / GRID.near, rtol=1e-3)
    assert (picture[..., 0] == picture[..., 1]).all() and picture.min() > 60


def test_light_comes_from_above_and_less_where_cells_meet() -> None:
    wall = _voxels(*((8, j, 6, GROUND) for j in range(2, 6)))
    floor = _voxels(*((8, j, 6, GROUND) for j in range(2, 6)), *((7, 5, i, GROUND) for i in range(12)))
    alone, met = (rendered(v, "camera").astype(int) for v in (wall, floor))
    shown = _inked(rendered(wall, "camera"), "ground")
    rows = np.flatnonzero(shown.any(1))
    above_floor = rows[int(0.72 * len(rows))]  # the lower part of the last cell that the floor does not hide
    column = int(np.argwhere(shown).mean(0)[1])
    assert met[above_floor, column].sum() < 0.95 * alone[above_floor, column].sum()
    assert np.array_equal(met[rows[3], column], alone[rows[3], column])


@pytest.mark.parametrize("view", VIEWS)
def test_unknown_is_a_veil_that_hides_nothing_wholly(view: str) -> None:
    labels = np.full(GRID.shape, AIR, np.uint8)
    labels[6, 4, 4:8] = CAR
    clear = rendered(Voxels(labels, GRID), view)
    labels[3:][labels[3:] == AIR] = UNKNOWN
    veiled = rendered(Voxels(labels, GRID), view)
    car = _inked(clear, "car")
    other = ~car & (clear[:-LEGEND] != veiled[:-LEGEND]).any(-1)
    assert other.sum() > 10 * car.sum()
    mean = veiled[:-LEGEND][car].mean(0), veiled[:-LEGEND][other].mean(0)
    assert mean[0][2] > mean[1][2] + 40  # the car's blue is seen through it


def test_rays_that_nobody_looked_along_are_empty() -> None:
    labels = np.full(GRID.shape, AIR, np.uint8)
    labels[6, 4, 4:8] = CAR
    clear = rendered(Voxels(labels, GRID), "oblique")
    labels[:, :2] = UNKNOWN
    assert np.array_equal(rendered(Voxels(labels, GRID), "oblique")[:-LEGEND], clear[:-LEGEND])


def test_slices_show_what_each_part_of_a_ray_meets_first() -> None:
    labels = np.full(GRID.shape, AIR, np.uint8)
    labels[1, 2, 3], labels[2, 2, 3], labels[7, 5, 9] = CAR, TREE, UNKNOWN
    row = slices(Voxels(labels, GRID), 4)
    tile = 12 * 16
    assert row.shape == (8 * 16 + 22, 4 * tile + 3 * 6, 3) and row.dtype == np.uint8
    at = [row[2 * 16 + 5, n * (tile + 6) + 3 * 16 + 5] for n in range(4)]
    assert at[0].tolist() == list(COLOURS["car"]) and at[1].tolist() == list(COLOURS["air"])
    unknown = row[5 * 16 : 6 * 16, 2 * (tile + 6) + 9 * 16 :][:, :16].reshape(-1, 3)
    assert len(np.unique(unknown, axis=0)) == 2  # hatched
    assert first_met(labels)[2, 3] == CAR and first_met(labels)[0, 0] == AIR


def test_a_sheet_sets_truth_beside_prediction() -> None:
    image = np.full((96, 144, 3), 128, np.uint8)
    truth, guess = _voxels((6, 4, 5, CAR)), _voxels((6, 4, 5, TREE))
    both, alone = comparison(image, truth, guess), comparison(image, None, guess)
    assert len(both) > len(alone) and both.shape[1] == alone.shape[1]
    again = comparison(image, truth, truth)
    assert (again != both).any() and np.array_equal(again[:40], both[:40])


@pytest.mark.parametrize("count", [0, 13])
def test_no_slices_or_more_than_there_are_are_refused(count: int) -> None:
    with pytest.raises(InputError, match="1 to 12"):
        slices(_voxels(), count)


def test_another_view_and_a_picture_without_room_are_refused() -> None:
    with pytest.raises(InputError, match="oblique"):
        rendered(_voxels(), "below")
    with pytest.raises(InputError, match="Enlarge"):
        rendered(_voxels(), size=(960, 40))
