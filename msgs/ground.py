"""Voxels -> nav_msgs/OccupancyGrid: where a vehicle may drive, as far as an image tells."""

import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from scipy.spatial.transform import Rotation

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, UNKNOWN, Voxels

LEVEL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.zeros(3)
"""Rotation and translation from a level camera's frame to one with x ahead, y to the left and z up, at the camera."""

FREE, OCCUPIED, NOT_SEEN = 0, 100, -1  # of nav_msgs/OccupancyGrid

_STEP = 0.2  # m between the heights that are looked at, and what is driven over
_SLOPE = 1.0  # m that the ground may be above and below its plane, where slopes have led it
_NEAR = 15.0  # m: ground nearer than this tells its height
_ENOUGH = 20  # cells of ground that tell its height
_STEADY = 0.1  # m: the plane stays until the ground is farther from it; cells would change places with every frame
_UPRIGHT = 0.5  # least z of the camera's up, in a frame whose x and y are to be the ground's: looking 60 deg down
# What a cell of the grid of voxels is to a vehicle.
_NOTHING, _AIR_SEEN, _AIR_HIDDEN, _GROUND, _OBSTACLE = range(5)


@dataclass(frozen=True)
class _Lookup:
    """Where a grid on the ground finds its voxels.

    index: (ny nx, heights) int32, flat indices of voxels; the number of voxels where there is none.
    origin: (2,) m, its corner of least x and y.  shape: (ny, nx).  plane: which of the heights is the first above it.
    """

    index: np.ndarray
    origin: np.ndarray
    shape: tuple[int, int]
    plane: int


class GroundMap:
    """Makes the occupancy grid of each frame.

    resolution: m, side of its cells.  vehicle_height: m, how much air a vehicle needs above the ground.
    camera_height: m, of the camera above the ground; 0 finds it out by the ground that it sees.
    height: m, what was taken for the last frame; None before the first.
    """

    def __init__(self, resolution: float, vehicle_height: float, camera_height: float = 0.0) -> None:
        self.resolution = resolution
        self.vehicle_height = vehicle_height
        self.camera_height = camera_height
        self.height: float | None = None
        self._lookup: tuple[object, _Lookup] | None = None

    def of(self, voxels: Voxels, header: Any, pose: tuple[np.ndarray, np.ndarray] | None = None) -> Any:
        """OccupancyGrid of the ground below the voxels.

        header: of the message.  pose: rotation (3, 3) and translation (3,), m, from the camera to the frame of the
        header, whose z is up: the grid lies along its x and y. Without, the header's frame is the camera's, which is
        taken as level, and the grid has a turned origin.
        Raises InputError for a frame whose z is not up, and where no ground has ever told the camera's height.
        """
        rotation, translation = LEVEL if pose is None else pose
        _require_upright(rotation)
        codes = _codes(voxels)
        self.height = self._height(voxels.fruxel, codes, rotation)
        plane = float(translation[2]) - self.height
        lookup = self._looked_up(voxels.fruxel, rotation, translation, plane)
        cells = self._cells(codes, lookup)
        corner = np.array([*lookup.origin, plane])
        if pose is None:
            return self._message(cells, header, rotation.T @ corner, rotation.T)
        return self._message(cells, header, corner, np.eye(3))

    def _height(self, fruxel: Fruxel, codes: np.ndarray, rotation: np.ndarray) -> float:
        """Of the camera above the ground, m."""
        if self.camera_height:
            return self.camera_height
        found = ground_depth(fruxel, codes, rotation)
        if found is not None and (self.height is None or abs(found - self.height) > _STEADY):
            return found
        if self.height is not None:
            return self.height
        raise InputError(
            "ground in the image",
            "missing",
            f"at least {_ENOUGH} cells of it, which tell the camera's height",
            "Set the parameter camera_height.",
        )

    def _looked_up(self, fruxel: Fruxel, rotation: np.ndarray, translation: np.ndarray, plane: float) -> _Lookup:
        key = (fruxel, rotation.tobytes(), translation.tobytes(), plane, self.resolution, self.vehicle_height)
        if self._lookup is None or self._lookup[0] != key:
            heights = plane + np.arange(-_SLOPE, self.vehicle_height + _SLOPE, _STEP) + _STEP / 2
            made = _look_up(fruxel, rotation, translation, heights, round(_SLOPE / _STEP), self.resolution)
            self._lookup = (key, made)
        return self._lookup[1]

    def _cells(self, codes: np.ndarray, lookup: _Lookup) -> np.ndarray:
        """(ny, nx) int8.

        From the highest ground near the plane upwards, through as much as the vehicle needs: free where all is air and
        the image shows that ground; occupied where something stands at more than _STEP, and neither where it is lower.
        Where there is no ground, it is taken to be at the plane.
        """
        reach = max(round(self.vehicle_height / _STEP), 1)
        known = np.append(codes.ravel(), np.uint8(_NOTHING))
        return _occupancy(known, lookup.index, lookup.plane, reach).reshape(lookup.shape)

    def _message(self, cells: np.ndarray, header: Any, corner: np.ndarray, orientation: np.ndarray) -> Any:
        from geometry_msgs.msg import Point, Pose, Quaternion
        from nav_msgs.msg import MapMetaData, OccupancyGrid

        x, y, z = corner.tolist()
        qx, qy, qz, qw = Rotation.from_matrix(orientation).as_quat().tolist()
        info = MapMetaData(
            map_load_time=header.stamp,
            resolution=self.resolution,
            width=cells.shape[1],
            height=cells.shape[0],
            origin=Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw)),
        )
        return OccupancyGrid(header=header, info=info, data=array.array("b", cells.tobytes()))


