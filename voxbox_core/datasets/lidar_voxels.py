"""What fills the space before a camera, as far as boxes and a LiDAR tell: voxels with cells that nobody knows.

* ground: everything below the height map of the returns on it, where they are near
* objects: labelled boxes, filled; where rays went through a box unhindered, nobody knows (a box is no car: there is air
  above the bonnet, and glass)
* air: what rays crossed before their returns
* returns on neither: the class that somebody gave them, else nobody knows
* all the rest: nobody knows
"""

from dataclasses import dataclass

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.lidar_ground import GroundMap, ground_map
from voxbox_core.datasets.voxel_sample import Poses, VoxelSample
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.ray_cells import crossed
from voxbox_core.voxelize import PRIORITY, SUBSLICES
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN, Voxels

BEFORE = 0.3
"""m before a return where its ray still says nothing: the range's error, and surfaces seen at a grazing angle."""
ON_GROUND = 0.2
"""m above the height map that a return may be and still be on the ground."""
_GROUND = CLASSES.index("ground")
_FILLED = tuple(name for name in PRIORITY if name not in ("air", "ground"))


@dataclass(frozen=True)
class Returns:
    """What a LiDAR measured, in the camera frame.

    origin: (3,) of its rays, m.  points: (P, 3) m.  label: (P,) uint8 indices into CLASSES, UNKNOWN where nobody said;
    None where nobody said of any.
    """

    origin: np.ndarray
    points: np.ndarray
    label: np.ndarray | None = None

    @classmethod
    def of_lidar(cls, points: np.ndarray, camera_from_lidar: np.ndarray, label: np.ndarray | None = None) -> "Returns":
        """Points (P, 3..) in the LiDAR's frame, whose origin the rays start from; those that are not finite go."""
        finite = np.isfinite(points[:, :3]).all(-1)
        there = points[finite, :3].astype(np.float64) @ camera_from_lidar[:3, :3].T + camera_from_lidar[:3, 3]
        return cls(camera_from_lidar[:3, 3], there, None if label is None else label[finite])


@dataclass(frozen=True)
class Scene:
    """What is known of one frame, in the camera frame.

    returns: of the LiDAR.  boxes: Axes.OPTICAL, and label: (N,) uint8, what fills each: indices into CLASSES, UNKNOWN
    for things that are none of them.  ground: its height map.  height: of the camera above the ground, as given, m.
    """

    returns: Returns
    boxes: Boxes3D
    label: np.ndarray
    ground: GroundMap
    height: float

    @classmethod
    def of(cls, returns: Returns, boxes: Boxes3D, label: np.ndarray, height: float) -> "Scene":
        """height: of the camera above the ground, m, by half a metre or so. Raises InputError without ground."""
        if boxes.axes is not Axes.OPTICAL:
            raise InputError("axes of the boxes", boxes.axes.name, "OPTICAL", "Transform them into the camera's frame.")
        flat = ~inside(returns.points, boxes).any(0)
        if returns.label is not None:
            flat &= returns.label == _GROUND
        return cls(returns, boxes, label, ground_map(returns.points[flat], height), height)

    @property
    def on_ground(self) -> np.ndarray:
        """(P,) bool: returns near the ground, or below it."""
        return np.asarray(self.ground.below(self.returns.points)[0] > -ON_GROUND)


def inside(points: np.ndarray, boxes: Boxes3D) -> np.ndarray:
    """Points (P, 3) of the boxes' frame -> (N, P) bool, which are in which box."""
    away = points[None] - boxes.center[:, None]
    return np.asarray((np.abs(away @ boxes.rotation()) <= boxes.size[:, None] / 2).all(-1))


def fill(scene: Scene, fruxel: Fruxel) -> Voxels:
    """The scene in a grid."""
    free = crossed(fruxel, scene.returns.origin, scene.returns.points, BEFORE)
    labels = np.full(fruxel.shape, UNKNOWN, np.uint8)
    labels[free] = AIR
    hit, told = _hit(scene, fruxel)
    labels[hit] = told[hit]
    ground = np.zeros(fruxel.shape, bool)
    solid = np.zeros((len(CLASSES), *fruxel.shape), bool)
    other = np.zeros(fruxel.shape, bool)
    for part in range(SUBSLICES):
        depth = fruxel.plane(np.arange(fruxel.slices) + (part + 0.5) / SUBSLICES)
        axis = fruxel.rays * depth[:, None, None, None]
        below, known = scene.ground.below(axis)
        ground |= known & (below > 0)
        for n in range(len(scene.boxes)):
            place = other if scene.label[n] == UNKNOWN else solid[scene.label[n]]
            _fill_box(place, axis, scene.boxes[n : n + 1])
    labels[ground] = _GROUND
    labels[other & ~ground] = UNKNOWN
    for name in _FILLED:
        within = solid[CLASSES.index(name)]
        labels[within & ~(free & ~hit)] = CLASSES.index(name)
        labels[within & free & ~hit & ~ground] = UNKNOWN
    return Voxels(labels, fruxel)


def _hit(scene: Scene, fruxel: Fruxel) -> tuple[np.ndarray, np.ndarray]:
    """(slices, rows, columns) bool: whether a return is in a cell, and uint8: what its returns are said to be.

    Of several classes in a cell the later one of PRIORITY is told.
    """
    returns = scene.returns
    cells, in_grid = fruxel.locate(returns.points)
    hit, told = np.zeros(fruxel.shape, bool), np.full(fruxel.shape, UNKNOWN, np.uint8)
    hit[tuple(cells[in_grid].T)] = True
    if returns.label is not None:
        for name in ("ground", *_FILLED):
            told[tuple(cells[in_grid & (returns.label == CLASSES.index(name))].T)] = CLASSES.index(name)
    return hit, told


def _fill_box(place: np.ndarray, axis: np.ndarray, box: Boxes3D) -> None:
    """Mark the cells of one box, of the slices it reaches.  axis: (slices, rows, columns, 3) m, points of the cells."""
    depth, corners = axis[:, 0, 0, 2], box.corners()[0, :, 2]
    first, last = np.searchsorted(depth, [corners.min(), corners.max()])
    if first < last:
        part = axis[first:last]
        place[first:last] |= inside(part.reshape(-1, 3), box)[0].reshape(part.shape[:3])


def poses(scene: Scene, fruxel: Fruxel) -> Poses:
    """6D poses of the boxes that have a class and whose centre is in the grid."""
    kept = (scene.label != UNKNOWN) & fruxel.locate(scene.boxes.center)[1]
    chosen = scene.boxes[kept]
    return Poses.of(scene.label[kept], chosen.center, chosen.rotation(), chosen.size)


@dataclass(frozen=True)
class LidarFrame:
    """An image and what else is known of what it shows.

    name, image, camera, world_from_camera, drive (there: scene), stamp: as of VoxelSample.  labelled: whether somebody
    labelled the scene's boxes.
    """

    name: str
    image: np.ndarray
    camera: Camera
    scene: Scene
    labelled: bool
    world_from_camera: np.ndarray | None = None
    drive: str = ""
    stamp: float | None = None

    def sample(self, fruxel: Fruxel) -> VoxelSample:
        """In a grid, with its image as it is."""
        return VoxelSample(
            name=self.name,
            image=self.image,
            camera=self.camera,
            voxels=fill(self.scene, fruxel),
            poses=poses(self.scene, fruxel) if self.labelled else None,
            world_from_camera=self.world_from_camera,
            scene=self.drive,
            stamp=self.stamp,
        )
