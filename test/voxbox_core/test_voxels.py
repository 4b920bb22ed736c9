"""What is occupied, on the surface and visible, against cells looked at one by one."""

from dataclasses import replace

import numpy as np
import pytest

from voxbox_core.datasets.street.materials import Semantic
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, CLASSES, COLOURS, UNKNOWN, Voxels

GRID = Fruxel(2.0, 12.0, 6, 5, 4, 40.0)


@pytest.fixture(params=range(3))
def voxels(request):
    rng = np.random.default_rng(request.param)
    return Voxels(rng.choice([AIR, AIR, AIR, 2, 9, UNKNOWN], GRID.shape).astype(np.uint8), GRID)


def test_classes_are_numbered_as_the_street_s_and_each_has_a_colour():
    assert [Semantic(n).name.lower() for n in range(len(CLASSES))] == list(CLASSES)
    assert set(COLOURS) == set(CLASSES) and len(set(COLOURS.values())) == len(CLASSES)
    assert CLASSES[AIR] == "air" and len(CLASSES) <= UNKNOWN


def test_occupied_is_known_and_not_air(voxels):
    np.testing.assert_array_equal(voxels.occupied, np.isin(voxels.labels, [2, 9]))


def test_the_surface_touches_known_air(voxels):
    for place in np.ndindex(*GRID.shape):
        beside = [np.add(place, step) for step in (*np.eye(3, dtype=int), *-np.eye(3, dtype=int))]
        air = any((n >= 0).all() and (n < GRID.shape).all() and voxels.labels[tuple(n)] == AIR for n in beside)
        assert voxels.surface[place] == (voxels.labels[place] in (2, 9) and air)


def test_what_is_visible_ends_with_the_first_cell_that_is_not_air(voxels):
    for j, i in np.ndindex(*GRID.shape[1:]):
        seen = []
        for label in voxels.labels[:, j, i]:
            seen.append(True)
            if label != AIR:
                break
        seen += [False] * (GRID.slices - len(seen))
        assert voxels.visible[:, j, i].tolist() == seen


def test_air_alone_is_visible_throughout_and_has_no_surface():
    empty = Voxels(np.zeros(GRID.shape, np.uint8), GRID)
    assert empty.visible.all() and not empty.surface.any() and not empty.occupied.any()


@pytest.mark.parametrize("name", ["labels", "probability"])
@pytest.mark.parametrize("array", [np.zeros(GRID.shape), np.zeros((5, 6, 4), np.uint8), np.zeros(120, np.uint8)])
def test_arrays_of_another_grid_or_type_are_refused(name, array):
    whole = Voxels(np.zeros(GRID.shape, np.uint8), GRID)
    with pytest.raises(InputError, match=rf"{name} of voxels is .* expected uint8 \(6, 5, 4\)"):
        replace(whole, **{name: array})
