"""Augmentation of a cloud and all that belongs to it: one matrix for points, boxes, prompts and cameras.

The matrix A (p' = A p) flips, then rotates, then scales, then translates. Images stay as they are: cameras see the
augmented world through image_from_lidar A^-1, exactly.
"""

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numba import njit

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.rig import Prompts, RigSample
from voxbox_core.errors import InputError

RING_WIDTHS = (0.3, 1.0)  # deg: from those of 64 beams to those of 32
RING_STRIDES = (2, 4)  # one ring of so many stays


def _help(default: float, text: str, most: float = 1.0) -> float:
    return field(default=default, metadata={"help": text, "most": most})


@dataclass(frozen=True)
class CloudAugmentation:
    """How strongly clouds are varied; the defaults change nothing. Raises InputError on a value out of range."""

    flip_x: float = _help(0.0, "probability of the mirrored x axis")
    flip_y: float = _help(0.0, "probability of the mirrored y axis")
    rotation: float = _help(0.0, "largest turn about the vertical, rad", math.pi)
    scale_min: float = _help(1.0, "smallest scale", 10.0)
    scale_max: float = _help(1.0, "largest scale", 10.0)
    translation: float = _help(0.0, "deviation of the shift along x and y, m", 100.0)
    lift: float = _help(0.0, "deviation of the shift along z, m: how wrong the height may be", 100.0)
    dropout: float = _help(0.0, "largest part of the points that is left out")
    thinning: float = _help(0.0, "probability that but one elevation ring of 2 to 4 stays, as of fewer beams")
    intensity: float = _help(0.0, "largest relative change of the intensity")
    intensity_off: float = _help(0.0, "probability that all intensities are 0, as of a sensor that gives none")

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max:
            value = f"{self.scale_min}..{self.scale_max}"
            raise InputError("range of the scale", value, "0 < scale_min <= scale_max", "Set scale_min and scale_max.")
        for f in fields(self):
            value, most = getattr(self, f.name), f.metadata["most"]
            if not 0 <= value <= most:
                expected = f"a number from 0 to {most:g}"
                raise InputError(f"augmentation {f.name}", value, expected, f"It is: {f.metadata['help']}.")

    @classmethod
    def weak(cls) -> "CloudAugmentation":
        """None: the second view of the point-guided loss."""
        return cls()

    @classmethod
    def base(cls) -> "CloudAugmentation":
        """Of the paper's base student."""
        return cls(flip_x=0.5, flip_y=0.5, rotation=0.3925, scale_min=0.95, scale_max=1.05)

    @classmethod
    def strong(cls) -> "CloudAugmentation":
        """Of the paper's student, first view."""
        return replace(cls.base(), scale_min=0.85, scale_max=1.15, translation=0.5, lift=0.5)

    def draw(self, rng: np.random.Generator) -> "Transform":
        """One augmentation by chance."""
        flip = np.where(rng.random(2) < (self.flip_x, self.flip_y), -1.0, 1.0)
        turn = rng.uniform(-self.rotation, self.rotation)
        scale = rng.uniform(self.scale_min, self.scale_max)
        shift = rng.normal(0.0, 1.0, 3) * (self.translation, self.translation, self.lift)
        width, phase = rng.uniform(*RING_WIDTHS), rng.random()
        stride = int(rng.integers(RING_STRIDES[0], RING_STRIDES[1] + 1))
        thinned = rng.random() < self.thinning
        gain = 1 + rng.uniform(-self.intensity, self.intensity)
        dropout, off = rng.uniform(0.0, self.dropout), rng.random() < self.intensity_off
        return Transform(
            matrix=affine(flip, turn, scale, shift),
            scale=scale,
            dropout=dropout,
            ring_width=math.radians(width),
            ring_stride=stride if thinned else 1,
            ring_phase=int(phase * stride),
            gain=0.0 if off else gain,
            seed=int(rng.integers(2**31)),
        )


def affine(flip: np.ndarray, turn: float, scale: float, shift: np.ndarray) -> np.ndarray:
    """(4, 4): signs `flip` of x and y, then a turn about z, rad, then the scale, then the shift (3,), m."""
    cos, sin = math.cos(turn), math.sin(turn)
    matrix = np.eye(4)
    matrix[:2, :2] = np.array([[cos, -sin], [sin, cos]]) * flip
    matrix[:3, :3] *= scale
    matrix[:3, 3] = shift
    return matrix


