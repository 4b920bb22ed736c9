"""Boxes3D: the one box convention of voxbox, its corners, and rotated IoU.

A box is its geometric centre, its full extents (length, width, height) along its own axes, and a yaw about the
frame's vertical. Other conventions (KITTI's bottom centre and h, w, l; ROS quaternions) are translated where
they enter or leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum

import numpy as np
from numba import njit

from voxbox_core.errors import InputError


class Axes(Enum):
    """The kind of frame the boxes stand in; the vertical decides what yaw means."""

    OPTICAL = "x right, y down, z forward; yaw about +y, heading (cos, 0, -sin): KITTI's rotation_y"
    BODY = "x forward, y left, z up; yaw about +z, heading (cos, sin, 0)"


# Corner signs along (length, left, up): front-left, front-right, rear-right, rear-left; bottom first, then top.
# In this order the corners are KM3D's keypoints 0..7.
CORNER_SIGNS = np.array(
    [[1, 1, -1], [1, -1, -1], [-1, -1, -1], [-1, 1, -1], [1, 1, 1], [1, -1, 1], [-1, -1, 1], [-1, 1, 1]],
    dtype=np.float64,
)


@dataclass(frozen=True)
class Boxes3D:
    """N boxes of one frame.

    center: (N, 3) geometric centre, m.  size: (N, 3) length, width, height, m.  yaw: (N,) rad.
    label: (N,) int64 index into `classes`.  score: (N,) in [0, 1], 1 for truth.
    box2d: (N, 4) x1 y1 x2 y2 in pixels of the image they were seen in, NaN where unknown.
    Raises InputError when the arrays do not agree.
    """

    center: np.ndarray
    size: np.ndarray
    yaw: np.ndarray
    label: np.ndarray
    score: np.ndarray
    box2d: np.ndarray
    classes: tuple[str, ...]
    axes: Axes = Axes.OPTICAL

    def __post_init__(self) -> None:
        count = len(self.yaw)
        for name, columns in (
            ("center", 3),
            ("size", 3),
            ("yaw", 0),
            ("label", 0),
            ("score", 0),
            ("box2d", 4),
        ):
            dtype = np.int64 if name == "label" else np.float64
            value = np.asarray(getattr(self, name), dtype=dtype)
            expected = (count, columns) if columns else (count,)
            if value.shape != expected:
                raise InputError(f"shape of Boxes3D.{name}", value.shape, str(expected), "Give one row per box.")
            object.__setattr__(self, name, value)
        if count and not (self.label.min() >= 0 and self.label.max() < len(self.classes)):
            raise InputError(
                "Boxes3D.label",
                f"{self.label.min()}..{self.label.max()}",
                f"indices into {self.classes}",
                "Use the class list the labels were made with.",
            )

    @classmethod
    def empty(cls, classes: Sequence[str], axes: Axes = Axes.OPTICAL) -> "Boxes3D":
        zero = np.zeros(0)
        return cls(np.zeros((0, 3)), np.zeros((0, 3)), zero, zero, zero, np.zeros((0, 4)), tuple(classes), axes)

    @classmethod
    def concatenate(cls, parts: Sequence["Boxes3D"]) -> "Boxes3D":
        """All boxes of the parts, which share classes and axes. Raises InputError otherwise."""
        first = parts[0]
        if any(p.classes != first.classes or p.axes != first.axes for p in parts):
            raise InputError("boxes to concatenate", "of several classes or axes", "one kind", "Convert them first.")
        arrays = {f: np.concatenate([getattr(p, f) for p in parts]) for f in _ARRAYS}
        return cls(**arrays, classes=first.classes, axes=first.axes)

    def __len__(self) -> int:
        return len(self.yaw)

    def __getitem__(self, index: np.ndarray | slice | Sequence[int]) -> "Boxes3D":
        """The boxes at a mask, an index array or a slice."""
        return replace(self, **{f: getattr(self, f)[index] for f in _ARRAYS})

    def names(self) -> list[str]:
        """Class name of every box."""
        return [self.classes[i] for i in self.label]

    def rotation(self) -> np.ndarray:
        """(N, 3, 3): columns are the box's length, left and up axes in the frame."""
        cos, sin, zero, one = np.cos(self.yaw), np.sin(self.yaw), np.zeros(len(self)), np.ones(len(self))
        if self.axes is Axes.OPTICAL:
            columns = ((cos, zero, -sin), (sin, zero, cos), (zero, -one, zero))
        else:
            columns = ((cos, sin, zero), (-sin, cos, zero), (zero, zero, one))
        return np.stack([np.stack(c, -1) for c in columns], -1)

    def corners(self) -> np.ndarray:
        """(N, 8, 3), m, in the order of CORNER_SIGNS."""
        offsets = CORNER_SIGNS[None] * self.size[:, None] / 2
        return self.center[:, None] + offsets @ self.rotation().transpose(0, 2, 1)

    def bottom_center(self) -> np.ndarray:
        """(N, 3), m: the centre of the face the box stands on."""
        return self.center - self.rotation()[:, :, 2] * self.size[:, 2:] / 2

    def transformed(self, rotation: np.ndarray, translation: np.ndarray, axes: Axes) -> "Boxes3D":
        """The boxes in another frame: p' = rotation p + translation, with `axes` the kind of that frame.

        Boxes stay upright in the new frame: what the rotation tilts is dropped from yaw (a box has no roll or pitch).
        """
        heading = self.rotation()[:, :, 0] @ np.asarray(rotation).T
        yaw = (
            np.arctan2(-heading[:, 2], heading[:, 0])
            if axes is Axes.OPTICAL
            else np.arctan2(heading[:, 1], heading[:, 0])
        )
        return replace(self, center=self.center @ np.asarray(rotation).T + translation, yaw=yaw, axes=axes)

    def footprint(self) -> np.ndarray:
        """(N, 4, 2): bottom corners in the ground plane, (x, z) in an optical frame, (x, y) in a body frame, m."""
        plane = (0, 2) if self.axes is Axes.OPTICAL else (0, 1)
        return self.corners()[:, :4, plane]

    def vertical(self) -> np.ndarray:
        """(N, 2): lower and upper end along the frame's up direction, m."""
        up = -self.center[:, 1] if self.axes is Axes.OPTICAL else self.center[:, 2]
        return np.stack([up - self.size[:, 2] / 2, up + self.size[:, 2] / 2], -1)


