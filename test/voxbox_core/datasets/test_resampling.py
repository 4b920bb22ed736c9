"""Every class has its equal share of the frames."""

import numpy as np
import pytest

from voxbox_core.datasets.resampling import class_balanced
from voxbox_core.errors import InputError


@pytest.fixture
def labels():
    """1000 frames: all have cars, a tenth pedestrians, 10 a bus; the last 5 are empty."""
    frames = [np.zeros(3, np.int64) for _ in range(1000)]
    for i in range(0, 1000, 10):
        frames[i] = np.append(frames[i], [2, 2])
    for i in range(0, 1000, 100):
        frames[i] = np.append(frames[i], 4)
    return frames + [np.zeros(0, np.int64)] * 5


def test_classes_are_drawn_alike(labels):
    drawn = class_balanced(labels, np.random.default_rng(0))
    each = (1000 + 100 + 10) // 3
    assert drawn.dtype == np.int64 and len(drawn) == 3 * each
    bus = (drawn % 100 == 0).sum()
    assert each <= bus < 1.2 * each  # those drawn for buses, and the few that came by chance
    assert drawn.max() < 1000 and len(np.unique(drawn)) > 300
    halves = [(half % 100 == 0).mean() for half in np.array_split(drawn, 2)]
    assert abs(halves[0] - halves[1]) < 0.1  # in random order


def test_a_balanced_set_is_drawn_once_over():
    drawn = class_balanced([np.array([i % 4]) for i in range(400)], np.random.default_rng(1))
    assert np.array_equal(np.bincount(drawn % 4), [100] * 4)


def test_a_seed_draws_the_same(labels):
    draws = [class_balanced(labels, np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="labels of the frames is empty"):
        class_balanced([np.zeros(0, np.int64)] * 3, np.random.default_rng(0))
