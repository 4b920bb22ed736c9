"""The published behaviour of the geometric module: noise and conditioning, within 10%."""

import pytest

from voxbox.evaluation.geometry_tables import CHOICES, condition, depth_error, float32_error

# RMS depth error at 30 m, m, for noise of 1, 2 and 4 px; bias for 9 keypoints.
RMS = {
    "2: opposite corners": (0.67, 1.35, 3.0),
    "4: two opposite edges": (0.47, 0.92, 1.8),
    "8: all corners": (0.29, 0.56, 1.19),
    "9: corners and centre": (0.285, 0.57, 1.28),
}
SIGMAS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize("name", RMS)
def test_noise_becomes_depth_error(name: str) -> None:
    for sigma, expected in zip(SIGMAS, RMS[name], strict=True):
        assert depth_error(CHOICES[name], sigma).rms == pytest.approx(expected, rel=0.1)


def test_noise_pulls_boxes_towards_the_camera() -> None:
    keypoints = CHOICES["9: corners and centre"]
    for sigma, low, high in zip(SIGMAS, (-0.045, -0.17, -0.65), (-0.03, -0.13, -0.5), strict=True):
        assert low < depth_error(keypoints, sigma).bias < high


def test_alternating_corners_are_the_best_four() -> None:
    assert (
        depth_error(CHOICES["4: alternating corners"], 1.0).rms < depth_error(CHOICES["4: two opposite edges"], 1.0).rms
    )


@pytest.mark.parametrize(("depth", "expected"), [(10.0, 32), (40.0, 518), (80.0, 2074)])
def test_conditioning(depth: float, expected: float) -> None:
    assert condition(depth) == pytest.approx(expected, rel=0.1)


def test_float32_is_enough_as_it_is_solved() -> None:
    assert float32_error(30.0) < 3e-5
    assert float32_error(80.0) < 2e-4
