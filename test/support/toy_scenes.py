"""Analytic toy scenes: one function says what is where, and both the grid and the image are made of it."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ssz_ros.contract import Contract
from voxbox_core.datasets.voxel_sample import Poses, VoxelSample
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import CLASSES, Voxels

GRID = Fruxel(near=2.0, far=12.0, slices=16, rows=16, columns=16, alpha=40.0)
PER_CELL = 2
CONTRACT = Contract(
    near=GRID.near,
    far=GRID.far,
    slices=16,
    rows=16,
    columns=16,
    alpha=GRID.alpha,
    spacing=GRID.spacing,
    per_cell=PER_CELL,
    encoder=(8, 16, 16),
    decoder=(16, 16),
)
"""A network of the grid, small enough to train in a test."""
SIZES = {"person": (0.5, 0.6, 1.7), "car": (4.2, 1.8, 1.5), "building": (1.5, 5.0, 6.0)}
CAMERA_HEIGHT = 1.5
COLOURS = {"air": 200, "person": 240, "car": 40, "building": 120, "ground": 80}
FACING_AHEAD = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera from an object that looks where it does


@dataclass(frozen=True)
class Scene:
    """Objects on the ground, the later ones before the earlier ones.

    name: of their classes.  place: (N, 2) x and z in the camera frame, m.  yaw: (N,) about y, from z towards x, rad.
    """

    names: tuple
    place: np.ndarray
    yaw: np.ndarray

    @classmethod
    def draw(cls, rng):
        names = ("building", "car", "person")
        place = np.stack([rng.uniform(-1.5, 1.5, 3), [rng.uniform(9, 11), rng.uniform(6, 9), rng.uniform(4, 6)]], -1)
        return cls(names, place, rng.uniform(-np.pi, np.pi, 3) * (0, 1, 1))

    @property
    def mirrored(self):
        return Scene(self.names, self.place * (-1, 1), -self.yaw)

    @property
    def size(self):
        return np.array([SIZES[name] for name in self.names])

    @property
    def centers(self):
        return np.stack([self.place[:, 0], CAMERA_HEIGHT - self.size[:, 2] / 2, self.place[:, 1]], -1)

    @property
    def rotations(self):
        return Rotation.from_euler("y", self.yaw[:, None]).as_matrix() @ FACING_AHEAD

    def labels(self, points):
        """Points (..., 3) in the camera frame, m -> classes (...,) uint8."""
        found = np.where(points[..., 1] > CAMERA_HEIGHT, CLASSES.index("ground"), 0).astype(np.uint8)
        for name, center, rotation, size in zip(self.names, self.centers, self.rotations, self.size):
            local = np.abs((points - center) @ rotation) / (size / 2)
            inside = (local**2).sum(-1) <= 1 if name == "person" else (local <= 1).all(-1)
            found[inside] = CLASSES.index(name)
        return found

    def poses(self):
        rotation = Rotation.from_matrix(self.rotations).as_quat(canonical=True)[:, [3, 0, 1, 2]]
        rotation *= np.where(rotation[:, :1] < 0, -1, 1)
        return Poses([CLASSES.index(name) for name in self.names], self.centers, rotation, self.size)

    def sample(self, name):
        cells = np.indices(GRID.shape).reshape(3, -1).T
        labels = self.labels(GRID.centers(cells)).reshape(GRID.shape)
        camera = GRID.camera(PER_CELL)
        fine = replace(GRID, slices=160, rows=PER_CELL * GRID.rows, columns=PER_CELL * GRID.columns, principal=())
        seen = self.labels(fine.centers(np.indices(fine.shape).reshape(3, -1).T)).reshape(fine.shape)
        first = (seen != 0).argmax(0)
        hit = np.take_along_axis(seen, first[None], 0)[0]
        grey = np.choose(hit, [COLOURS.get(name, 0) for name in CLASSES]) - first // 8
        image = np.stack([grey, grey, 255 - grey], -1).astype(np.uint8)
        depth = np.where(hit != 0, fine.depths[first], np.inf).astype(np.float32)
        return VoxelSample(name, image, camera, Voxels(labels, GRID), depth, self.poses(), scene=name)
