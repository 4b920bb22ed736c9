"""Sizes of another fleet change sizes and distances together."""

import pytest
import torch

from km3d_ros.contract import Contract
from km3d_ros.geometry import fit_location, project_keypoints
from voxbox.export.sizes import with_scaled_sizes
from voxbox_core.errors import InputError

CONTRACT = Contract(input_width=128, input_height=64)


def test_the_named_class_is_scaled_and_the_others_stay():
    scaled = with_scaled_sizes(CONTRACT, ["Car=0.5,2,1"])
    h, w, length = CONTRACT.mean_dims[0]
    assert scaled.mean_dims[0] == pytest.approx((h, 2 * w, 0.5 * length))
    assert scaled.mean_dims[1:] == CONTRACT.mean_dims[1:]


@pytest.mark.parametrize("text", ["Car", "Car=1,1", "Car=1,1,x", "Car=0,1,1", "Tram=1,1,1"])
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="--scale-size is .*; expected CLASS=LENGTH,WIDTH,HEIGHT"):
        with_scaled_sizes(CONTRACT, [text])


def test_no_scale_changes_nothing():
    assert with_scaled_sizes(CONTRACT, []) == CONTRACT


def test_a_box_of_half_the_size_is_seen_at_half_the_distance():
    """The solve is homogeneous in size: all lengths of the scene scale together."""
    intrinsics = torch.tensor([[700.0, 0, 600], [0, 700, 180], [0, 0, 1]], dtype=torch.float64)
    center = torch.tensor([3.0, 1.0, 20.0], dtype=torch.float64)
    size, yaw = torch.tensor([4.0, 1.7, 1.5], dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64)
    keypoints = project_keypoints(center, size, yaw, intrinsics)
    half, valid = fit_location(keypoints, size / 2, yaw, intrinsics)
    assert valid
    torch.testing.assert_close(half, center / 2)
