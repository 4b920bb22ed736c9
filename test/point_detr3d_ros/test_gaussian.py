"""Radii are the published ones, Gaussians are where and what they should be."""

import numpy as np
import pytest

from point_detr3d_ros.gaussian import draw_gaussian, gaussian_radius

# Mean length and width of nuScenes' classes, m, and the published radii in cells of 0.8 m for factors 1, 2 and 4.
PUBLISHED = {
    "car": (4.63, 1.96, (2, 3, 6)),
    "truck": (6.94, 2.52, (2, 4, 8)),
    "construction_vehicle": (6.56, 2.82, (2, 4, 9)),
    "bus": (11.19, 2.95, (2, 5, 11)),
    "trailer": (12.28, 2.92, (2, 5, 11)),
    "pedestrian": (0.73, 0.67, (2, 2, 2)),
    "traffic_cone": (0.42, 0.41, (2, 2, 2)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_radii_are_the_published_ones(name):
    length, width, radii = PUBLISHED[name]
    factors = np.array([1, 2, 4]) / 0.8
    assert tuple(gaussian_radius(factors * length, factors * width)) == radii


def test_a_larger_object_never_gets_a_smaller_radius():
    length = np.linspace(0.1, 60, 200)
    radii = gaussian_radius(length, 0.4 * length, overlap=0.3)
    assert (np.diff(radii) >= 0).all() and radii[0] == 2 and radii[-1] > 10
    assert gaussian_radius(0.1, 0.1, minimum=5) == 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gaussian_is_one_at_its_cell_and_ends_at_its_radius(dtype):
    heat = np.zeros((20, 30), dtype)
    draw_gaussian(heat, 12, 7, 3)
    y, x = np.mgrid[:20, :30]
    inside = np.maximum(abs(y - 7), abs(x - 12)) <= 3
    expected = np.where(inside, np.exp(-((y - 7) ** 2 + (x - 12) ** 2) / (2 * (7 / 6) ** 2)), 0.0)
    assert np.allclose(heat, expected, atol=1e-6)
    assert heat[7, 12] == 1 and (heat == 1).sum() == 1


def test_gaussians_combine_by_the_greater_value():
    both, first, second = np.zeros((3, 16, 16), np.float32)
    draw_gaussian(first, 5, 8, 4)
    draw_gaussian(second, 8, 7, 2)
    draw_gaussian(both, 5, 8, 4)
    draw_gaussian(both, 8, 7, 2)
    assert np.array_equal(both, np.maximum(first, second))


@pytest.mark.parametrize(("cx", "cy"), [(0, 0), (9, 4), (-2, 3), (5, 7), (-50, -50), (90, 2)])
def test_what_lies_beside_the_map_is_cut_off(cx, cy):
    large, small = np.zeros((5 + 200, 10 + 200), np.float32), np.zeros((5, 10), np.float32)
    draw_gaussian(large, cx + 100, cy + 100, 3)
    draw_gaussian(small, cx, cy, 3)
    assert np.array_equal(small, large[100:105, 100:110])
