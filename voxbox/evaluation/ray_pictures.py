"""Voxels and a LiDAR's returns in one picture, to see where they agree."""

import cv2
import numpy as np

from voxbox.voxels.sheet import overlaid
from voxbox_core.datasets.lidar_voxels import Scene
from voxbox_core.datasets.voxel_sample import VoxelSample
from voxbox_core.draw_voxels import beside, palette, rendered, slices
from voxbox_core.voxels import Voxels

_SCALE = 20  # px per m, of cuts
_UP, _DOWN = 4.0, 3.0  # m about the camera that the upright cut shows
_THICK = 0.5  # m to either side of the upright cut whose returns it shows
_LEVEL = 0.8  # m above the ground, of the level cut
_AROUND = 0.5  # m above and below the level cut
_NOWHERE = np.array([24, 27, 33], np.uint8)
_RETURN = (255, 255, 255)
_WIDE = 1600  # px


def picture(sample: VoxelSample, found: Voxels, scene: Scene) -> np.ndarray:
    """(H, _WIDE, 3) uint8 RGB: the image, then labels over it, those found and those of boxes and LiDAR; an upright and
    a level cut through the voxels found, returns in white; both from above and from the side; slices of those found.

    sample: image and truth, aligned with the grid.
    """
    width = _WIDE // 3
    size = (width, round(width * sample.image.shape[0] / sample.image.shape[1]))
    image = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)
    seen = beside([image, overlaid(image, found), overlaid(image, sample.voxels)])
    cuts = beside([upright(found, scene), level(found, scene)])
    bodies = beside([rendered(v, view, (640, 400)) for v in (found, sample.voxels) for view in ("above", "side")])
    return np.concatenate([_fitted(part) for part in (seen, cuts, bodies, slices(found))])


def upright(voxels: Voxels, scene: Scene) -> np.ndarray:
    """(h, w, 3): the plane straight ahead of the camera, from the left; its returns are those near it."""
    y, z = np.meshgrid(np.arange(-_UP, _DOWN, 1 / _SCALE), np.arange(0, voxels.fruxel.far, 1 / _SCALE), indexing="ij")
    canvas = _cut(voxels, np.stack([np.zeros_like(y), y, z], -1))
    points = scene.returns.points
    near = points[np.abs(points[:, 0]) < _THICK]
    return _dotted(canvas, near[:, 1] + _UP, near[:, 2])


def level(voxels: Voxels, scene: Scene) -> np.ndarray:
    """(h, w, 3): the surface `_LEVEL` above the ground, from above, far to the right; its returns are those near it."""
    half = _UP + _DOWN
    x, z = np.meshgrid(np.arange(-half, half, 1 / _SCALE), np.arange(0, voxels.fruxel.far, 1 / _SCALE), indexing="ij")
    canvas = _cut(voxels, np.stack([x, scene.ground.height(x, z)[0] - _LEVEL, z], -1))
    points = scene.returns.points
    near = points[np.abs(scene.ground.below(points)[0] + _LEVEL) < _AROUND]
    return _dotted(canvas, near[:, 0] + half, near[:, 2])[::2, ::2]


def _cut(voxels: Voxels, points: np.ndarray) -> np.ndarray:
    """Points (h, w, 3), m -> (h, w, 3) uint8, the colour of what is there."""
    cells, inside = voxels.fruxel.locate(points.reshape(-1, 3))
    ink = palette(voxels.classes)[voxels.labels[tuple(cells.T)]]
    return np.where(inside[:, None], ink, _NOWHERE).reshape(points.shape).astype(np.uint8)


def _dotted(canvas: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """With dots at places in m from the top left corner."""
    row, column = np.floor(down * _SCALE).astype(int), np.floor(right * _SCALE).astype(int)
    there = (row >= 0) & (row < canvas.shape[0]) & (column >= 0) & (column < canvas.shape[1])
    canvas[row[there], column[there]] = _RETURN
    return canvas


def _fitted(part: np.ndarray) -> np.ndarray:
    height = round(part.shape[0] * _WIDE / part.shape[1])
    return cv2.resize(part, (_WIDE, height), interpolation=cv2.INTER_AREA)
