"""Pictures, film and recording of a replay, made in one pass over the bag."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from voxbox.bag.samples import sample_of
from voxbox.bag.transforms import StaticTransforms
from voxbox.demo.outcome import Accuracy, boxes_of
from voxbox.demo.recording import write_recording
from voxbox.demo.replay import Replay
from voxbox.report.scene import birds_eye, camera_view, scene
from voxbox.report.video import write_video
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.bag import Bag, DriveTopics, Frame, frames
from voxbox_core.datasets.sample import Sample
from voxbox_core.draw import BirdsEye
from voxbox_core.errors import InputError
from voxbox_core.metrics.kitti import Evaluation

CAMERA, BIRDS_EYE, RECORDING, FILM = "camera.png", "birds_eye.png", "detections.mcap", "video"
_LEAST_SECONDS = 4.0  # of film: a bag of a few frames is shown slowly
_RATES = (1.0, 30.0)  # pictures/s that players like
_STILL_SCALE = 10.0  # px/m of the view from above as a picture of its own


@dataclass(frozen=True)
class Artefacts:
    """film: the video's path.  still: name of the frame that the stills show.  boxes: found in all frames.

    unreadable: frames that are not in the film, and why.
    """

    film: Path
    still: str
    boxes: int
    accuracy: Evaluation | None
    unreadable: tuple[str, ...] = ()


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
        found = boxes_of(self._replay, _camera_frame(self._bag, self._topics))
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
            picture = scene(sample, boxes, self._left(frame, total), self._right(frame))
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

    def _right(self, frame: Frame) -> str:
        sent, answered = (times.get(frame.image.stamp) for times in (self._replay.sent, self._replay.answered))
        if sent is None or answered is None:
            return "dropped"
        return f"image to boxes {1e3 * (answered - sent):.0f} ms"


def make_artefacts(folder: Path, bag: Bag, topics: DriveTopics, replay: Replay, rate: float) -> Artefacts:
    """Write film, stills and recording into `folder`.  rate: images/s of the drive as recorded."""
    once = _Pass(bag, topics, replay)
    repeats, rate = _film_rate(len(replay.sent), rate)
    pictures = (picture for picture in once.pictures() for _ in range(repeats))
    film = write_video(folder, FILM, pictures, rate)
    assert once.best is not None  # the film had a picture
    sample, boxes = once.best
    _write_picture(folder / CAMERA, camera_view(sample, boxes))
    _write_picture(folder / BIRDS_EYE, birds_eye(sample, boxes, BirdsEye(scale=_STILL_SCALE)))
    ends = [m.time for m in replay.outputs]
    write_recording(folder / RECORDING, bag, topics, replay.outputs, until=max(ends, default=2**63 - 1))
    return Artefacts(film, sample.name, once.boxes, once.accuracy.evaluation(), tuple(once.unreadable))


def _film_rate(count: int, rate: float) -> tuple[int, float]:
    """How often each picture is shown, and pictures/s, so that the film lasts long enough to be seen."""
    rate = float(np.clip(rate, *_RATES))
    return max(1, round(_LEAST_SECONDS * rate / max(count, 1))), rate


def _write_picture(path: Path, picture: np.ndarray) -> None:
    cv2.imwrite(str(path), picture[..., ::-1])


def _camera_frame(bag: Bag, topics: DriveTopics) -> str:
    first: Any = bag.decode(next(bag.messages([topics.image.name])))
    return str(first.header.frame_id)
