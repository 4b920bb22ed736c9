"""What an annotator would write about a frame of the street world, by KITTI's definitions, measured instead of guessed.

The 2D box is the outline of the 3D box: those of KITTI's cars, vans, trucks and cyclists are, to 1% of their size. A
person's is as high as that and as wide as the person, whose arms and legs KITTI's annotators followed. Truncation is
the share of the 2D box outside of the image; occlusion comes from the pixels that are seen and the pixels that would
be, were the object alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import TYPES

SEEN_PIXELS = 6
"""An object with fewer visible pixels is not labelled at all: nobody could know of it."""

LABELLED_HEIGHT = 8.0
"""px; what is lower in the image becomes a DontCare region: there is something, too small to measure by eye."""

# Least visible share of an object for occlusion 0 (fully visible), 1 (partly occluded), 2 (largely occluded);
# 3 (unknown) is what remains. KITTI's annotators chose by eye; the shares are ours.
VISIBLE_SHARES = (0.9, 0.5, 0.1)

PEOPLE = ("Pedestrian", "Person_sitting")
_NEAR = 0.1  # m: what is closer than this to the image plane cannot be projected
_FACES = ((0, 1, 5, 4), (2, 3, 7, 6), (1, 2, 6, 5), (3, 0, 4, 7), (4, 5, 6, 7), (3, 2, 1, 0))  # of a box
_TRIANGLES = np.array([corners for a, b, c, d in _FACES for corners in ((a, b, c), (a, c, d))])


@dataclass(frozen=True)
class Object:
    """One object as it stands before the camera.

    kind: its class.  size: (3,) length, width, height, m.  camera_from_object: (4, 4); the object's frame is
    x forward, y left, z up from the centre of its bottom face.  triangles: (T, 3, 3) its mesh in its own frame, m.
    visible: pixels it covers in the image.  alone: pixels it would cover if nothing stood before it.
    """

    kind: str
    size: np.ndarray
    camera_from_object: np.ndarray
    triangles: np.ndarray
    visible: int
    alone: int


@dataclass(frozen=True)
class Truth:
    """The labels of a frame.

    boxes: N boxes in the camera's optical frame, classes as in KITTI's TYPES.  truncation: (N,) in [0, 1].
    occlusion: (N,) int, 0..3.  dont_care: (M, 4) x1 y1 x2 y2 px.
    """

    boxes: Boxes3D
    truncation: np.ndarray
    occlusion: np.ndarray
    dont_care: np.ndarray


def annotate(objects: Sequence[Object], camera: Camera) -> Truth:
    """The labels of what the camera sees of the objects, nearest first."""
    seen = [o for o in objects if o.visible >= SEEN_PIXELS]
    seen.sort(key=lambda o: float(o.camera_from_object[2, 3]))
    whole = np.array([box_2d(o, camera) for o in seen]).reshape(-1, 4)
    inside = clip(whole, camera)
    there = _area(inside) > 0  # of some, only a mirror reaches into the image
    seen, whole, inside = [o for o, is_there in zip(seen, there) if is_there], whole[there], inside[there]
    labelled = inside[:, 3] - inside[:, 1] >= LABELLED_HEIGHT
    chosen = [o for o, label in zip(seen, labelled) if label]
    shares = np.array([o.visible / max(o.alone, o.visible) for o in chosen])
    return Truth(
        boxes=_boxes(chosen, inside[labelled]),
        truncation=np.clip(1.0 - _area(inside[labelled]) / _area(whole[labelled]), 0.0, 1.0),
        occlusion=occlusion(shares),
        dont_care=inside[~labelled],
    )


def occlusion(visible_share: np.ndarray) -> np.ndarray:
    """Visible shares (N,) in [0, 1] -> KITTI's occlusion state (N,) int64, 0..3."""
    return (np.asarray(visible_share).reshape(-1, 1) < VISIBLE_SHARES).sum(-1)


def box_2d(item: Object, camera: Camera) -> np.ndarray:
    """(4,) x1 y1 x2 y2 px, as if the image had no border."""
    boxes = _boxes([item], np.zeros((1, 4)))  # upright before the camera, as labels are, however the road is tilted
    box = extent(boxes.corners()[0][_TRIANGLES], np.eye(4), camera)
    if item.kind in PEOPLE:
        box[[0, 2]] = extent(item.triangles, item.camera_from_object, camera)[[0, 2]]
    return box


def extent(triangles: np.ndarray, camera_from_object: np.ndarray, camera: Camera) -> np.ndarray:
    """(4,) x1 y1 x2 y2 px of what triangles (T, 3, 3) project to; what lies behind the camera is cut off, not
    mirrored."""
    points = triangles @ camera_from_object[:3, :3].T + camera_from_object[:3, 3]
    uv, _ = camera.project(_before_camera(points))
    return np.concatenate([uv.min(0), uv.max(0)])


def _before_camera(triangles: np.ndarray) -> np.ndarray:
    """Vertices (n, 3) of the triangles (T, 3, 3) after cutting them at the plane z = _NEAR."""
    depth = triangles[..., 2]
    if (depth >= _NEAR).all():
        return triangles.reshape(-1, 3)
    after = np.roll(triangles, -1, axis=1)
    crossing = (depth < _NEAR) != (after[..., 2] < _NEAR)
    start, end = triangles[crossing], after[crossing]
    share = (_NEAR - start[:, 2]) / (end[:, 2] - start[:, 2])
    return np.concatenate([triangles[depth >= _NEAR], start + share[:, None] * (end - start)])


def clip(box2d: np.ndarray, camera: Camera) -> np.ndarray:
    """Boxes (N, 4) cut to the image, whose outermost pixel centres are KITTI's borders."""
    limit = np.array([camera.width - 1, camera.height - 1] * 2, dtype=np.float64)
    return np.clip(box2d, 0.0, limit)


def _area(box2d: np.ndarray) -> np.ndarray:
    return (box2d[:, 2] - box2d[:, 0]) * (box2d[:, 3] - box2d[:, 1])


def _boxes(objects: Sequence[Object], box2d: np.ndarray) -> Boxes3D:
    poses = np.array([o.camera_from_object for o in objects]).reshape(-1, 4, 4)
    size = np.array([o.size for o in objects], dtype=np.float64).reshape(-1, 3)
    forward, up = poses[:, :3, 0], poses[:, :3, 2]
    return Boxes3D(
        center=poses[:, :3, 3] + up * size[:, 2:] / 2,
        size=size,
        yaw=np.arctan2(-forward[:, 2], forward[:, 0]),
        label=np.array([TYPES.index(o.kind) for o in objects], dtype=np.int64),
        score=np.ones(len(objects)),
        box2d=box2d,
        classes=TYPES,
        axes=Axes.OPTICAL,
    )
