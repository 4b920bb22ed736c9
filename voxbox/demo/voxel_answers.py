"""What the node says of voxels and of the ground, from its messages back to arrays."""

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from msgs.voxels import POINT
from voxbox.report.voxel_scene import Ground
from voxbox_core.datasets.bag import Message
from voxbox_core.datasets.bag.types import POINTS, typestore
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, UNKNOWN, Voxels

GRID = "nav_msgs/msg/OccupancyGrid"


def point_count(message: Message) -> int:
    """How many cells a serialized cloud of voxels has."""
    decoded: Any = typestore().deserialize_cdr(message.raw, POINTS)
    return int(decoded.width * decoded.height)


def voxels_in(
    message: Message, frame_id: str, fruxel: Fruxel, classes: tuple[str, ...], seen: np.ndarray
) -> Voxels | None:
    """The voxels of a serialized cloud of all occupied cells; None where they are in another frame than the camera's.

    seen: (rows, columns) bool, which columns of cells the image reached; the others are UNKNOWN, and what no point is
    in is air.
    """
    cloud: Any = typestore().deserialize_cdr(message.raw, POINTS)
    if cloud.header.frame_id != frame_id:
        return None
    points = np.frombuffer(cloud.data.tobytes(), POINT)
    cells, inside = fruxel.locate(np.stack([points["x"], points["y"], points["z"]], -1))
    places = tuple(cells[inside].T)
    labels = np.full(fruxel.shape, AIR, np.uint8)
    labels[:, ~seen] = UNKNOWN
    labels[places] = points["label"][inside]
    if np.isnan(points["probability"]).any():
        return Voxels(labels, fruxel, None, classes)
    probability = np.zeros(fruxel.shape, np.uint8)
    probability[places] = np.round(255 * points["probability"][inside])
    return Voxels(labels, fruxel, probability, classes)


def ground_in(message: Message) -> Ground:
    """A serialized OccupancyGrid."""
    grid: Any = typestore().deserialize_cdr(message.raw, GRID)
    info, place, turn = grid.info, grid.info.origin.position, grid.info.origin.orientation
    cells = np.asarray(grid.data, np.int8).reshape(info.height, info.width)
    turned = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w])
    corner = turned.inv().apply([place.x, place.y, place.z])
    return Ground(cells, float(info.resolution), (float(-corner[0]), float(-corner[1])))