@dataclass(frozen=True)
class Transform:
    """What is done to one cloud.

    matrix: (4, 4) p' = A p.  scale: of A.  dropout: part of the points to leave out.  ring_width: rad of elevation;
    of every ring_stride rings the one numbered ring_phase stays.  gain: of the intensity.  seed: of the dropout.
    """

    matrix: np.ndarray = field(default_factory=lambda: np.eye(4))
    scale: float = 1.0
    dropout: float = 0.0
    ring_width: float = math.radians(RING_WIDTHS[0])
    ring_stride: int = 1
    ring_phase: int = 0
    gain: float = 1.0
    seed: int = 0

    def apply(self, sample: RigSample) -> RigSample:
        """The sample in the augmented world; cameras keep their images and see it by skewed extrinsics.

        The sample is in the LiDAR frame still, not `grounded`: rings are those of the frame's origin. Its height scales
        with it, so that ground stays at z = 0 for networks; `lift` is a wrong height, which they are not told.
        """
        inverse = np.linalg.inv(self.matrix)
        points = self.points(sample.points)
        boxes = None if sample.boxes is None else self.boxes(sample.boxes)
        hits = sample.hits
        if boxes is not None and len(points) < len(sample.points):
            hits = returns_in_boxes(points, boxes)
        world = sample.world_from_lidar
        return replace(
            sample,
            points=points,
            height=sample.height * self.scale,
            views=tuple(replace(v, camera_from_lidar=v.camera_from_lidar @ inverse) for v in sample.views),
            boxes=boxes,
            hits=hits,
            prompts=None if sample.prompts is None else self.prompts(sample.prompts),
            world_from_lidar=None if world is None else world @ inverse,
        )

    def points(self, points: np.ndarray) -> np.ndarray:
        """(P, 5) -> (Q, 5), as in RigSample: Q < P where points are left out."""
        fate = np.zeros(0, np.float32)
        if self.dropout > 0:
            fate = np.random.default_rng(self.seed).random(len(points), dtype=np.float32)
        rings = (self.ring_width, self.ring_stride, self.ring_phase)
        matrix = self.matrix.astype(np.float32)
        return _moved(points.astype(np.float32, copy=False), matrix, fate, self.dropout, *rings, self.gain)

    def boxes(self, boxes: Boxes3D) -> Boxes3D:
        """Boxes of the LiDAR frame (Axes.BODY) in the augmented world."""
        moved = boxes.transformed(self.matrix[:3, :3], self.matrix[:3, 3], Axes.BODY)
        return replace(moved, size=boxes.size * self.scale)

    def prompts(self, prompts: Prompts) -> Prompts:
        """Prompts of the LiDAR frame in the augmented world."""
        return replace(prompts, points=prompts.points @ self.matrix[:3, :3].T + self.matrix[:3, 3])


@njit(cache=True)
def _moved(
    points: np.ndarray,
    matrix: np.ndarray,
    fate: np.ndarray,
    dropout: float,
    ring_width: float,
    ring_stride: int,
    ring_phase: int,
    gain: float,
) -> np.ndarray:
    moved = np.empty_like(points)
    count = 0
    for i in range(len(points)):
        if len(fate) and fate[i] < dropout:
            continue
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        if ring_stride > 1:
            ring = math.floor(math.atan2(z, math.sqrt(x * x + y * y)) / ring_width)
            if ring % ring_stride != ring_phase:
                continue
        for axis in range(3):
            moved[count, axis] = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] * z + matrix[axis, 3]
        moved[count, 3] = min(max(points[i, 3] * gain, 0.0), 1.0)
        moved[count, 4] = points[i, 4]
        count += 1
    return moved[:count]


def returns_in_boxes(points: np.ndarray, boxes: Boxes3D) -> np.ndarray:
    """(N,) int64: returns of the newest sweep, of points (P, 5), inside of each box (Axes.BODY)."""
    return _returns(points, boxes.center, boxes.size / 2, boxes.rotation())


@njit(cache=True)
def _returns(points: np.ndarray, center: np.ndarray, half: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    count = np.zeros(len(center), np.int64)
    for n in range(len(center)):
        reach = half[n, 0] ** 2 + half[n, 1] ** 2
        for i in range(len(points)):
            dx, dy = points[i, 0] - center[n, 0], points[i, 1] - center[n, 1]
            if points[i, 4] != 0 or dx * dx + dy * dy > reach:
                continue
            along = rotation[n, 0, 0] * dx + rotation[n, 1, 0] * dy
            across = rotation[n, 0, 1] * dx + rotation[n, 1, 1] * dy
            dz = points[i, 2] - center[n, 2]
            if abs(along) <= half[n, 0] and abs(across) <= half[n, 1] and abs(dz) <= half[n, 2]:
                count[n] += 1
    return count
