"""Boxes drawn for eyes: projected into the camera image, and from above.

Images are (H, W, 3) uint8 RGB; nothing is drawn in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "Car": (64, 196, 255),
    "Van": (92, 130, 255),
    "Truck": (178, 120, 255),
    "Bus": (255, 110, 220),
    "Pedestrian": (255, 202, 58),
    "Cyclist": (120, 230, 90),
}
OTHER_COLOUR: Colour = (200, 200, 200)
TRUTH_COLOUR: Colour = (245, 245, 245)

# Corners of each face in Boxes3D's order, normals inward by the right-hand rule. The front comes first.
_FACES = np.array([[0, 1, 5, 4], [2, 3, 7, 6], [1, 2, 6, 5], [3, 0, 4, 7], [4, 5, 6, 7], [3, 2, 1, 0]])
_EDGES = sorted({tuple(sorted((int(f[i]), int(f[i - 1])))) for f in _FACES for i in range(4)})
_EDGE_FACES = [[n for n, face in enumerate(_FACES) if a in face and b in face] for a, b in _EDGES]
_NEAR = 0.2  # m: what is closer than this is behind the lens for drawing
_MARGIN = 64.0  # px beyond the border that lines may run, so that their ends stay out of sight
_SHIFT = 4  # OpenCV's fixed-point bits: lines end between pixels
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def colour_of(name: str) -> Colour:
    return COLOURS.get(name, OTHER_COLOUR)


def draw_boxes(
    image: np.ndarray,
    boxes: Boxes3D,
    camera: Camera,
    captions: Sequence[str] | None = None,
    colour: Colour | None = None,
) -> np.ndarray:
    """The image with wire boxes, far ones first; the front face is tinted, hidden edges are thin.

    boxes: in the optical frame of `camera`. What lies behind the lens is cut away, so boxes that are half
    outside of the image look right.  captions: one per box.  colour: instead of the class's.
    Raises InputError when the image is not the camera's or the boxes are not in an optical frame.
    """
    _check(image, boxes, camera)
    canvas = image.copy()
    planes = _frustum(camera)
    corners = boxes.corners()
    for i in np.argsort(-boxes.center[:, 2]):
        if corners[i, :, 2].max() <= _NEAR:
            continue
        ink = colour or colour_of(boxes.classes[boxes.label[i]])
        outline = _draw_box(canvas, corners[i], camera, planes, ink)
        if captions and captions[i] and outline is not None:
            _draw_caption(canvas, captions[i], outline, ink)
    return canvas


def _check(image: np.ndarray, boxes: Boxes3D, camera: Camera) -> None:
    if image.dtype != np.uint8 or image.shape != (camera.height, camera.width, 3):
        raise InputError(
            "image to draw on",
            f"{image.dtype} {image.shape}",
            f"uint8 {(camera.height, camera.width, 3)}",
            "Use the camera of this image.",
        )
    if boxes.axes is not Axes.OPTICAL:
        raise InputError("axes of the boxes to draw", boxes.axes.name, "OPTICAL", "Transform them to the camera.")


def _frustum(camera: Camera) -> np.ndarray:
    """(5, 4) half-spaces n.p + d >= 0 that hold what may be drawn: before the lens, and near the image's borders."""
    k = camera.intrinsics
    left, top = -_MARGIN, -_MARGIN
    right, bottom = camera.width - 1 + _MARGIN, camera.height - 1 + _MARGIN
    x, y, z = k
    planes = np.zeros((5, 4))
    planes[0] = (0, 0, 1, -_NEAR)
    planes[1, :3], planes[2, :3] = x - left * z, right * z - x
    planes[3, :3], planes[4, :3] = y - top * z, bottom * z - y
    return planes


