"""Poses of objects and the discriminator's certificate (section 3.3): one cell of a coarse grid for each object.

A certificate is (B, channels, u, v, w), cells along depth, rows and columns: the logit of "real", three logits of the
place inside the cell (depth, row, column), then the rotation. Poses are in the camera frame (x right, y down, z
forward), m.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from voxbox_core.datasets.voxel_sample import Poses
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import CLASSES

ROTATIONS = {"quaternion": 4, "yaw": 2, "double_yaw": 2}
"""Numbers of each code: a unit quaternion w x y z, w >= 0; cosine and sine of yaw (about +y, KITTI's rotation_y), where
front and rear can be told apart; and of twice the yaw, where they cannot."""

_SAME_ALL_AROUND = tuple(CLASSES.index(name) for name in ("person", "tree", "building"))
_PLACE, _ROTATION = slice(1, 4), slice(4, None)


@dataclass(frozen=True)
class PoseGrid:
    """The cells of a certificate over a fruxel grid.

    cells: along depth, rows, columns.  rotation: one of ROTATIONS.
    Raises InputError for another.
    """

    fruxel: Fruxel
    cells: tuple[int, int, int]
    rotation: str = "double_yaw"

    def __post_init__(self) -> None:
        if self.rotation not in ROTATIONS:
            raise InputError("rotation code of poses", self.rotation, f"one of {tuple(ROTATIONS)}", "Choose one.")
        if min(self.cells) < 1:
            raise InputError("cells of a certificate", self.cells, "at least one along each axis", "Use a finer grid.")

    @property
    def channels(self) -> int:
        """Of a certificate."""
        return 4 + ROTATIONS[self.rotation]

    @property
    def stride(self) -> np.ndarray:
        """(3,) cells of the fruxel grid for each cell of the certificate: slices, rows, columns."""
        return np.array(self.fruxel.shape) / self.cells

    def encode(self, poses: Poses | None) -> dict[str, np.ndarray]:
        """Targets of one sample: "object" (u, v, w) bool, cells with the centre of an object in them, of the nearest
        where there are several; "translation" (3, u, v, w) float32, m; "rotation" (R, u, v, w) float32, the code;
        "rotates" (u, v, w) bool, whether the object has one. What is in other cells means nothing."""
        objects, rotates = np.zeros(self.cells, bool), np.zeros(self.cells, bool)
        translation = np.zeros((3, *self.cells), np.float32)
        rotation = np.zeros((ROTATIONS[self.rotation], *self.cells), np.float32)
        if poses is not None and len(poses.label):
            _, inside = self.fruxel.locate(poses.translation)
            codes = self._code(np.asarray(poses.rotation, np.float64))
            farthest_first = np.argsort(-poses.translation[:, 2], kind="stable")
            for n in farthest_first[inside[farthest_first]]:
                cell = self._cell(poses.translation[n])
                objects[cell] = True
                rotates[cell] = poses.label[n] not in _SAME_ALL_AROUND
                translation[(slice(None), *cell)] = poses.translation[n]
                rotation[(slice(None), *cell)] = codes[n]
        return {"object": objects, "translation": translation, "rotation": rotation, "rotates": rotates}

    def decode(self, certificate: Tensor) -> dict[str, Tensor]:
        """(B, channels, u, v, w) -> "real" (B, u, v, w) in [0, 1], "translation" (B, 3, u, v, w) m, and "rotation"
        (B, R, u, v, w), the code at length 1."""
        k, row, column = self._place(certificate[:, _PLACE].sigmoid()).unbind(1)
        depth = plane(self.fruxel, k)
        x, y = self.fruxel.principal
        focal = self.fruxel.focal
        translation = torch.stack([(column - x) * depth / focal, (row - y) * depth / focal, depth], 1)
        rotation = F.normalize(certificate[:, _ROTATION], dim=1)
        if self.rotation == "quaternion":
            rotation = torch.where(rotation[:, :1] < 0, -rotation, rotation)
        return {"real": certificate[:, 0].sigmoid(), "translation": translation, "rotation": rotation}

    def poses(self, certificate: Tensor, targets: Mapping[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """What a certificate (1, channels, u, v, w) says of the objects of `targets`, in the order of cells:
        translations (N, 3), m, and rotations (N, 4), unit quaternions w x y z, w >= 0; upright ones of a yaw, within
        half a turn of a double yaw."""
        found = self.decode(certificate.detach().float())
        at = targets["object"].reshape(self.cells).bool().cpu()
        translation, code = (found[name][0].cpu()[:, at].T.double().numpy() for name in ("translation", "rotation"))
        if self.rotation == "quaternion":
            return translation, code
        yaw = np.arctan2(code[:, 1], code[:, 0])
        return translation, upright(yaw / 2 if self.rotation == "double_yaw" else yaw)

    def _cell(self, center: np.ndarray) -> tuple[int, int, int]:
        """The cell of a point (3,) in the grid, m."""
        x, y, z = center
        column, row = np.array(self.fruxel.principal) + self.fruxel.focal * np.array([x, y]) / z
        place = np.array([self.fruxel.slice_of(z), row, column]) / self.stride
        u, v, w = (min(int(at), count - 1) for at, count in zip(place, self.cells, strict=True))
        return u, v, w

    def _place(self, part: Tensor) -> Tensor:
        """Coordinates (B, 3, u, v, w) in the fruxel grid from those inside of each cell, in [0, 1]."""
        ranges = [torch.arange(n, device=part.device, dtype=part.dtype) for n in self.cells]
        corner = torch.stack(torch.meshgrid(*ranges, indexing="ij"))
        stride = torch.tensor(self.stride, device=part.device, dtype=part.dtype)
        return (corner + part) * stride[:, None, None, None]

    def _code(self, quaternion: np.ndarray) -> np.ndarray:
        """(N, 4) w x y z -> (N, R)."""
        if self.rotation == "quaternion":
            unit = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
            return np.where(unit[:, :1] < 0, -unit, unit)
        angle = yaw_of(quaternion) * (2 if self.rotation == "double_yaw" else 1)
        return np.stack([np.cos(angle), np.sin(angle)], 1)


def plane(fruxel: Fruxel, k: Tensor) -> Tensor:
    """`Fruxel.plane` with a gradient: depth, m, at slice coordinates k."""
    part = k / fruxel.slices
    if fruxel.spacing == "log":
        return fruxel.near * (fruxel.far / fruxel.near) ** part
    if fruxel.spacing == "inverse":
        return 1 / ((1 - part) / fruxel.near + part / fruxel.far)
    return fruxel.near + part * (fruxel.far - fruxel.near)


def yaw_of(quaternion: np.ndarray) -> np.ndarray:
    """(N, 4) w x y z, camera from object (x forward, y left, z up) -> (N,) yaw about +y, rad, of the object's heading
    (cos, 0, -sin)."""
    w, x, y, z = quaternion.T
    return np.arctan2(2 * (w * y - x * z), w * w + x * x - y * y - z * z)


def upright(yaw: np.ndarray) -> np.ndarray:
    """(N,) rad -> (N, 4) quaternions w x y z, w >= 0, of objects that stand upright: the inverse of `yaw_of`."""
    half = yaw / 2
    c, s = np.cos(half), np.sin(half)
    quaternion = np.stack([c, c, s, -s], 1) * np.sqrt(0.5)
    return np.where(quaternion[:, :1] < 0, -quaternion, quaternion)
