"""Edges are where brightness changes, and nowhere else."""

import numpy as np
import pytest

from voxbox_core.datasets.edges import Canny
from voxbox_core.errors import InputError


def test_a_step_has_one_edge() -> None:
    image = np.full((40, 60, 3), 20, np.uint8)
    image[:, 30:] = 220
    edges = Canny()(image)
    assert edges.dtype == np.uint8 and set(np.unique(edges)) == {0, 255}
    rows, columns = np.nonzero(edges)
    assert set(columns) <= {29, 30} and len(set(rows)) == 40


def test_weak_steps_have_none_until_thresholds_are_lower() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    image[:, 30:] = 115
    assert not Canny()(image).any()
    assert Canny(low=5, high=10)(image).any()


def test_bad_values_are_refused() -> None:
    for bad in ({"sigma": -1.0}, {"low": 0.0}, {"low": 300.0}):
        with pytest.raises(InputError):
            Canny(**bad)
