"""Voxel scores of grids small enough to count by hand."""

from dataclasses import replace

import numpy as np
import pytest

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.metrics.voxels import count, geometric_iou, iou, mean_iou, scores
from voxbox_core.voxels import UNKNOWN, Voxels

CLASSES = ("air", "car", "ground")
GRID = Fruxel(near=2.0, far=14.0, slices=4, rows=1, columns=2, alpha=40.0)  # slices of 3 m; centres at 3.5, 6.5, ..


def voxels(*columns, fruxel=GRID):
    """Columns of labels, each from the nearest cell to the farthest."""
    return Voxels(np.array(columns, np.uint8).T[:, None, :], fruxel, classes=CLASSES)


TRUTH = voxels([0, 1, 1, 2], [0, 0, 2, 2])
FOUND = voxels([0, 0, 1, 1], [0, 0, 2, 0])


def test_iou_by_class_is_counted_over_cells():
    found = count(FOUND, TRUTH)
    # air: both 3 of union 5;  car: 1 of {2, 2} -> 1/3;  ground: 1 of {3, 1} -> 1/3
    np.testing.assert_allclose(iou(found.cells), [3 / 5, 1 / 3, 1 / 3])
    assert mean_iou(iou(found.cells)) == pytest.approx(1 / 3)
    assert geometric_iou(found.cells) == pytest.approx(3 / 5)
    assert mean_iou(iou(count(TRUTH, TRUTH).cells)) == 1


def test_unknown_truth_is_left_out_and_unknown_predictions_are_air():
    truth = voxels([0, 1, UNKNOWN, 2], [0, 0, UNKNOWN, 2])
    np.testing.assert_array_equal(count(FOUND, truth).cells, [[3, 0, 0], [1, 0, 0], [1, 1, 0]])
    silent = voxels([UNKNOWN] * 4, [UNKNOWN] * 4)
    np.testing.assert_array_equal(count(silent, TRUTH).cells, [[3, 0, 0], [2, 0, 0], [3, 0, 0]])


def test_visible_and_occluded_cells_are_all_cells():
    found = count(FOUND, TRUTH)
    # Visible: air and first hit, 2 + 3 cells; of these a car taken for air.
    np.testing.assert_array_equal(found.visible, [[3, 0, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(found.occluded, [[0, 0, 0], [0, 1, 0], [1, 1, 0]])
    np.testing.assert_array_equal(found.visible + found.occluded, found.cells)


def test_rings_are_slices_and_volumes_weigh_them():
    found = count(FOUND, TRUTH)
    np.testing.assert_array_equal(found.ring(6.0, 9.0), [[1, 0, 0], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(found.ring(0.0, 9.0) + found.ring(9.0, np.inf), found.cells)
    v = GRID.volumes
    assert iou(found.volume)[1] == pytest.approx(v[2] / (v[1] + v[2] + v[3]))


def test_sets_are_pooled_and_samples_are_averaged():
    empty = voxels([0] * 4, [0] * 4)
    both = count(FOUND, TRUTH) + count(TRUTH, TRUTH) + count(empty, empty)
    assert both.samples == 3
    assert iou(both.cells)[1] == pytest.approx((1 + 2) / (3 + 2))
    np.testing.assert_allclose(both.sample_mean[1:], (1 / 3 + 1) / 2)  # the sample without cars says nothing of cars


def test_classes_that_truth_lacks_are_no_part_of_the_mean():
    truth = voxels([0, 0, 0, 2], [0, 0, 0, 2])
    by_class = iou(count(voxels([0, 1, 0, 2], [0, 0, 0, 2]), truth).cells)
    assert np.isnan(by_class[1]) and mean_iou(by_class) == 1
    assert np.isnan(mean_iou(iou(count(voxels([0] * 4, [0] * 4), voxels([0] * 4, [0] * 4)).cells)))


def test_rays_end_at_the_right_class_and_depth():
    found = count(FOUND, TRUTH)
    # The car is hit 3 m late, the ground where it is.
    assert (found.mean_hit_error, found.hits) == (1.5, 2)
    np.testing.assert_allclose(found.ray_iou[:, 1], [0, 0, 1])  # of 1, 2 and 4 m
    np.testing.assert_allclose(found.ray_iou[:, 2], [1, 1, 1])
    assert count(FOUND, voxels([0, UNKNOWN, 1, 2], [0, 0, 2, 2])).hits == 1  # nobody knows where the first ray ends
    assert np.isnan(count(voxels([0] * 4, [0] * 4), TRUTH).mean_hit_error)


def test_scores_have_names():
    found = scores(count(FOUND, TRUTH))
    assert found["IoU"] == pytest.approx(1 / 3) and found["IoU/car"] == pytest.approx(1 / 3)
    assert found["visible/ground"] == 1 and found["occluded/ground"] == 0
    assert found["ray IoU 4 m"] == 1 and found["first hit error"] == 1.5
    assert {"0-10 m", "10-20 m"} < found.keys() and "20-40 m" not in found


def test_other_grids_and_classes_are_refused():
    other = replace(GRID, far=15.0)
    with pytest.raises(InputError, match="predicted voxels"):
        count(replace(FOUND, fruxel=other), TRUTH)
    elsewhere = replace(TRUTH, fruxel=other)
    with pytest.raises(InputError, match="counts to add"):
        count(TRUTH, TRUTH) + count(elsewhere, elsewhere)
