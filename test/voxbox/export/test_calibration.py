"""What int8 should hold of a map: the limit of the least squared error, found without keeping the values."""

import numpy as np
import pytest

from voxbox.export.calibration import best_limit, histogram


def squared_error(values: np.ndarray, limit: float) -> float:
    """By rounding every value."""
    step = limit / 127
    return float(((np.clip(np.rint(values / step), -127, 127) * step - values) ** 2).sum())


@pytest.mark.parametrize("kind", ["normal", "uniform", "few large", "mostly zero"])
def test_the_limit_is_the_best_of_all(kind):
    rng = np.random.default_rng(0)
    values = {
        "normal": rng.normal(0, 3, 100_000),
        "uniform": rng.uniform(-4, 4, 100_000),
        "few large": np.r_[rng.exponential(1, 100_000), 50.0],
        "mostly zero": np.r_[np.zeros(100_000), rng.normal(2, 1, 2000)],
    }[kind].astype(np.float32)
    found = best_limit(histogram(values))
    least = min(squared_error(values, limit) for limit in np.abs(values).max() * np.linspace(0.05, 1, 200))
    assert squared_error(values, found) <= 1.03 * least


def test_one_value_far_off_does_not_set_the_scale():
    values = np.random.default_rng(0).normal(0, 1, 100_000)
    assert best_limit(histogram(np.r_[values, 20.0])) < 15


def test_frames_add_up():
    a, b = np.random.default_rng(0).normal(0, 3, (2, 1000)).astype(np.float32)
    assert (histogram(a) + histogram(b) == histogram(np.r_[a, b])).all()
    assert (histogram(a) == histogram(-a)).all()


def test_a_map_that_is_zero_has_a_limit():
    assert best_limit(histogram(np.zeros(10, np.float32))) == 1


def test_what_is_not_finite_is_not_held():
    assert best_limit(histogram(np.array([1, -2, np.inf, np.nan], np.float32))) < 3
