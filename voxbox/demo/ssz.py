"""The demo of SSZ: a camera's drive, as voxels."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tqdm import tqdm

from ssz_ros.contract import Contract
from ssz_ros.reconstructor import SSZ, align
from voxbox.bag.samples import sample_of, samples
from voxbox.bag.transforms import StaticTransforms
from voxbox.demo.artefacts import Artefacts, write_film, write_picture
from voxbox.demo.recording import write_recording
from voxbox.demo.replay import DIAGNOSTICS, Feed, Replay
from voxbox.demo.voxel_answers import GRID, ground_in, point_count, voxels_in
from voxbox.demo.voxel_verdict import Truth, compared, verdict
from voxbox.report.page import Picture, Section
from voxbox.report.voxel_scene import ground_picture, voxel_scene
from voxbox_core.datasets.bag import Bag, DriveTopics, Frame, Message, find_topics, frames
from voxbox_core.datasets.bag.types import POINTS
from voxbox_core.draw_voxels import comparison, rendered
from voxbox_core.errors import InputError
from voxbox_core.metrics.voxels import Counts
from voxbox_core.ros.models import model_path
from voxbox_core.voxels import CLASSES, Voxels

if TYPE_CHECKING:
    from voxbox.demo.session import Session  # needs ROS

OPTIONS = ("image_topic", "camera_info_topic")
"""Of the command, that are not everybody's; `km3d.configure` adds them."""

VOXELS, FLOOR = "/voxels", "/ground"
RECORDING = "voxels.mcap"
SHEET, ABOVE, SIDE, MAP = "voxels.png", "above.png", "side.png", "ground.png"
_FINE = 8  # pixels of the shown image along a cell
_STILL = (1280, 800)
_THINGS = frozenset(CLASSES) - {"air", "building", "tree", "ground"}


def feed(topics: DriveTopics) -> Feed:
    """What the node is given of a drive; its cloud has all occupied cells, so that the pictures have them too."""
    infos = (topics.camera_info,) if topics.camera_info else ()
    return Feed(
        system="ssz",
        unit="image",
        frames=topics.image,
        images=(),
        infos=infos,
        transforms=topics.transforms,
        arguments={"image": topics.image.name, "camera_info": topics.camera_info or "", "cells": "occupied"},
        outputs={VOXELS: POINTS, FLOOR: GRID, "/latency": DIAGNOSTICS},
        answers=VOXELS,
        found="voxels",
    )


class SszDemo:
    """A `System`. Raises InputError when the bag has no camera, or its first frame cannot be read."""

    def __init__(self, args: argparse.Namespace, bag: Bag) -> None:
        self._bag, self._topics = bag, find_topics(bag, args.image_topic, args.camera_info_topic)
        self.feed, self.notes = feed(self._topics), self._topics.notes
        self.setting: Mapping[str, Any] = {"image_topic": self._topics.image.name}
        next(samples(bag, self._topics, limit=1))

    def parameters(self, folder: Path) -> Mapping[str, str]:
        """None but those of every system."""
        return {}

    def prepare(self, session: "Session") -> None:
        """The drive is all there is."""

    def make(self, folder: Path, replay: Replay, rate: float) -> Artefacts:
        """Film, stills and recording, in one pass over the bag.  rate: images/s of the drive as recorded."""
        contract = SSZ.open(model_path(replay.values["model"])).contract
        return make_artefacts(folder, self._bag, self._topics, replay, rate, contract)


def make_artefacts(
    folder: Path, bag: Bag, topics: DriveTopics, replay: Replay, rate: float, contract: Contract
) -> Artefacts:
    """Write film, stills and recording into `folder`.  rate: images/s of the drive as recorded.  contract: of the
    model that answered."""
    once = _Pass(bag, topics, replay, contract)
    film = write_film(folder, once.pictures(), len(replay.sent), rate)
    write_recording(folder / RECORDING, bag, topics.names, replay.outputs)
    text = "The image, what its camera sees of the voxels, and these from behind and above."
    shown = [Section("The drive", pictures=[Picture(film, text)])]
    if once.best is not None:
        shown.append(_stills(folder, once.best, replay))
    found = sum(point_count(message) for message in replay.outputs if message.topic == VOXELS)
    return Artefacts(found, verdict(once.counts, once.truth.absent), shown, tuple(once.unreadable))


