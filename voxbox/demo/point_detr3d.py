"""The demo of Point-DETR3D: a drive of a LiDAR and any number of cameras, and clicks on what it shows."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tqdm import tqdm

from point_detr3d_ros.contract import CLASSES
from point_detr3d_ros.ground import BASE_FRAMES
from voxbox.bag.rig import FIXED_FRAMES, Moment, RigReader
from voxbox.bag.transforms import Transforms
from voxbox.demo.artefacts import RECORDING, Artefacts, write_film, write_picture
from voxbox.demo.click_results import ClickResult, clicks_section, clicks_summary, results_of
from voxbox.demo.clicks import Click, OnDisplay, read_clicks
from voxbox.demo.distance_verdict import Accuracy
from voxbox.demo.node_process import as_given
from voxbox.demo.outcome import boxes_in
from voxbox.demo.recording import write_recording
from voxbox.demo.replay import MARKERS, OUTPUTS, Feed, Replay
from voxbox.report.page import Picture, Section
from voxbox.report.rig_scene import above_view, camera_views, rig_scene
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.bag import Bag, Message
from voxbox_core.datasets.bag.rig import RigTopics, find_rig_topics, rig_frames
from voxbox_core.datasets.rig import RigSample
from voxbox_core.errors import InputError

if TYPE_CHECKING:
    from voxbox.demo.session import Session  # needs ROS

OPTIONS = ("points_topic", "assist_model", "clicks", "score_threshold")
"""Of the command, that are not everybody's."""

