"""Clicks on objects: where a demo's annotator clicks, and what the node makes of it."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.bag import Message
from voxbox_core.datasets.prompts import PromptSettings, simulate
from voxbox_core.datasets.rig import RigSample, points_in_boxes
from voxbox_core.errors import InputError

NAMED, UNNAMED = 3, 1  # clicks on objects of one frame: with their class, and without
_SEED = 0
_ON_SURFACE = PromptSettings(surface=1.0, ground=0.0)  # as RViz picks a place: a return of what is clicked at
_LEAST_RETURNS = 8  # on an object, for somebody to see it
_FARTHEST = 35.0  # m
_AWAY = np.arange(8.0, 20.0, 2.0)  # m from the sensor, where there may be nothing
_ABOVE_GROUND = 0.3  # m: what is higher is no ground
_COLUMNS = ("frame", "x", "y", "z", "class")


@dataclass(frozen=True)
class Click:
    """place: (3,) m, in the sample's frame.  name: the class told with it, "" for none.  what: is there, in words.

    truth: the object's own box, where it is known.
    """

    place: np.ndarray
    name: str
    what: str
    truth: Boxes3D | None = None


@dataclass(frozen=True)
class Asked:
    """A click on the cloud of a stamp, ns, and its answer.

    answer: the message, without a box where the click was refused; None where nothing came.  seconds: from the click
    to its answer.  refusal: what the node says is wrong, "" where nothing is.
    """

    stamp: int
    click: Click
    answer: Message | None = None
    seconds: float | None = None
    refusal: str = ""


@dataclass(frozen=True)
class OnDisplay:
    """A cloud that is clicked on.

    sample: with its cameras.  frame_id: of the LiDAR.  lidar_from_level: (3, 3), from the sample's axes to the
    LiDAR's own.  clicks: given beforehand; None leaves it to `clicks_at`.
    """

    sample: RigSample
    frame_id: str
    lidar_from_level: np.ndarray
    clicks: tuple[Click, ...] | None = None
    last: bool = False


# Stamp of a cloud, ns -> what is clicked on there.
Script = Mapping[int, OnDisplay]


def clicks_at(shown: OnDisplay, found: Boxes3D | None, done: Sequence[str] = ()) -> list[Click]:
    """What an annotator clicks at: some objects with their class, one without, and in the last frame also a place
    where there is nothing.

    Objects are the sample's truth; where nobody labelled it, what the node has found in it, in the sample's frame.
    done: classes that were clicked at before, which come last.
    """
    if shown.clicks is not None:
        return list(shown.clicks)
    sample = shown.sample
    labelled = sample.boxes is not None
    boxes = sample.boxes if labelled else found
    clicks = [] if boxes is None or not len(boxes) else _on_objects(sample, boxes, labelled, done)
    return [*clicks, _nowhere(sample)] if shown.last else clicks


def _on_objects(sample: RigSample, boxes: Boxes3D, labelled: bool, done: Sequence[str]) -> list[Click]:
    """The clearest objects, those that a camera sees first, each kind in turn."""
    hits = points_in_boxes(sample.points, boxes).sum(1)
    clear = (hits >= _LEAST_RETURNS) & (np.linalg.norm(boxes.center[:, :2], axis=1) <= _FARTHEST)
    worth, seen = hits if labelled else boxes.score, _seen(sample, boxes)
    names, times = boxes.names(), dict[str, int]()
    for name in done:
        times[name] = times.get(name, 0) + 1
    chosen: list[int] = []
    left = set(np.flatnonzero(clear).tolist())
    while left and len(chosen) < NAMED + UNNAMED:
        best = min(left, key=lambda i: (not seen[i], times.get(names[i], 0), -worth[i]))
        times[names[best]] = times.get(names[best], 0) + 1
        left.remove(best)
        chosen.append(best)
    places = simulate(replace(sample, boxes=boxes, hits=hits), _ON_SURFACE, [0.0] * len(boxes.classes), _SEED).points[
        chosen
    ]
    return [
        Click(places[n], "" if n >= NAMED else names[i], names[i], boxes[[i]] if labelled else None)
        for n, i in enumerate(chosen)
    ]


def _seen(sample: RigSample, boxes: Boxes3D) -> np.ndarray:
    """(N,): whether the middle of a box is in an image, hidden or not."""
    seen = np.zeros(len(boxes), bool)
    for view in sample.views:
        pose = view.camera_from_lidar
        middle = boxes.center @ pose[:3, :3].T + pose[:3, 3]
        pixels, depth = view.camera.project(middle)
        seen |= (depth > 0) & ((pixels >= 0) & (pixels < (view.camera.width, view.camera.height))).all(1)
    return seen


def _nowhere(sample: RigSample) -> Click:
    """The place at the height of a car's middle that is farthest from all that stands on the ground."""
    standing = sample.points[sample.points[:, 2] > _ABOVE_GROUND - sample.height, :2]
    angle = np.radians(np.arange(0.0, 360.0, 10.0))
    around = (_AWAY[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)).reshape(-1, 2)
    apart = [np.linalg.norm(standing - place, axis=1).min(initial=np.inf) for place in around]
    return Click(np.array([*around[int(np.argmax(apart))], 0.8 - sample.height]), "", "nothing")


def read_clicks(path: Path) -> dict[int, tuple[Click, ...]]:
    """Clicks by the number of the frame, from a CSV file with the columns frame (from 0), x, y, z (m, in the LiDAR's
    own frame) and class (may be empty). Raises InputError for any other file."""
    clicks: dict[int, tuple[Click, ...]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != _COLUMNS:
                raise InputError(f"first line of {path}", rows.fieldnames, ",".join(_COLUMNS), "Name the columns.")
            for number, row in enumerate(rows, 2):
                frame, click = _row(row, f"line {number} of {path}")
                clicks[frame] = (*clicks.get(frame, ()), click)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"clicks {path}", f"unreadable ({error})", "a CSV file", "Check the path.") from None
    if not clicks:
        raise InputError(f"clicks {path}", "none", "at least one line below the first", "Add one.")
    return clicks


def _row(row: Mapping[str, str], where: str) -> tuple[int, Click]:
    try:
        frame, place = int(row["frame"]), np.array([float(row[axis]) for axis in "xyz"])
    except (TypeError, ValueError):
        frame, place = -1, np.full(3, np.nan)
    if frame < 0 or not np.isfinite(place).all():
        raise InputError(where, list(row.values()), "a frame from 0 and three coordinates in m", "Correct it.")
    name = (row["class"] or "").strip()
    return frame, Click(place, name, name or "given")