@dataclass(frozen=True)
class _Shown:
    """A frame's number and stamp, ns, its image, aligned with the grid, its voxels, and the truth where it is known."""

    index: int
    stamp: int
    image: np.ndarray
    voxels: Voxels
    truth: Voxels | None

    @property
    def interest(self) -> tuple[bool, int]:
        """How much there is to see: truth first, then things on the road."""
        things = [i for i, name in enumerate(self.voxels.classes) if name in _THINGS]
        return self.truth is not None, int(np.isin(self.voxels.labels, things).sum())


class _Pass:
    """Goes through the frames once: yields pictures for the film, and remembers what the stills and scores need."""

    def __init__(self, bag: Bag, topics: DriveTopics, replay: Replay, contract: Contract) -> None:
        self._bag, self._topics, self._replay, self._contract = bag, topics, replay, contract
        self.truth = Truth(bag.path, contract.fruxel)
        self._answers = {m.stamp: m for m in replay.outputs if m.topic == VOXELS}
        self.counts: Counts | None = None
        self.best: _Shown | None = None
        self.unreadable: list[str] = []

    def pictures(self) -> Iterator[np.ndarray]:
        total = len(self._replay.sent)
        transforms = StaticTransforms(self._bag, self._topics)
        size: tuple[int, ...] | None = None
        for frame in tqdm(frames(self._bag, self._topics, total), total=total, desc="pictures", unit="frame"):
            try:
                picture = self._picture(frame, transforms, total)
            except InputError as error:  # the node has gone on, and so does the film
                self.unreadable.append(f"frame {frame.index + 1}: {error}")
                continue
            size = size or picture.shape
            yield picture if picture.shape == size else cv2.resize(picture, (size[1], size[0]))

    def _picture(self, frame: Frame, transforms: StaticTransforms, total: int) -> np.ndarray:
        sample, fruxel, stamp = sample_of(self._bag, frame, transforms), self._contract.fruxel, frame.image.stamp
        aligned = align(sample.image, sample.camera, fruxel, _FINE)
        voxels = self._voxels(stamp, frame, aligned.seen)
        truth = self.truth.at(stamp)
        self.counts = compared(self.counts, voxels, truth)
        if voxels is not None:
            shown = _Shown(frame.index, stamp, aligned.image, voxels, truth)
            if self.best is None or shown.interest > self.best.interest:
                self.best = shown
        seconds = (frame.image.time - self._bag.start) / 1e9
        left = f"{frame.index + 1}/{total}   {seconds:.1f} s"
        return voxel_scene(aligned.image, voxels, left, self._replay.told(stamp, "image", "voxels"))

    def _voxels(self, stamp: int, frame: Frame, seen: np.ndarray) -> Voxels | None:
        answer: Message | None = self._answers.get(stamp)
        if answer is None:
            return None
        message: Any = self._bag.decode(frame.image)
        return voxels_in(answer, message.header.frame_id, self._contract.fruxel, self._contract.classes, seen)


def _stills(folder: Path, shown: _Shown, replay: Replay) -> Section:
    """The frame with most to see."""
    sheet = "The image, and the node's voxels as the camera sees them, obliquely and in slices"
    beside = ", beside the truth." if shown.truth is not None else "."
    pictures = [
        Picture(write_picture(folder / SHEET, comparison(shown.image, shown.truth, shown.voxels)), sheet + beside),
        Picture(write_picture(folder / ABOVE, rendered(shown.voxels, "above", _STILL)), "From above, forward up."),
        Picture(write_picture(folder / SIDE, rendered(shown.voxels, "side", _STILL)), "From the left."),
    ]
    grounds = [m for m in replay.outputs if m.topic == FLOOR and m.stamp == shown.stamp]
    if grounds:
        floor = write_picture(folder / MAP, ground_picture(ground_in(grounds[-1])))
        pictures.append(Picture(floor, "The occupancy grid: free ground that was seen, and what stands on it."))
    return Section(f"Frame {shown.index + 1}", pictures=pictures)
