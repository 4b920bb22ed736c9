"""Between arrays and messages nothing is done element by element: large ones take no more steps than small ones."""

import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from msgs.clouds import read_cloud
from msgs.ground import GroundMap
from msgs.images import image_message, read_image
from msgs.voxels import VoxelMarkers, voxel_cloud
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import CLASSES, Voxels

HEADER = Header(frame_id="camera")
SMALL, LARGE = 0.01, 1.0  # of the largest
SLACK = 40  # steps: numpy may take other ways for larger arrays
FEW = 100  # elements of an array that becomes a list
GRID = Fruxel(2.0, 20.0, 32, 48, 48, 60.0, "log")


def _pixels(part: float) -> np.ndarray:
    return np.full((round(600 * part) * 2, 800, 3), 7, np.uint8)


def _voxels(part: float) -> Voxels:
    """Every slice has some cells, so that there are as many groups of them whatever the part."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[:, :: round(4 / part**0.5), :: round(4 / part**0.5)] = CLASSES.index("car")
    labels[:, -1] = CLASSES.index("ground")
    return Voxels(labels, GRID)


def _image(part: float, encoding: str) -> Callable[[], Any]:
    message = image_message(_pixels(part), HEADER)
    message.encoding = encoding
    received = deserialize_message(serialize_message(message), Image)
    return lambda: read_image(received)


def _cloud(part: float) -> Callable[[], Any]:
    voxels = _voxels(part)
    received = deserialize_message(serialize_message(voxel_cloud(voxels, voxels.occupied, HEADER)), PointCloud2)
    return lambda: read_cloud(received)


def _of_voxels(make: Callable[[Voxels], Any]) -> Callable[[float], Callable[[], Any]]:
    return lambda part: partial(make, _voxels(part))


WORK: dict[str, Callable[[float], Callable[[], Any]]] = {
    "image_message": lambda part: partial(image_message, _pixels(part), HEADER),
    "read_image rgb8": lambda part: _image(part, "rgb8"),
    "read_image bgr8": lambda part: _image(part, "bgr8"),
    "read_cloud": _cloud,
    "voxel_cloud": _of_voxels(lambda voxels: voxel_cloud(voxels, voxels.occupied, HEADER)),
    "VoxelMarkers": _of_voxels(lambda voxels: VoxelMarkers(1_000_000, 0.5).of(voxels, voxels.occupied, HEADER)),
    "GroundMap": _of_voxels(lambda voxels: GroundMap(0.2, 2.0, 1.6).of(voxels, HEADER)),
}


@pytest.mark.parametrize("name", WORK)
def test_steps_do_not_grow_with_the_data(name: str) -> None:
    steps = {}
    for part in (SMALL, LARGE):
        work = WORK[name](part)
        work()  # imports and caches
        steps[part], listed = _steps(work)
        assert listed <= FEW
    assert steps[LARGE] <= steps[SMALL] + SLACK, steps


def test_what_is_done_element_by_element_is_noticed() -> None:
    array = np.arange(5000)
    assert _steps(lambda: [int(x) for x in array])[0] < _steps(lambda: [x.item() for x in array])[0]
    assert _steps(array.tolist)[1] == 5000


def _steps(work: Callable[[], object]) -> tuple[int, int]:
    """Calls of functions while it works, and the size of the largest array that became a list."""
    calls: Counter[str] = Counter()
    listed = [0]

    def watch(_frame: FrameType, event: str, function: Any) -> None:
        calls[event] += 1
        if event == "c_call" and function.__name__ == "tolist":
            listed.append(np.size(function.__self__))

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls["call"] + calls["c_call"], max(listed)
