"""One frame as a picture: the camera with projected boxes beside the view from above, under a line of text."""

import cv2
import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.sample import Sample
from voxbox_core.draw import BirdsEye, Colour, colour_of, draw_boxes

HEIGHT = 432  # px of the two views
_BAR = 40  # px of the line of text
_GAP = 4
GROUND: Colour = (16, 18, 22)
INK: Colour = (226, 230, 236)
_FAINT: Colour = (140, 148, 160)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPTION_FROM = 24  # px: boxes lower than this in the image get no caption, so that far ones stay visible


def camera_view(sample: Sample, boxes: Boxes3D) -> np.ndarray:
    """The sample's image (H, W, 3) uint8 RGB with the boxes, captioned with class and score.

    boxes: in the frame of the sample's camera.
    """
    return draw_boxes(sample.image, boxes, sample.camera, captions(sample.camera, boxes))


def captions(camera: Camera, boxes: Boxes3D) -> list[str]:
    """Class and score of each box in the frame of a camera; none of those that are small in its image."""
    depth = np.maximum(boxes.center[:, 2], 0.1)
    tall = camera.intrinsics[1, 1] * boxes.size[:, 2] / depth >= _CAPTION_FROM
    texts = [f"{name} {score:.2f}" for name, score in zip(boxes.names(), boxes.score, strict=True)]
    return [text if shown else "" for text, shown in zip(texts, tall, strict=True)]


def birds_eye(sample: Sample, boxes: Boxes3D, view: BirdsEye) -> np.ndarray:
    """The boxes from above, over the sample's truth in white and its LiDAR points, if it has them."""
    return view.draw(boxes, sample.boxes, points_at_camera(sample))


def points_at_camera(sample: Sample) -> np.ndarray | None:
    """(P, 3) LiDAR points as forward, left, up from the camera, m; None where they or their place are unknown."""
    if sample.points is None or sample.lidar_to_camera is None:
        return None
    pose = sample.lidar_to_camera
    right, down, forward = (sample.points[:, :3] @ pose[:3, :3].T + pose[:3, 3]).T
    return np.stack([forward, -right, -down], -1)


def scene(sample: Sample, boxes: Boxes3D | None, left: str, right: str) -> np.ndarray:
    """Both views under a line of text, (HEIGHT + bar, W, 3) uint8 RGB with even sides, as video wants them.

    boxes: detections, or None where there was no answer: then the views are without boxes and say so.
    left, right: what stands at the two ends of the line.
    """
    shown = Boxes3D.empty(("Car",)) if boxes is None else boxes
    camera = _scaled(camera_view(sample, shown), HEIGHT)
    if boxes is None:
        write(camera, "no answer", (12, 34), (255, 120, 90), 0.9)
    above = _scaled(birds_eye(sample, shown, BirdsEye()), HEIGHT)
    return titled(beside(camera, above), shown, left, right)


def beside(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two views of one height, with a gap between them."""
    return np.concatenate([first, np.full((len(first), _GAP, 3), GROUND, np.uint8), second], axis=1)


def titled(views: np.ndarray, boxes: Boxes3D, left: str, right: str) -> np.ndarray:
    """The views (H, W, 3) under a line of text, with how many boxes there are of each class."""
    bar = np.full((_BAR, views.shape[1], 3), GROUND, np.uint8)
    end = write(bar, left, (12, 26), INK, 0.55)
    _legend(bar, boxes, end + 28)
    width = cv2.getTextSize(right, _FONT, 0.5, 1)[0][0]
    write(bar, right, (bar.shape[1] - width - 12, 26), _FAINT, 0.5)
    return np.concatenate([bar, views])


def _legend(bar: np.ndarray, boxes: Boxes3D, x: int) -> None:
    """How many of each class, each in its colour."""
    names = boxes.names()
    for name in sorted(set(names), key=boxes.classes.index):
        cv2.circle(bar, (x, 21), 6, colour_of(name), cv2.FILLED, cv2.LINE_AA)
        x = write(bar, f"{names.count(name)} {name}", (x + 13, 26), INK, 0.5) + 22


def write(canvas: np.ndarray, text: str, place: tuple[int, int], ink: Colour, size: float) -> int:
    """Write text in place; -> x of its end."""
    cv2.putText(canvas, text, place, _FONT, size, ink, 1, cv2.LINE_AA)
    return place[0] + int(cv2.getTextSize(text, _FONT, size, 1)[0][0])


def _scaled(image: np.ndarray, height: int) -> np.ndarray:
    """The image at a height, its width even."""
    width = round(image.shape[1] * height / image.shape[0] / 2) * 2
    shrink = height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC)