def _clip(polygon: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """The part of a closed convex polygon (n, 3) inside all half-spaces (Sutherland-Hodgman)."""
    for plane in planes:
        if not len(polygon):
            return polygon
        side = polygon @ plane[:3] + plane[3]
        if (side >= 0).all():
            continue
        kept = []
        for i in range(len(polygon)):
            if side[i - 1] * side[i] < 0:
                t = side[i - 1] / (side[i - 1] - side[i])
                kept.append(polygon[i - 1] + t * (polygon[i] - polygon[i - 1]))
            if side[i] >= 0:
                kept.append(polygon[i])
        polygon = np.array(kept).reshape(-1, 3)
    return polygon


def _draw_box(
    canvas: np.ndarray, corners: np.ndarray, camera: Camera, planes: np.ndarray, ink: Colour
) -> np.ndarray | None:
    """Draw one box; -> its visible pixels' x1 y1 x2 y2, or None when nothing of it is in the image."""
    faces = corners[_FACES]
    normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 1])
    facing = (normals * faces.mean(1)).sum(-1) > 0
    edges = [_project(_clip(corners[list(edge)], planes), camera) for edge in _EDGES]
    drawn = [e for e in edges if len(e)]
    if not drawn:
        return None
    outline = np.concatenate([p.min(0) for p in drawn] + [p.max(0) for p in drawn]).reshape(2, -1, 2)
    low, high = outline[0].min(0), outline[1].max(0)
    front = _project(_clip(faces[0], planes), camera)
    _tint(canvas, front, ink, 0.24 if facing[0] else 0.1)
    bold = 2 if high[1] - low[1] > 0.08 * camera.height else 1
    shade: Colour = (ink[0] // 2, ink[1] // 2, ink[2] // 2)
    visible = [facing[owners].any() for owners in _EDGE_FACES]
    for edge, seen in zip(edges, visible):
        if len(edge) and not seen:
            _lines(canvas, edge, shade, 1)
    for edge, seen in zip(edges, visible):
        if len(edge) and seen:
            _lines(canvas, edge, ink, bold)
    return np.concatenate([low, high])


def _project(points: np.ndarray, camera: Camera) -> np.ndarray:
    return camera.project(points)[0] if len(points) else np.zeros((0, 2))


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << _SHIFT)).astype(np.int32)


def _lines(canvas: np.ndarray, points: np.ndarray, ink: Colour, thickness: int, closed: bool = False) -> None:
    cv2.polylines(canvas, [_fixed(points)], closed, ink, thickness, cv2.LINE_AA, _SHIFT)


def _tint(canvas: np.ndarray, polygon: np.ndarray, ink: Colour, strength: float) -> None:
    """Blend a filled polygon into the canvas, touching only its bounding rectangle."""
    if len(polygon) < 3:
        return
    x1, y1 = np.maximum(np.floor(polygon.min(0)).astype(int), 0)
    x2, y2 = np.minimum(np.ceil(polygon.max(0)).astype(int) + 1, (canvas.shape[1], canvas.shape[0]))
    if x1 >= x2 or y1 >= y2:
        return
    patch = canvas[y1:y2, x1:x2]
    filled = patch.copy()
    cv2.fillPoly(filled, [_fixed(polygon - (x1, y1))], ink, cv2.LINE_AA, _SHIFT)
    canvas[y1:y2, x1:x2] = cv2.addWeighted(filled, strength, patch, 1 - strength, 0)


