"""Boxes that somebody accepted in assist mode, as they come: a line of JSON each, which training reads."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.rig import Prompts
from voxbox_core.errors import InputError

SAME_MOMENT = 1e-3  # s; stamps of one cloud differ by less, because not all who carry them count nanoseconds

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class AcceptedBox:
    """A line of the file. Raises InputError on values that are no box.

    stamp: s, of the cloud that was on display.  frame_id: the LiDAR's, in which center (m), yaw (rad, about z) and
    click (m) are.  class_name.  size: length, width, height, m.  score: the teacher's, 0..1.  source: what the click
    came from, such as its topic.
    """

    stamp: float
    frame_id: str
    class_name: str
    center: Vector
    size: Vector
    yaw: float
    click: Vector
    score: float
    source: str

    def __post_init__(self) -> None:
        for name in ("center", "size", "click"):
            value = getattr(self, name)
            if len(value) != 3:
                raise InputError(f"accepted {name}", value, "three numbers", "Correct it.")
            object.__setattr__(self, name, tuple(float(v) for v in value))
        for name in ("stamp", "yaw", "score"):
            object.__setattr__(self, name, float(getattr(self, name)))
        numbers = (self.stamp, *self.center, *self.size, self.yaw, *self.click, self.score)
        if not all(math.isfinite(v) for v in numbers):
            raise InputError("accepted box", numbers, "finite numbers", "Correct it.")
        if min(self.size) <= 0:
            raise InputError("accepted size", self.size, "a positive length, width and height, m", "Correct it.")
        for name in ("frame_id", "class_name", "source"):
            value = getattr(self, name)
            if not isinstance(value, str) or (not value and name != "source"):
                raise InputError(f"accepted {name}", repr(value), "a name", "Correct it.")


def append(path: Path, box: AcceptedBox) -> None:
    """Add a line that is on the disk, whole, when this returns; several may write at once.

    A last line that was cut off, as by a loss of power, is ended first, so that it spoils none but itself. Raises
    InputError where nothing can be written.
    """
    line = json.dumps(asdict(box), allow_nan=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line
            if os.write(handle, line) < len(line):
                raise OSError(None, "disk full")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        value = f"not writable ({error.strerror})"
        raise InputError(f"label file {path}", value, "a file to append to", "Choose another, or make room.") from None


@dataclass(frozen=True)
class LabelFile:
    """boxes: in the order they were accepted.  cut_off: numbers, from 1, of lines that were not written to their end,
    for the caller to tell."""

    boxes: tuple[AcceptedBox, ...]
    cut_off: tuple[int, ...]


def read_label_file(path: Path) -> LabelFile:
    """Read what `append` wrote. Raises InputError for a file that cannot be read, and for whole lines that are no
    accepted box."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        value = f"not readable ({error.strerror})"
        raise InputError(f"label file {path}", value, "a file of accepted boxes", "Check the path.") from None
    boxes, cut_off = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError:
            cut_off.append(number)
            continue
        boxes.append(_box(values, f"line {number} of {path}"))
    return LabelFile(tuple(boxes), tuple(cut_off))


def _box(values: object, where: str) -> AcceptedBox:
    names = {f.name for f in fields(AcceptedBox)}
    if not isinstance(values, dict) or set(values) != names:
        found = sorted(values) if isinstance(values, dict) else values
        raise InputError(where, found, f"an accepted box with {sorted(names)}", "Correct the line or delete it.")
    try:
        return AcceptedBox(**values)
    except (TypeError, ValueError) as error:
        raise InputError(where, f"no box ({error})", "an accepted box", "Correct the line or delete it.") from None


def labels_by_stamp(
    boxes: Sequence[AcceptedBox], stamp: float, classes: Sequence[str], frame_id: str | None = None
) -> tuple[Boxes3D, Prompts]:
    """Truth and clicks, row by row, of the cloud at `stamp`, s; both empty where nothing was accepted at it.

    classes: to label with; boxes are truth, of score 1.  frame_id: the sample's, where it is known. Raises InputError
    for a class that is not among `classes`, and for a box in another frame.
    """
    mine = [box for box in boxes if abs(box.stamp - stamp) < SAME_MOMENT]
    for box in mine:
        what = f"of the box accepted at {box.stamp} s"
        if box.class_name not in classes:
            raise InputError(f"class {what}", box.class_name, f"one of {tuple(classes)}", "Add it, or delete the line.")
        if frame_id is not None and box.frame_id != frame_id:
            raise InputError(f"frame {what}", box.frame_id, frame_id, "Use the labels of this LiDAR.")
    count = len(mine)
    label = np.array([list(classes).index(box.class_name) for box in mine], np.int64)
    truth = Boxes3D(
        center=np.array([box.center for box in mine]).reshape(-1, 3),
        size=np.array([box.size for box in mine]).reshape(-1, 3),
        yaw=np.array([box.yaw for box in mine]),
        label=label,
        score=np.ones(count),
        box2d=np.full((count, 4), np.nan),
        classes=tuple(classes),
        axes=Axes.BODY,
    )
    return truth, Prompts(np.array([box.click for box in mine]).reshape(-1, 3), label, tuple(classes))