LABELS, CAMERAS, BIRDS_EYE = "labels.jsonl", "camera.png", "birds_eye.png"
REACH = 51.2  # m shown to each side
_CLICKED = (0.1, 0.35, 0.6, 0.85)  # parts of the drive at which somebody clicks
_LONGEST = 100  # clouds among which they are, so that a long bag need not be read twice
_STILL = 1024  # px of the view from above as a picture of its own
_CLICK_SECONDS = 1.2  # of film for a click
_MARGIN, _NEAREST = 8.0, 20.0  # m around what is clicked at; least to each side


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of a LiDAR and of clicks."""
    add = parser.add_argument
    add("--points-topic", help="point_detr3d: the LiDAR (default: the PointCloud2 with the most messages)")
    add("--assist-model", default="", help="point_detr3d: the model that answers clicks (default: the node's)")
    add(
        "--clicks",
        type=Path,
        metavar="CSV",
        help="point_detr3d: where to click: lines of frame,x,y,z,class (default: at truth, else at detections)",
    )


def feed(bag: Bag, topics: RigTopics, placing: Mapping[str, str]) -> Feed:
    """What the node is given of a drive.  placing: arguments that tell how the LiDAR stands."""
    return Feed(
        system="point_detr3d",
        unit="cloud",
        frames=next(t for t in bag.topics if t.name == topics.points),
        images=tuple(camera.image for camera in topics.cameras),
        infos=tuple(camera.camera_info for camera in topics.cameras),
        transforms=topics.transforms,
        arguments={
            "points": topics.points,
            "images": ",".join(camera.image for camera in topics.cameras),
            "camera_infos": ",".join(camera.camera_info for camera in topics.cameras),
            **placing,
        },
        outputs={**OUTPUTS, "/assist/markers": MARKERS},
    )


class PointDetr3dDemo:
    """A `System`. Raises InputError when the bag has no LiDAR, or its first frame cannot be read."""

    def __init__(self, args: argparse.Namespace, bag: Bag) -> None:
        self._bag, self._topics = bag, find_rig_topics(bag, args.points_topic)
        self._assist_model, self._threshold = args.assist_model, args.score_threshold
        self._reader = RigReader(bag, self._topics)
        first = self._reader.moment(next(rig_frames(bag, self._topics)))
        self._reader.views(first)
        self._frame_id, self._level_from_lidar = first.lidar, first.level_from_lidar[:3, :3]
        placing = _placing(bag, self._topics, first)
        self.feed, self.notes = feed(bag, self._topics, placing), self._topics.notes
        self.setting: Mapping[str, Any] = {"points_topic": self._topics.points, "cameras": len(self._topics.cameras)}
        count = min(self.feed.frames.count, args.limit or self.feed.frames.count)
        self._script = self._scripted(read_clicks(args.clicks) if args.clicks else None, count)

    def parameters(self, folder: Path) -> Mapping[str, str]:
        """Both modes, and where accepted boxes go."""
        return {
            "mode": "both",
            "assist_model": as_given(self._assist_model),
            "label_file": str(folder / LABELS),
            "score_threshold": self._threshold,
        }

    def prepare(self, session: "Session") -> None:
        """Somebody will click."""
        named = {click.name for shown in self._script.values() for click in shown.clicks or ()}
        session.annotated(self._script, sorted({*CLASSES, *named} - {""}), self._level)

    def make(self, folder: Path, replay: Replay, rate: float) -> Artefacts:
        """Film, stills and recording, in one pass over the bag.  rate: clouds/s of the drive as recorded."""
        found = {stamp: self._level(message) for stamp, message in replay.detections.items()}
        results = results_of(replay.asked, self._level)
        once = _Pass(self._bag, self._topics, replay, {s: b for s, b in found.items() if b is not None}, results, rate)
        pictures = len(replay.sent) + len(results) * round(_CLICK_SECONDS * rate)
        film = write_film(folder, once.pictures(), pictures, rate)
        assert once.best is not None  # the film had a picture
        names = (*self._topics.names, *self._topics.transforms)
        write_recording(folder / RECORDING, self._bag, names, replay.outputs)
        shown = [
            Section("The drive", pictures=[Picture(film, "LiDAR from above, cameras with projected boxes; clicks.")]),
            _stills(folder, *once.best),
            clicks_section(folder, results, once.clicked),
        ]
        more, lines = clicks_summary(results, folder / LABELS)
        return Artefacts(once.boxes, once.accuracy.verdict(), shown, tuple(once.unreadable), more, lines)

    def _level(self, message: Message) -> Boxes3D | None:
        """The node's boxes in the samples' frame; None where they are not in the LiDAR's."""
        boxes = boxes_in(message, self._frame_id, Axes.BODY)
        return None if boxes is None else boxes.transformed(self._level_from_lidar, np.zeros(3), Axes.BODY)

    def _scripted(self, given: Mapping[int, tuple[Click, ...]] | None, count: int) -> dict[int, OnDisplay]:
        """The clouds that are clicked on, by stamp."""
        longest = min(count, _LONGEST)
        wanted = sorted({int(part * longest) for part in _CLICKED} if given is None else set(given))
        if given is not None and wanted[-1] >= count:
            raise InputError("frame of a click", wanted[-1], f"0 to {count - 1}", "Correct the file.")
        script = {}
        for frame in islice(rig_frames(self._bag, self._topics), wanted[-1] + 1):
            if frame.index not in wanted:
                continue
            try:
                moment = self._reader.moment(frame)
                sample = replace(moment.sample, views=self._reader.views(moment)[0])
            except InputError:
                continue  # the film will say so
            rotation = moment.level_from_lidar[:3, :3]
            here = None if given is None else tuple(replace(c, place=rotation @ c.place) for c in given[frame.index])
            last = frame.index == wanted[-1]
            script[frame.points.stamp] = OnDisplay(sample, moment.lidar, rotation.T, here, last)
        return script


def _placing(bag: Bag, topics: RigTopics, first: Moment) -> dict[str, str]:
    """How the LiDAR stands, as the bag's reader has it, so that the node sees what the pictures show."""
    frames = Transforms(bag, topics.transforms).frames
    bases = [name for name in BASE_FRAMES if name in frames]
    placing = {"sensor_height": f"{first.sample.height:.3f}", "ground_frame": bases[0] if bases else ""}
    moving = sum(t.count for t in bag.topics if t.name in topics.transforms and not t.name.endswith("tf_static"))
    fixed = [name for name in FIXED_FRAMES if name in frames]
    if fixed and moving > 1:  # of a single pose tf tells nothing at the stamps of images
        placing["fixed_frame"] = fixed[0]
    return placing