_ARRAYS = tuple(f.name for f in fields(Boxes3D) if f.name not in ("classes", "axes"))


@njit(cache=True)
def intersection_area(first: np.ndarray, second: np.ndarray) -> float:
    """Area of the intersection of two convex quadrilaterals (4, 2), of either winding (Sutherland-Hodgman)."""
    signed = 0.0
    for i in range(4):
        j = (i + 1) % 4
        signed += second[i, 0] * second[j, 1] - second[j, 0] * second[i, 1]
    winding = 1.0 if signed >= 0 else -1.0
    polygon = np.empty((16, 2))
    clipped = np.empty((16, 2))
    count = 4
    for i in range(4):
        polygon[i] = first[i]
    for edge in range(4):
        ax, ay = second[edge]
        ex, ey = second[(edge + 1) % 4, 0] - ax, second[(edge + 1) % 4, 1] - ay
        kept = 0
        for i in range(count):
            px, py = polygon[i]
            qx, qy = polygon[(i + 1) % count]
            p_side = winding * (ex * (py - ay) - ey * (px - ax))
            q_side = winding * (ex * (qy - ay) - ey * (qx - ax))
            if p_side >= 0:
                clipped[kept, 0], clipped[kept, 1] = px, py
                kept += 1
            if (p_side >= 0) != (q_side >= 0):
                t = p_side / (p_side - q_side)
                clipped[kept, 0], clipped[kept, 1] = px + t * (qx - px), py + t * (qy - py)
                kept += 1
        count = kept
        if count < 3:
            return 0.0
        for i in range(count):
            polygon[i] = clipped[i]
    area = 0.0
    for i in range(count):
        j = (i + 1) % count
        area += polygon[i, 0] * polygon[j, 1] - polygon[j, 0] * polygon[i, 1]
    return abs(area) / 2


@njit(cache=True)
def pairwise_intersection(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Footprints (N, 4, 2) and (M, 4, 2) -> intersection areas (N, M)."""
    areas = np.zeros((len(first), len(second)))
    ours, theirs = _circles(first), _circles(second)
    for i in range(len(first)):
        for j in range(len(second)):
            dx, dy = ours[i, 0] - theirs[j, 0], ours[i, 1] - theirs[j, 1]
            reach = ours[i, 2] + theirs[j, 2]
            if dx * dx + dy * dy < reach * reach:
                areas[i, j] = intersection_area(first[i], second[j])
    return areas


@njit(cache=True)
def _circles(footprints: np.ndarray) -> np.ndarray:
    """Rectangles (N, 4, 2) -> (N, 3) centre and radius of the circles around them."""
    circles = np.empty((len(footprints), 3))
    for i in range(len(footprints)):
        ax, ay = footprints[i, 0]
        bx, by = footprints[i, 2]
        circles[i, 0], circles[i, 1] = (ax + bx) / 2, (ay + by) / 2
        circles[i, 2] = np.sqrt((ax - bx) ** 2 + (ay - by) ** 2) / 2
    return circles


def _same_frame(a: Boxes3D, b: Boxes3D) -> None:
    if a.axes is not b.axes:
        raise InputError("axes of the second boxes", b.axes.name, a.axes.name, "Transform one into the other's frame.")


def iou_bev(a: Boxes3D, b: Boxes3D) -> np.ndarray:
    """Bird's-eye IoU (N, M) of rotated rectangles."""
    _same_frame(a, b)
    ours = np.ascontiguousarray(a.footprint())
    overlap = pairwise_intersection(ours, ours if b is a else np.ascontiguousarray(b.footprint()))
    union = (a.size[:, 0] * a.size[:, 1])[:, None] + (b.size[:, 0] * b.size[:, 1])[None] - overlap
    return overlap / np.maximum(union, 1e-12)


def iou_3d(a: Boxes3D, b: Boxes3D) -> np.ndarray:
    """IoU (N, M) of upright boxes: ground-plane intersection times vertical overlap, over the union."""
    _same_frame(a, b)
    ground = pairwise_intersection(np.ascontiguousarray(a.footprint()), np.ascontiguousarray(b.footprint()))
    va, vb = a.vertical(), b.vertical()
    height = np.minimum(va[:, None, 1], vb[None, :, 1]) - np.maximum(va[:, None, 0], vb[None, :, 0])
    overlap = ground * np.clip(height, 0.0, None)
    union = a.size.prod(-1)[:, None] + b.size.prod(-1)[None] - overlap
    return overlap / np.maximum(union, 1e-12)


def apart(boxes: Boxes3D, limit: float) -> np.ndarray:
    """Indices, rising, of the boxes left when of any two of a class, whose bird's-eye IoU exceeds `limit`, the later
    one goes: non-maximum suppression, of boxes best first. One that has gone suppresses none."""
    crowded = (iou_bev(boxes, boxes) > limit) & (boxes.label[:, None] == boxes.label[None])
    later = np.triu(crowded, 1)
    gone = np.zeros(len(boxes), bool)
    for i in np.flatnonzero(later.any(1)):
        if not gone[i]:
            gone |= later[i]
    return np.flatnonzero(~gone)