def _require_upright(rotation: np.ndarray) -> None:
    up = rotation @ [0.0, -1.0, 0.0]
    if up[2] < _UPRIGHT:
        raise InputError(
            "the camera's up in the frame of the ground",
            np.round(up, 2).tolist(),
            "about z",
            "Choose another target_frame, as base_link or base_footprint.",
        )


def ground_depth(fruxel: Fruxel, codes: np.ndarray, rotation: np.ndarray) -> float | None:
    """How far the ground that is seen is below the camera, m, by the median of its cells' upper faces.

    Of the near ones, where there are enough; None where there are too few at any distance.
    """
    tops = (codes[:, 1:] == _GROUND) & (codes[:, :-1] == _AIR_SEEN)
    k, j, i = np.nonzero(tops)
    near = fruxel.depths[k] < _NEAR
    if near.sum() >= _ENOUGH:
        k, j, i = k[near], j[near], i[near]
    if len(k) < _ENOUGH:
        return None
    x, y = fruxel.principal
    rays = np.stack([(i + 0.5 - x) / fruxel.focal, (j + 1 - y) / fruxel.focal, np.ones(len(k))])
    return float(np.median(-(rotation[2] @ rays) * fruxel.depths[k]))


def _codes(voxels: Voxels) -> np.ndarray:
    """(slices, rows, columns) uint8: what each cell is to a vehicle. Ground is seen where the air above it is."""
    meaning = np.full(256, _OBSTACLE, np.uint8)
    meaning[[AIR, UNKNOWN]] = _AIR_HIDDEN, _NOTHING
    if "ground" in voxels.classes:
        meaning[voxels.classes.index("ground")] = _GROUND
    return _seen(np.ascontiguousarray(meaning[voxels.labels]))


# Both are compiled when they are imported, not at the first frame.
@njit("uint8[:, :, ::1](uint8[:, :, ::1])", cache=True, nogil=True)
def _seen(codes: np.ndarray) -> np.ndarray:
    """The codes, (slices, rows, columns), with the air before all else that stands before a pixel as seen."""
    slices = codes.reshape((codes.shape[0], -1))
    through = np.ones(slices.shape[1], np.bool_)
    for k in range(len(slices)):
        for cell in range(slices.shape[1]):
            through[cell] &= slices[k, cell] == _AIR_HIDDEN
            if through[cell]:
                slices[k, cell] = _AIR_SEEN
    return codes


@njit("int8[::1](uint8[::1], int32[:, ::1], int64, int64)", cache=True, nogil=True)
def _occupancy(codes: np.ndarray, index: np.ndarray, plane: int, reach: int) -> np.ndarray:
    """(cells,) int8, as `GroundMap._cells` tells.  codes: flat, that of no voxel behind.  index, plane: of a `_Lookup`.
    reach: heights that the vehicle needs."""
    cells = np.full(len(index), NOT_SEEN, np.int8)
    heights = index.shape[1]
    for cell in range(len(index)):
        top, grounded = plane - 1, False
        for h in range(min(2 * plane, heights) - 1, -1, -1):
            if codes[index[cell, h]] == _GROUND:
                top, grounded = h, True
                break
        free = grounded and top + 1 < heights and codes[index[cell, top + 1]] == _AIR_SEEN
        for h in range(top + 1, min(top + reach + 1, heights)):
            code = codes[index[cell, h]]
            if code == _OBSTACLE and h > top + 1:
                cells[cell] = OCCUPIED
                free = False
                break
            free &= code in (_AIR_SEEN, _AIR_HIDDEN)
        if free:
            cells[cell] = FREE
    return cells


def _look_up(
    fruxel: Fruxel, rotation: np.ndarray, translation: np.ndarray, heights: np.ndarray, plane: int, resolution: float
) -> _Lookup:
    """rotation, translation: to a frame with z up.  heights: m, in that frame, ascending."""
    reach = _corners(fruxel) @ rotation.T + translation
    low = np.floor(reach[:, :2].min(0) / resolution).astype(int)
    nx, ny = np.ceil(reach[:, :2].max(0) / resolution).astype(int) - low
    x, y = ((np.arange(n) + first + 0.5) * resolution for n, first in zip((nx, ny), low, strict=True))
    index = np.full((len(heights), ny * nx), np.prod(fruxel.shape), np.int32)
    across = (np.stack(np.meshgrid(x, y), -1).reshape(-1, 2) - translation[:2]) @ rotation[:2]
    for row, height in zip(index, heights, strict=True):
        cells, inside = fruxel.locate(across + (height - translation[2]) * rotation[2])
        row[inside] = np.ravel_multi_index(tuple(cells[inside].T), fruxel.shape)
    return _Lookup(np.ascontiguousarray(index.T), low * resolution, (int(ny), int(nx)), plane)


def _corners(fruxel: Fruxel) -> np.ndarray:
    """(8, 3) of the frustum, camera frame, m."""
    x, y = fruxel.principal
    sides = np.array([[i - x, j - y] for i in (0, fruxel.columns) for j in (0, fruxel.rows)]) / fruxel.focal
    return np.concatenate([np.column_stack([sides * z, np.full(4, z)]) for z in (fruxel.near, fruxel.far)])
