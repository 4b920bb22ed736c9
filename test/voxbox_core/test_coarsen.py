"""Larger cells, against the smaller ones looked at block by block and against a scene cut by the larger grid."""

from dataclasses import replace

import numpy as np
import pytest

from voxbox_core.coarsen import block, coarsened
from voxbox_core.errors import InputError
from voxbox_core.fruxel import PAPER, Fruxel
from voxbox_core.voxelize import PRIORITY
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN, Voxels

FINE = Fruxel(2.0, 12.0, 12, 8, 12, 40.0, "log", (5.0, 3.0))
COARSE = replace(FINE, slices=4, rows=4, columns=6, principal=(2.5, 1.5))


def test_a_cell_has_the_class_that_matters_most_of_its_block():
    labels = np.random.default_rng(0).choice([AIR, AIR, 1, 2, 6, 9, UNKNOWN], FINE.shape).astype(np.uint8)
    found = coarsened(Voxels(labels, FINE), COARSE)
    assert found.fruxel == COARSE
    for k, j, i in np.ndindex(*COARSE.shape):
        inside = labels[3 * k : 3 * k + 3, 2 * j : 2 * j + 2, 2 * i : 2 * i + 2]
        told = [label for label in np.unique(inside) if label not in (AIR, UNKNOWN)]
        expected = max(told, key=lambda label: PRIORITY.index(CLASSES[label]), default=None)
        if expected is None:
            expected = UNKNOWN if (inside == UNKNOWN).any() else AIR
        assert found.labels[k, j, i] == expected


def test_the_same_point_lies_in_the_same_matter_on_both_grids():
    labels = np.zeros(FINE.shape, np.uint8)
    labels[4:8, 2:5, 3:9] = 2
    fine = Voxels(labels, FINE)
    points = FINE.centers(np.argwhere(fine.occupied))
    cells, inside = COARSE.locate(points)
    assert inside.all()
    assert (coarsened(fine, COARSE).labels[tuple(cells.T)] == 2).all()


def test_the_same_grid_changes_nothing_and_classes_of_others_keep_their_names():
    named = Voxels(np.full(FINE.shape, 1, np.uint8), FINE, classes=("air", "pallet"))
    assert coarsened(named, COARSE).classes == ("air", "pallet")
    np.testing.assert_array_equal(coarsened(named, FINE).labels, named.labels)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"slices": 48}, "slices"),  # finer
        ({"slices": 48, "rows": 48}, "rows"),  # no whole block
        ({"rows": 32, "principal": (64, 16)}, "rows"),  # cells higher than wide
        ({"slices": 32, "alpha": 60.0}, "alpha"),
        ({"slices": 32, "spacing": "log"}, "spacing"),
        ({"slices": 32, "far": 40.0}, "far"),
        ({"slices": 32, "principal": (60.0, 64.0)}, "principal"),
        ({"slices": 256}, "slices"),
    ],
)
def test_another_frustum_is_refused_by_what_differs(other, named):
    with pytest.raises(InputError, match=rf"^x is one of .*{named} = "):
        block(PAPER, replace(PAPER, **other), "x")