def _stills(folder: Path, sample: RigSample, boxes: Boxes3D) -> Section:
    """The frame with most to see."""
    above = above_view(sample, boxes, REACH, _STILL)
    stills = [
        Picture(
            write_picture(folder / BIRDS_EYE, above),
            "From above: LiDAR points, boxes in colour with their heading, truth in white.",
        )
    ]
    if sample.views:
        path = write_picture(folder / CAMERAS, camera_views(sample, boxes))
        stills.insert(0, Picture(path, "The cameras with the node's boxes; the front face is tinted."))
    return Section(f"Frame {int(sample.name) + 1}", pictures=stills)


class _Pass:
    """Goes through the frames once: yields pictures for the film, and remembers what the stills and scores need."""

    def __init__(
        self,
        bag: Bag,
        topics: RigTopics,
        replay: Replay,
        found: Mapping[int, Boxes3D],
        clicks: list[ClickResult],
        rate: float,
    ) -> None:
        self._bag, self._topics, self._replay = bag, topics, replay
        self._found, self._clicks, self._rate = found, clicks, rate
        self.accuracy = Accuracy()
        self.best: tuple[RigSample, Boxes3D] | None = None
        self.clicked: dict[int, np.ndarray] = {}
        self.boxes = 0
        self.unreadable: list[str] = []
        self._interest = -1.0

    def pictures(self) -> Iterator[np.ndarray]:
        total = len(self._replay.sent)
        reader = RigReader(self._bag, self._topics)
        size: tuple[int, ...] | None = None
        frames = islice(rig_frames(self._bag, self._topics), total)
        for frame in tqdm(frames, total=total, desc="pictures", unit="frame"):
            try:
                moment = reader.moment(frame)
                sample = replace(moment.sample, views=reader.views(moment)[0])
            except InputError as error:  # the node has gone on, and so does the film
                self.unreadable.append(f"frame {frame.index + 1}: {error}")
                continue
            stamp = frame.points.stamp
            boxes = self._found.get(stamp)
            self.accuracy.add(sample, boxes)
            self._remember(sample, boxes)
            left = f"{frame.index + 1}/{total}   {(frame.points.time - self._bag.start) / 1e9:.1f} s"
            for picture in self._scenes(sample, boxes, stamp, left):
                size = size or picture.shape
                yield picture if picture.shape == size else cv2.resize(picture, (size[1], size[0]))

    def _remember(self, sample: RigSample, boxes: Boxes3D | None) -> None:
        """The frame with most to see is shown as a still."""
        interest = -0.5 if boxes is None else float(boxes.score.sum())
        self.boxes += 0 if boxes is None else len(boxes)
        if interest > self._interest:
            self._interest = interest
            self.best = sample, Boxes3D.empty(("Car",), Axes.BODY) if boxes is None else boxes

    def _scenes(self, sample: RigSample, boxes: Boxes3D | None, stamp: int, left: str) -> Iterator[np.ndarray]:
        """What was detected, and then click after click with its answer."""
        yield rig_scene(sample, boxes, left, self._replay.told(stamp, "cloud"), REACH)
        clicks = [result for result in self._clicks if result.asked.stamp == stamp]
        if not clicks:
            return
        far = max(float(np.abs(result.asked.click.place[:2]).max()) for result in clicks)
        reach = min(max(far + _MARGIN, _NEAREST), REACH)
        for count in range(1, len(clicks) + 1):
            done = clicks[:count]
            marks = [result.mark for result in done]
            answers = [result.box for result in done if result.box is not None]
            shown = _together(answers)
            picture = rig_scene(sample, boxes, left, done[-1].told, reach, marks, shown)
            self.clicked[stamp] = picture
            yield from [picture] * max(round(_CLICK_SECONDS * self._rate), 1)


def _together(boxes: list[Boxes3D]) -> Boxes3D:
    """Boxes of several class lists in one."""
    classes = tuple(sorted({name for each in boxes for name in each.names()}))
    label = [classes.index(each.names()[0]) for each in boxes]
    empty = Boxes3D.empty(classes, Axes.BODY)
    return Boxes3D.concatenate(
        [empty, *(replace(each, label=np.array([n]), classes=classes) for each, n in zip(boxes, label))]
    )
