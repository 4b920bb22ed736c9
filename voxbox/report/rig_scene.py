"""One moment of a LiDAR and its cameras as a picture: from above, and every image with the boxes projected."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from voxbox.report.scene import GROUND, INK, beside, captions, titled, write
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.draw import BirdsEye, Colour, draw_boxes

SIDE = 640  # px: of the square view from above, and height of the images beside it
_IMAGES_WIDE = 800  # px: of the images together
_NEAR = 0.5  # m: nearer to the lens a click is not seen
_ANSWERED: Colour = (255, 255, 255)
_REFUSED: Colour = (255, 96, 80)


@dataclass(frozen=True)
class Mark:
    """A click.  place: (3,) m, in the sample's frame.  number: of the click.  text: its answer.  good: whether a box
    came of it."""

    place: np.ndarray
    number: int
    text: str
    good: bool


def rig_scene(
    sample: RigSample,
    boxes: Boxes3D | None,
    left: str,
    right: str,
    reach: float,
    marks: Sequence[Mark] = (),
    answers: Boxes3D | None = None,
) -> np.ndarray:
    """The view from above, `reach` m to each side, and the images, under a line of text: (H, W, 3) uint8 RGB with even
    sides, one size for one set of cameras.

    boxes: detections, in the sample's frame, or None where there was no answer: then there are none, and it says so.
    marks: clicks.  answers: their boxes, shown instead of the detections.  left, right: ends of the line.
    """
    shown = boxes if answers is None else answers
    shown = Boxes3D.empty(("Car",), Axes.BODY) if shown is None else shown
    above = above_view(sample, shown, reach, SIDE, marks)
    if boxes is None and answers is None:
        write(above, "no answer", (12, 34), _REFUSED, 0.9)
    views = beside(above, camera_views(sample, shown, marks)) if sample.views else above
    return titled(views, shown, left, right)


def above_view(sample: RigSample, boxes: Boxes3D, reach: float, size: int, marks: Sequence[Mark] = ()) -> np.ndarray:
    """From above, the LiDAR in the middle, forward up: points, truth in white, boxes, and clicks with their answers;
    (size, size, 3) uint8 RGB."""
    view = BirdsEye(forward=reach, behind=reach, aside=reach, scale=size / (2 * reach))
    picture = view.draw(boxes, sample.boxes, sample.points)
    for mark in marks:
        _draw_mark(picture, view.pixels(mark.place), mark, mark.text)
    return picture


def camera_views(sample: RigSample, boxes: Boxes3D, marks: Sequence[Mark] = ()) -> np.ndarray:
    """All images as a picture as high as the view from above, those that look ahead first."""
    views = sorted(sample.views, key=_aside)
    across = max(range(1, len(views) + 1), key=lambda n: _tile(views, n)[0])
    width, height = _tile(views, across)
    canvas = np.full((SIDE, _IMAGES_WIDE, 3), GROUND, np.uint8)
    down = -(-len(views) // across)
    top = (SIDE - down * height) // 2
    for i, view in enumerate(views):
        y, x = top + i // across * height, i % across * width
        tile = camera_view(_sized(view, width - 2, height - 2), boxes, marks)
        _write_on(tile, view.name, (8, 18), INK)
        canvas[y : y + height - 2, x : x + width - 2] = tile
    return canvas


def _tile(views: Sequence[View], across: int) -> tuple[int, int]:
    """Width and height, px, of one of the images, `across` of which stand beside one another."""
    slope = max(view.camera.height / view.camera.width for view in views)
    down = -(-len(views) // across)
    width = min(_IMAGES_WIDE // across, int(SIDE / down / slope))
    return width, int(width * slope)


def _sized(view: View, width: int, height: int) -> View:
    """The view at another size, so that lines and letters drawn on it are as thick as elsewhere."""
    x, y = width / view.camera.width, height / view.camera.height
    scale = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])  # pixels' middles are whole numbers
    image = cv2.resize(view.image, (width, height), interpolation=cv2.INTER_AREA)
    return replace(view, image=image, camera=view.camera.warped(scale, width, height))


def _aside(view: View) -> float:
    """How far a camera looks from straight ahead, rad."""
    forward = view.camera_from_lidar[2, :3]
    return float(abs(np.arctan2(forward[1], forward[0])))


def camera_view(view: View, boxes: Boxes3D, marks: Sequence[Mark] = ()) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB with boxes and clicks of the LiDAR's frame."""
    pose, camera = view.camera_from_lidar, view.camera
    seen = boxes.transformed(pose[:3, :3], pose[:3, 3], Axes.OPTICAL)
    picture = draw_boxes(view.image, seen, camera, captions(camera, seen))
    for mark in marks:
        place = pose[:3, :3] @ mark.place + pose[:3, 3]
        if place[2] > _NEAR:
            _draw_mark(picture, camera.project(place[None])[0][0], mark, "")
    return picture


def _draw_mark(picture: np.ndarray, pixel: np.ndarray, mark: Mark, text: str) -> None:
    """A dot in a ring, or a cross where the click was refused, and its number."""
    x, y = (int(v) for v in np.clip(pixel, -100, 10_000))
    ink = _ANSWERED if mark.good else _REFUSED
    if mark.good:
        cv2.circle(picture, (x, y), 2, ink, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(picture, (x, y), 6, ink, 1, cv2.LINE_AA)
    else:
        cv2.drawMarker(picture, (x, y), ink, cv2.MARKER_TILTED_CROSS, 12, 2, cv2.LINE_AA)
    words = f"{mark.number} {text}".strip()
    _write_on(picture, words, (x + 10, y - 8), ink)


def _write_on(picture: np.ndarray, text: str, place: tuple[int, int], ink: Colour) -> None:
    """With a shadow, to be read on anything."""
    write(picture, text, (place[0] + 1, place[1] + 1), (0, 0, 0), 0.5)
    write(picture, text, place, ink, 0.5)
