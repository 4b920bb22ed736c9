"""One image and its voxels as a picture, and the ground that a node found free.

Pictures are (H, W, 3) uint8 RGB.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from voxbox.report.scene import GROUND, INK, write
from voxbox_core.draw_voxels import beside, rendered
from voxbox_core.voxels import Voxels

_SIDE = 640  # px: width of the image, and of what its camera sees of the voxels
_LARGE = 960  # px: width of the oblique view
_BAR = 40  # px of the line of text
_LEGEND = 30  # px below each rendering
_FAINT = (140, 148, 160)
_RINGS = (10, 20, 30, 40)  # m
_FREE, _OCCUPIED, _NOT_SEEN, _RING = (92, 150, 104), (206, 84, 72), (38, 43, 51), (70, 77, 89)
_CELL = 4  # px of a cell of the ground
_MARGIN = 24  # px around the camera on the map


@dataclass(frozen=True)
class Ground:
    """An occupancy grid.

    cells: (ny, nx) int8, 0 free, 100 occupied, -1 unknown; x is forward and y to the left.  resolution: m.
    sensor: (x, y) of the camera from the grid's corner, m.
    """

    cells: np.ndarray
    resolution: float
    sensor: tuple[float, float]


def voxel_scene(image: np.ndarray, voxels: Voxels | None, left: str, right: str) -> np.ndarray:
    """The image above what its camera sees of the voxels, beside these from behind and above, under a line of text.

    image: aligned with the grid (`Fruxel.camera`).  voxels: None where there was no answer, which the picture says.
    left, right: what stands at the two ends of the line. Height and width are even, as video wants them.
    """
    height = round(_SIDE * image.shape[0] / image.shape[1] / 2) * 2
    shown = cv2.resize(image, (_SIDE, height), interpolation=cv2.INTER_AREA)
    room = _LEGEND + 2 * height
    if voxels is None:
        write(shown, "no answer", (12, 34), (255, 120, 90), 0.9)
        below, large = _empty(_SIDE, height + _LEGEND), _empty(_LARGE, room)
    else:
        below = rendered(voxels, "camera", (_SIDE, height + _LEGEND))
        large = rendered(voxels, "oblique", (_LARGE, room))
    views = beside([np.concatenate([shown, below]), large])
    bar = _empty(views.shape[1], _BAR)
    write(bar, left, (12, 26), INK, 0.55)
    end = cv2.getTextSize(right, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]
    write(bar, right, (bar.shape[1] - end - 12, 26), _FAINT, 0.5)
    return np.concatenate([bar, views])


def ground_picture(ground: Ground) -> np.ndarray:
    """What is free, occupied and unknown, forward up, with rings of distance around the camera."""
    inks = np.full((256, 3), _NOT_SEEN, np.uint8)
    inks[0], inks[100] = _FREE, _OCCUPIED
    up = ground.cells.view(np.uint8).T[::-1, ::-1]
    picture = np.kron(inks[up], np.ones((_CELL, _CELL, 1), np.uint8))
    scale = _CELL / ground.resolution
    x, y = ground.sensor
    place = int(picture.shape[1] - y * scale), int(len(picture) - x * scale)
    below = max(place[1] + _MARGIN - len(picture), 0)  # the grid begins before the camera
    picture = np.concatenate([picture, np.full((below, picture.shape[1], 3), _NOT_SEEN, np.uint8)])
    for ring in _RINGS:
        cv2.circle(picture, place, int(ring * scale), _RING, 1, cv2.LINE_AA)
        write(picture, f"{ring} m", (place[0] + 4, place[1] - int(ring * scale) - 4), INK, 0.36)
    nose = np.array([[0, -10], [7, 8], [0, 4], [-7, 8]]) + place
    cv2.fillPoly(picture, [nose.astype(np.int32)], (235, 235, 235), cv2.LINE_AA)
    return np.concatenate([picture, _ground_legend(picture.shape[1])])


def _ground_legend(width: int) -> np.ndarray:
    bar, x = _empty(width, _LEGEND), 12
    for name, ink in (("free", _FREE), ("occupied", _OCCUPIED), ("unknown", _NOT_SEEN)):
        cv2.rectangle(bar, (x, 9), (x + 12, 21), ink, cv2.FILLED)
        x = write(bar, name, (x + 18, 20), INK, 0.42) + 18
    return bar


def _empty(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), GROUND, np.uint8)
