"""Which kind of frame a rotation leads to, and transforms that tf does not have."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.node import Node

from voxbox_core.boxes import Axes
from voxbox_core.errors import InputError
from voxbox_core.ros.transforms import Transforms, axes_seen

OPTICAL_TO_BODY = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def test_axes_follow_up() -> None:
    assert axes_seen(OPTICAL_TO_BODY, Axes.OPTICAL) is Axes.BODY
    assert axes_seen(OPTICAL_TO_BODY.T, Axes.BODY) is Axes.OPTICAL
    assert axes_seen(np.eye(3), Axes.OPTICAL) is Axes.OPTICAL


def test_a_frame_on_its_side_is_refused() -> None:
    roll = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    with pytest.raises(InputError, match=r"up in the target frame is \[0.0, -?0.0, -1.0\]; expected about z"):
        axes_seen(roll, Axes.OPTICAL)


@pytest.mark.usefixtures("ros")
def test_an_unknown_transform_is_named() -> None:
    transforms = Transforms(Node("asker"))
    with pytest.raises(InputError, match="transform from 'camera' to 'base_link' is unknown .* expected one on /tf"):
        transforms.lookup("base_link", "camera", Time(sec=5), timeout=0.0)
    transforms.destroy()