def _draw_caption(canvas: np.ndarray, text: str, outline: np.ndarray, ink: Colour) -> None:
    """Dark text on a tab of the box's colour, above the box, inside the image."""
    scale = max(0.35, canvas.shape[0] / 900)
    (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
    x = int(np.clip(outline[0], 0, max(canvas.shape[1] - width - 4, 0)))
    y = int(np.clip(outline[1] - 3, height + base + 2, canvas.shape[0] - 1))
    cv2.rectangle(canvas, (x, y - height - base), (x + width + 4, y), ink, cv2.FILLED)
    cv2.putText(canvas, text, (x + 2, y - base + 1), _FONT, scale, (15, 15, 15), 1, cv2.LINE_AA)


@dataclass(frozen=True)
class BirdsEye:
    """A view from above, forward up.

    forward, behind: m shown ahead of the sensor and behind it.  aside: m shown to either side.  scale: pixels per
    metre.
    """

    forward: float = 60.0
    aside: float = 25.0
    scale: float = 8.0
    behind: float = 3.0

    def __post_init__(self) -> None:
        if min(self.forward, self.aside, self.scale, self.behind) <= 0:
            raise InputError(
                "BirdsEye forward, aside, scale, behind",
                (self.forward, self.aside, self.scale, self.behind),
                "positive lengths and pixels per metre",
                "Correct the value.",
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture, px."""
        return round(2 * self.aside * self.scale), round((self.forward + self.behind) * self.scale)

    def pixels(self, ground: np.ndarray) -> np.ndarray:
        """Ground points (..., 2) forward, left, m -> pixels (..., 2)."""
        ground = np.asarray(ground, dtype=np.float64)
        return np.stack([self.aside - ground[..., 1], self.forward - ground[..., 0]], -1) * self.scale

    def draw(self, boxes: Boxes3D, truth: Boxes3D | None = None, points: np.ndarray | None = None) -> np.ndarray:
        """Boxes in their class's colour with the heading marked, over truth in white and LiDAR points.

        boxes, truth: in one sensor's frame (optical or body).  points: (P, >=3) in a body frame at the same
        place, m.  -> (H, W, 3) uint8 RGB of `size`.
        """
        canvas = self._ground()
        if points is not None:
            self._draw_points(canvas, points)
        for i in range(len(truth) if truth is not None else 0):
            assert truth is not None
            _lines(canvas, self.pixels(ground_corners(truth)[i]), TRUTH_COLOUR, 1, closed=True)
        corners = ground_corners(boxes)
        for i in range(len(boxes)):
            self._draw_one(canvas, corners[i], colour_of(boxes.classes[boxes.label[i]]))
        return canvas

    def _ground(self) -> np.ndarray:
        width, height = self.size
        canvas = np.full((height, width, 3), (24, 27, 33), np.uint8)
        origin = self.pixels(np.zeros(2))
        ink: Colour = (58, 64, 74)
        for ring in range(10, int(self.forward) + 1, 10):
            cv2.circle(canvas, _point(origin), _whole(ring * self.scale), ink, 1, cv2.LINE_AA, _SHIFT)
            x, y = (int(v) for v in self.pixels(np.array([ring, 0.0])))
            cv2.putText(canvas, f"{ring} m", (x + 3, y - 3), _FONT, 0.36, (120, 128, 140), 1, cv2.LINE_AA)
        nose = self.pixels(np.array([[1.2, 0.0], [-1.0, 0.8], [-0.6, 0.0], [-1.0, -0.8]]))
        cv2.fillPoly(canvas, [_fixed(nose)], (235, 235, 235), cv2.LINE_AA, _SHIFT)
        return canvas

    def _draw_points(self, canvas: np.ndarray, points: np.ndarray) -> None:
        """One pixel per point, low ones dark, high ones light."""
        x, y = self.pixels(points[:, :2]).astype(int).T
        inside = (x >= 0) & (x < canvas.shape[1]) & (y >= 0) & (y < canvas.shape[0])
        light = np.clip((points[inside, 2] + 2.5) / 4.0, 0, 1)[:, None]
        ink = (np.array([72, 96, 112]) + light * np.array([80, 110, 120])).astype(np.uint8)
        canvas[y[inside], x[inside]] = ink

    def _draw_one(self, canvas: np.ndarray, corners: np.ndarray, ink: Colour) -> None:
        """A footprint (front-left, front-right, rear-right, rear-left) with a line from its middle out of its front."""
        pixels = self.pixels(corners)
        _tint(canvas, pixels, ink, 0.35)
        _lines(canvas, pixels, ink, 2, closed=True)
        middle, front = pixels.mean(0), pixels[:2].mean(0)
        _lines(canvas, np.stack([middle, front + 0.35 * (front - middle)]), ink, 2)


def ground_corners(boxes: Boxes3D) -> np.ndarray:
    """(N, 4, 2): bottom corners as (forward, left), m, whatever the frame."""
    footprint = boxes.footprint()
    if boxes.axes is Axes.BODY:
        return footprint
    return np.stack([footprint[..., 1], -footprint[..., 0]], -1)


def _whole(value: float) -> int:
    return round(value * (1 << _SHIFT))


def _point(pixel: np.ndarray) -> tuple[int, int]:
    return _whole(pixel[0]), _whole(pixel[1])
