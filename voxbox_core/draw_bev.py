"""What a LiDAR all around saw, and the boxes found in it, from above."""

import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.draw import BirdsEye


def draw_bev(
    points: np.ndarray, boxes: Boxes3D, truth: Boxes3D | None = None, reach: float = 51.2, size_px: int = 800
) -> np.ndarray:
    """A square picture, the sensor in its middle, forward up: points, truth in white, boxes in their class's colour.

    points: (P, >=3) in the LiDAR frame (x forward, y left), m.  boxes, truth: in the same frame.  reach: m shown to
    each side.  -> (size_px, size_px, 3) uint8 RGB.  Raises InputError when there is nothing to show: a reach or a
    size of 0 or less.
    """
    view = BirdsEye(forward=reach, behind=reach, aside=reach, scale=size_px / (2 * reach) if reach else 0.0)
    return view.draw(boxes, truth, points)
