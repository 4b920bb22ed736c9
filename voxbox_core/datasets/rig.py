"""One moment of a LiDAR and the cameras around it, of any data set."""

from dataclasses import dataclass, field, replace

import numpy as np
from numba import njit

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class View:
    """What one camera saw.

    name: of the camera.  image: (H, W, 3) uint8 RGB, rectified.  camera: of this image.
    camera_from_lidar: (4, 4), from the LiDAR frame at the moment of the cloud to the camera's optical frame at the
    moment of the image.
    """

    name: str
    image: np.ndarray
    camera: Camera
    camera_from_lidar: np.ndarray

    def __post_init__(self) -> None:
        expected = (self.camera.height, self.camera.width, 3)
        if self.image.dtype != np.uint8 or self.image.shape != expected:
            raise InputError(
                f"image of {self.name}",
                f"{self.image.dtype} {self.image.shape}",
                f"uint8 {expected} as its camera says",
                "Use the calibration of this image.",
            )
        _require_shape(f"camera_from_lidar of {self.name}", self.camera_from_lidar, (4, 4))

    @property
    def image_from_lidar(self) -> np.ndarray:
        """(3, 4): homogeneous LiDAR points, m, to homogeneous pixels; the third coordinate is the depth, m."""
        return self.camera.intrinsics @ self.camera_from_lidar[:3]


@dataclass(frozen=True)
class Prompts:
    """Weak labels, or clicks: one point and one class per object.

    points: (N, 3) in the LiDAR frame, m.  label: (N,) int64 index into `classes`.
    """

    points: np.ndarray
    label: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", np.asarray(self.points, np.float64))
        object.__setattr__(self, "label", np.asarray(self.label, np.int64))
        _require_shape("label of the prompts", self.label, (len(self.label),))
        _require_shape("points of the prompts", self.points, (len(self.label), 3))
        if len(self) and not (self.label.min() >= 0 and self.label.max() < len(self.classes)):
            found = f"{self.label.min()}..{self.label.max()}"
            raise InputError("label of the prompts", found, f"indices into {self.classes}", "Use their class list.")

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, index: np.ndarray | slice) -> "Prompts":
        """The prompts at a mask, an index array or a slice."""
        return Prompts(self.points[index], self.label[index], self.classes)


UNCOUNTED = -1
"""In place of a box's hits, in a header of a data set that does not tell them."""


@dataclass(frozen=True)
class RigSample:
    """What a LiDAR and 0 to n cameras saw.

    name: unique in its data set.
    points: (P, 5) float32 x y z in the LiDAR frame (x forward, y left, z up) of the newest sweep, m; intensity in
    [0, 1]; age, s, 0 in the newest sweep.
    height: of the LiDAR's origin above the ground, m.
    views: the cameras.
    boxes: truth in the LiDAR frame (Axes.BODY), None where nobody labelled boxes.  hits: (N,) returns of the newest
    sweep inside of each box.
    prompts: weak labels, None where nobody clicked.
    stamp: s, or None.  world_from_lidar: (4, 4) pose in a fixed frame (z up), or None.
    """

    name: str
    points: np.ndarray
    height: float
    views: tuple[View, ...] = ()
    boxes: Boxes3D | None = None
    hits: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    prompts: Prompts | None = None
    stamp: float | None = None
    world_from_lidar: np.ndarray | None = None

    def __post_init__(self) -> None:
        _require_shape(f"points of {self.name}", self.points, (len(self.points), 5))
        if self.boxes is None:
            return
        if self.boxes.axes is not Axes.BODY:
            raise InputError(f"axes of the boxes of {self.name}", self.boxes.axes.name, "BODY", "Transform them.")
        _require_shape(f"hits of {self.name}", self.hits, (len(self.boxes),))

    def grounded(self) -> "RigSample":
        """The same in the network frame: that of the LiDAR, shifted down to the ground below it."""
        up = np.array([0.0, 0.0, self.height])
        points = self.points.copy()
        points[:, 2] += np.float32(self.height)
        lidar_from_ground = np.eye(4)
        lidar_from_ground[:3, 3] = -up
        world = self.world_from_lidar
        return replace(
            self,
            points=points,
            height=0.0,
            views=tuple(replace(v, camera_from_lidar=v.camera_from_lidar @ lidar_from_ground) for v in self.views),
            boxes=None if self.boxes is None else replace(self.boxes, center=self.boxes.center + up),
            prompts=None if self.prompts is None else replace(self.prompts, points=self.prompts.points + up),
            world_from_lidar=None if world is None else world @ lidar_from_ground,
        )


def _require_shape(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise InputError(f"shape of {what}", np.shape(array), str(shape), "Give arrays that belong together.")


def points_in_boxes(points: np.ndarray, boxes: Boxes3D, margin: float = 0.0) -> np.ndarray:
    """Which points (P, 3..) lie in which of N boxes of the same frame (Axes.BODY), grown by `margin`, m, on every
    side: (N, P) bool."""
    inside = np.zeros((len(boxes), len(points)), np.bool_)
    _mark(points, boxes.center, boxes.size / 2 + margin, np.ascontiguousarray(boxes.rotation()), inside)
    return inside


@njit(cache=True)
def _mark(points: np.ndarray, center: np.ndarray, half: np.ndarray, rotation: np.ndarray, inside: np.ndarray) -> None:
    for n in range(len(center)):
        reach = half[n, 0] ** 2 + half[n, 1] ** 2
        for i in range(len(points)):
            dx, dy = points[i, 0] - center[n, 0], points[i, 1] - center[n, 1]
            if dx * dx + dy * dy > reach:
                continue
            along = abs(rotation[n, 0, 0] * dx + rotation[n, 1, 0] * dy)
            across = abs(rotation[n, 0, 1] * dx + rotation[n, 1, 1] * dy)
            upright = abs(points[i, 2] - center[n, 2])
            inside[n, i] = along <= half[n, 0] and across <= half[n, 1] and upright <= half[n, 2]
