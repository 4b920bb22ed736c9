"""One image and the semantic voxels before its camera: the unit of the SemanticVoxels set (SSZ, section 3.4)."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.voxels import CLASSES, Voxels


@dataclass(frozen=True)
class Poses:
    """6D poses of objects in the camera frame (x right, y down, z forward).

    label: (N,) int64, indices into `voxels.CLASSES`.  translation: (N, 3) m, of the geometric centre.
    rotation: (N, 4) unit quaternions w x y z with w >= 0, camera from object (x forward, y left, z up).
    size: (N, 3) length, width, height, m.
    Raises InputError for columns that do not belong together.
    """

    label: np.ndarray
    translation: np.ndarray
    rotation: np.ndarray
    size: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", np.asarray(self.label, np.int64).reshape(-1))
        count = len(self.label)
        if not np.isin(self.label, range(len(CLASSES))).all():
            _refuse("labels of poses", self.label.tolist(), f"0 to {len(CLASSES) - 1}")
        for name, width in (("translation", 3), ("rotation", 4), ("size", 3)):
            column = np.asarray(getattr(self, name), np.float64)
            if column.shape != (count, width) or not np.isfinite(column).all():
                _refuse(f"{name} of poses", f"of shape {column.shape}", f"finite, of shape {(count, width)}")
            object.__setattr__(self, name, column)
        if not np.allclose(np.linalg.norm(self.rotation, axis=1), 1, atol=1e-6) or (self.rotation[:, 0] < 0).any():
            _refuse("rotation of poses", self.rotation.tolist(), "unit quaternions w x y z with w >= 0")

    @classmethod
    def of(cls, label: np.ndarray, translation: np.ndarray, turns: np.ndarray, size: np.ndarray) -> "Poses":
        """Of rotations as matrices (N, 3, 3), camera from object; the rest as above."""
        turns = np.reshape(turns, (-1, 3, 3))
        quaternions = np.zeros((0, 4))
        if len(turns):
            quaternions = Rotation.from_matrix(turns).as_quat(canonical=True, scalar_first=True)
        return cls(label, np.reshape(translation, (-1, 3)), quaternions, np.reshape(size, (-1, 3)))

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class VoxelSample:
    """An image and what fills the space before it.

    name: unique in its data set, a file's name.
    image: (H, W, 3) uint8 RGB, rectified, of `camera`, which is usually `voxels.fruxel.camera(n)`: aligned with the
    grid; its optical centre and axes are the grid's in any case.
    voxels: the truth.
    depth: (H, W) float32 along the optical axis, m, inf where nothing is; None where nobody measured.
    poses: of the objects, None where nobody said.
    world_from_camera: (4, 4); the world's z points up.
    scene: samples of one scene have the same.  stamp: s, None without a clock.
    Raises InputError for parts that do not belong together.
    """

    name: str
    image: np.ndarray
    camera: Camera
    voxels: Voxels
    depth: np.ndarray | None = None
    poses: Poses | None = None
    world_from_camera: np.ndarray | None = None
    scene: str = ""
    stamp: float | None = None

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.image.dtype != np.uint8 or self.image.shape != (*size, 3):
            _refuse(f"image of {self.name}", f"{self.image.dtype} {self.image.shape}", f"uint8 {(*size, 3)}")
        if self.depth is not None and self.depth.shape != size:
            _refuse(f"depth of {self.name}", f"of shape {self.depth.shape}", f"of shape {size}")
        pose = self.world_from_camera
        if pose is not None and (pose.shape != (4, 4) or not np.isfinite(pose).all()):
            _refuse(f"world_from_camera of {self.name}", pose.tolist(), "a finite 4x4 matrix")


def _refuse(what: str, value: object, expected: str) -> None:
    raise InputError(what, value, expected, "Correct the data.")
