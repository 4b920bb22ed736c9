"""The demo of KM3D: a camera's drive."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tqdm import tqdm

from voxbox.bag.samples import projected, sample_of, samples
from voxbox.bag.transforms import StaticTransforms
from voxbox.demo.artefacts import RECORDING, Artefacts, Verdict, write_film, write_picture
from voxbox.demo.outcome import boxes_of
from voxbox.demo.recording import write_recording
from voxbox.demo.replay import Feed, Replay
from voxbox.report.page import Picture, Section, Table
from voxbox.report.scene import birds_eye, camera_view, scene
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, DriveTopics, Frame, find_topics, frames
from voxbox_core.datasets.kitti import Calibration, Labels, from_boxes, label_rows
from voxbox_core.datasets.sample import Sample
from voxbox_core.draw import BirdsEye
from voxbox_core.errors import InputError
from voxbox_core.metrics.kitti import RULES, Evaluation, evaluate

if TYPE_CHECKING:
    from voxbox.demo.session import Session  # needs ROS

OPTIONS = ("image_topic", "camera_info_topic", "score_threshold")
"""Of the command, that are not everybody's."""

RULE_SET = "kitti_r40"
CAMERA, BIRDS_EYE = "camera.png", "birds_eye.png"
_STILL_SCALE = 10.0  # px/m of the view from above as a picture of its own
_SHOWN_METRICS = {"2d": "2D", "bev": "bird's eye", "3d": "3D"}
_ENOUGH = 41  # objects
_LEVELS = ("easy", "moderate", "hard")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of a camera."""
    parser.add_argument("--image-topic", help="km3d, ssz: the camera (default: the likeliest Image or CompressedImage)")
    parser.add_argument("--camera-info-topic", help="km3d, ssz: its calibration (default: the nearest by name)")


def feed(topics: DriveTopics) -> Feed:
    """What the node is given of a drive."""
    infos = (topics.camera_info,) if topics.camera_info else ()
    return Feed(
        system="km3d",
        unit="image",
        frames=topics.image,
        images=(),
        infos=infos,
        transforms=topics.transforms,
        arguments={"image": topics.image.name, "camera_info": topics.camera_info or ""},
    )


class Km3dDemo:
    """A `System`. Raises InputError when the bag has no camera, or its first frame cannot be read."""

    def __init__(self, args: argparse.Namespace, bag: Bag) -> None:
        self._bag, self._topics = bag, find_topics(bag, args.image_topic, args.camera_info_topic)
        self._threshold = args.score_threshold
        self.feed, self.notes = feed(self._topics), self._topics.notes
        self.setting: Mapping[str, Any] = {"image_topic": self._topics.image.name}
        next(samples(bag, self._topics, limit=1))

    def parameters(self, folder: Path) -> Mapping[str, str]:
        """The threshold."""
        return {"score_threshold": self._threshold}

    def prepare(self, session: "Session") -> None:
        """The drive is all there is."""

    def make(self, folder: Path, replay: Replay, rate: float) -> Artefacts:
        """Film, stills and recording, in one pass over the bag.  rate: images/s of the drive as recorded."""
        return make_artefacts(folder, self._bag, self._topics, replay, rate)


def make_artefacts(folder: Path, bag: Bag, topics: DriveTopics, replay: Replay, rate: float) -> Artefacts:
    """Write film, stills and recording into `folder`.  rate: images/s of the drive as recorded."""
    once = _Pass(bag, topics, replay)
    film = write_film(folder, once.pictures(), len(replay.sent), rate)
    assert once.best is not None  # the film had a picture
    sample, boxes = once.best
    stills = [
        Picture(
            write_picture(folder / CAMERA, camera_view(sample, boxes)),
            "The image with the node's boxes; the front face is tinted.",
        ),
        Picture(
            write_picture(folder / BIRDS_EYE, birds_eye(sample, boxes, BirdsEye(scale=_STILL_SCALE))),
            "From above: boxes in colour with their heading, truth in white, LiDAR as dots where there is one.",
        ),
    ]
    write_recording(folder / RECORDING, bag, topics.names, replay.outputs)
    shown = [
        Section("The drive", pictures=[Picture(film, "Camera with projected boxes, and the view from above.")]),
        Section(f"Frame {int(sample.name) + 1}", pictures=stills),
    ]
    return Artefacts(once.boxes, verdict(once.accuracy.evaluation()), shown, tuple(once.unreadable))


class _Pass:
    """Goes through the frames once: yields pictures for the film, and remembers what the stills and scores need."""

    def __init__(self, bag: Bag, topics: DriveTopics, replay: Replay) -> None:
        self._bag, self._topics, self._replay = bag, topics, replay
        self.accuracy = Accuracy()
        self.best: tuple[Sample, Boxes3D] | None = None
        self.boxes = 0
        self.unreadable: list[str] = []
        self._interest = -1.0

    def pictures(self) -> Iterator[np.ndarray]:
        total = len(self._replay.sent)
        transforms = StaticTransforms(self._bag, self._topics)
        found = boxes_of(self._replay, _camera_frame(self._bag, self._topics), Axes.OPTICAL)
        size: tuple[int, ...] | None = None
        for frame in tqdm(frames(self._bag, self._topics, total), total=total, desc="pictures", unit="frame"):
            try:
                sample = sample_of(self._bag, frame, transforms)
            except InputError as error:  # the node has gone on, and so does the film
                self.unreadable.append(f"frame {frame.index + 1}: {error}")
                continue
            boxes = found.get(frame.image.stamp)
            self.accuracy.add(sample, boxes)
            self._remember(sample, boxes)
            picture = scene(sample, boxes, self._left(frame, total), self._replay.told(frame.image.stamp, "image"))
            size = size or picture.shape
            yield picture if picture.shape == size else cv2.resize(picture, (size[1], size[0]))

    def _remember(self, sample: Sample, boxes: Boxes3D | None) -> None:
        """The frame with most to see is shown as a still."""
        interest = -0.5 if boxes is None else float(boxes.score.sum())
        self.boxes += 0 if boxes is None else len(boxes)
        if interest > self._interest:
            self._interest = interest
            self.best = sample, Boxes3D.empty(("Car",)) if boxes is None else boxes

    def _left(self, frame: Frame, total: int) -> str:
        seconds = (frame.image.time - self._bag.start) / 1e9
        return f"{frame.index + 1}/{total}   {seconds:.1f} s"


def _camera_frame(bag: Bag, topics: DriveTopics) -> str:
    first: Any = bag.decode(next(bag.messages([topics.image.name])))
    return str(first.header.frame_id)


def detection_rows(boxes: Boxes3D, camera: Camera) -> Labels:
    """Boxes as KITTI result rows; their 2D boxes are the hulls of the projected 3D ones, since messages hold none."""
    box2d, _ = projected(boxes, camera)
    return from_boxes(replace(boxes, box2d=box2d), Calibration.of_camera(camera.intrinsics))


class Accuracy:
    """Collects truth and detections frame by frame."""

    def __init__(self) -> None:
        self._truth: list[Labels] = []
        self._found: list[Labels] = []

    def add(self, sample: Sample, boxes: Boxes3D | None) -> None:
        """A frame counts when it has truth and was answered."""
        if sample.boxes is None or boxes is None:
            return
        self._truth.append(label_rows(sample, Calibration.of_camera(sample.camera.intrinsics)))
        self._found.append(detection_rows(boxes, sample.camera))

    def evaluation(self) -> Evaluation | None:
        """Scores by the KITTI rules, or None where no frame counted."""
        return evaluate(self._truth, self._found, RULES[RULE_SET]) if self._truth else None


def verdict(result: Evaluation | None) -> Verdict:
    """Only classes that occur, so that a missing number means "none there" and not "missed all"."""
    if result is None:
        missing = "The bag holds no ground truth, so accuracy was not measured."
        return Verdict(None, "no ground truth in this bag: accuracy not measured", Section("Accuracy", [missing]))
    scores = {k: round(v, 3) for k, v in result.average_precision.items() if v is not None}
    accuracy = {"rules": result.rules, "frames": result.frames, "objects": result.objects, "scores": scores}
    key = "Car/3d/0.5/moderate"
    score = scores.get(key)
    line = f"accuracy by {result.rules}: {key} {'without objects' if score is None else f'{score:.1f}'}"
    return Verdict(accuracy, line, _accuracy_section(result, scores))


def _accuracy_section(result: Evaluation, scores: Mapping[str, float]) -> Section:
    stems = sorted({key.rsplit("/", 1)[0] for key in scores if key.split("/")[1] in _SHOWN_METRICS})
    rows = []
    for stem in stems:
        name, metric, overlap = stem.split("/")
        values = [scores.get(f"{stem}/{level}") for level in _LEVELS]
        rows.append([f"{name}, {_SHOWN_METRICS[metric]}, IoU > {overlap}", *values])
    objects = ", ".join(f"{count} {name.replace('/', ' ')}" for name, count in result.objects.items() if count)
    note = (
        f"Average precision in percent by the rules {result.rules}, over {result.frames} answered frames "
        f"with truth ({objects or 'no objects'}). Only boxes that the node publishes count, so its score threshold "
        "caps recall; voxbox evaluate measures the whole curve."
    )
    if any(0 < count < _ENOUGH for count in result.objects.values()):
        note += f" Fewer than {_ENOUGH} objects cannot reach 100, since the rules average over 40 recalls."
    return Section("Accuracy", tables=[Table(["average precision", *_LEVELS], rows, note)])
