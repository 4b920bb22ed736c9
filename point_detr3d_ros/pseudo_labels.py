"""What the teacher made of the points: boxes for frames that have none, in one file beside their clicks (stage S2)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.augment_cloud import returns_in_boxes
from voxbox_core.datasets.rig import Prompts, RigSample
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file

FORMAT = "voxbox pseudo labels 1"
REMEDY = "Run stage S2 again."


@dataclass(frozen=True)
class PseudoLabel:
    """Of one frame. Raises InputError for boxes that are none: not finite, without extent, scores beside 0..1.

    boxes: N, Axes.BODY, LiDAR frame, with the teacher's scores.  hits: (N,) int64 returns of the newest sweep inside
    each.  prompts: the clicks, those that got no box among them.
    """

    boxes: Boxes3D
    hits: np.ndarray
    prompts: Prompts

    def __post_init__(self) -> None:
        boxes = self.boxes
        numbers = np.concatenate([boxes.center, boxes.size, boxes.yaw[:, None], boxes.score[:, None]], -1)
        sound = np.isfinite(numbers).all(-1) & (boxes.size > 0).all(-1) & (boxes.score >= 0) & (boxes.score <= 1)
        if not sound.all():
            raise InputError("pseudo box", numbers[~sound][0].tolist(), "center, size, yaw, score", REMEDY)
        if self.hits.shape != (len(boxes),):
            raise InputError("shape of the pseudo boxes' hits", self.hits.shape, f"({len(boxes)},)", REMEDY)

    @classmethod
    def of(cls, sample: RigSample, boxes: Boxes3D) -> "PseudoLabel":
        """boxes: the teacher's for the sample's prompts. Raises InputError for a sample that nobody clicked."""
        if sample.prompts is None:
            raise InputError(f"prompts of {sample.name}", "absent", "a point per object", "Leave it out.")
        return cls(boxes, returns_in_boxes(sample.points, boxes), sample.prompts)

    def merged(self, sample: RigSample, least_score: float = 0.0) -> RigSample:
        """The sample with these boxes and clicks for its own. least_score: of boxes to keep; the paper keeps all, and
        every click stays."""
        kept = self.boxes.score >= least_score
        return replace(sample, boxes=self.boxes[kept], hits=self.hits[kept], prompts=self.prompts)


def write_pseudo_labels(path: Path, labels: Mapping[str, PseudoLabel], classes: Sequence[str], origin: str) -> None:
    """Write the labels of frames, by name, to an npz file, whole or not at all.

    classes: of all boxes and clicks.  origin: tells what the teacher that made them may have seen: the split.
    """
    for name, label in labels.items():
        if label.boxes.classes != tuple(classes) or label.prompts.classes != tuple(classes):
            found = f"{label.boxes.classes} and {label.prompts.classes}"
            raise InputError(f"classes of {name}'s boxes and clicks", found, f"{tuple(classes)}", "Convert them.")
    boxes = Boxes3D.concatenate([Boxes3D.empty(classes, Axes.BODY), *(label.boxes for label in labels.values())])
    clicks = [label.prompts for label in labels.values()]
    columns: dict[str, Any] = {
        "format": np.array(FORMAT),
        "origin": np.array(origin),
        "classes": np.array(classes, np.str_),
        "name": np.array(list(labels), np.str_),
        "boxes": np.array([len(label.boxes) for label in labels.values()], np.int64),
        "clicks": np.array([len(prompts) for prompts in clicks], np.int64),
        "hits": np.concatenate([np.zeros(0, np.int64), *(label.hits for label in labels.values())]),
        "click": np.concatenate([np.zeros((0, 3)), *(prompts.points for prompts in clicks)]),
        "click_label": np.concatenate([np.zeros(0, np.int64), *(prompts.label for prompts in clicks)]),
    }
    columns |= {name: getattr(boxes, name) for name in _BOXES}
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **columns)


def read_pseudo_labels(
    path: Path, frames: Collection[str], classes: Sequence[str], origin: str
) -> dict[str, PseudoLabel]:
    """The labels of exactly these frames, made of these classes by this origin.

    Raises InputError, which says to run stage S2 again, for a file that is absent, damaged, or of other frames,
    classes or origin: labels by a teacher that has seen more boxes would be a result that is none.
    """
    found = _columns(path)
    for what, value, expected in (
        ("format", str(found["format"]), FORMAT),
        ("classes", tuple(str(c) for c in found["classes"]), tuple(classes)),
        ("origin", str(found["origin"]), origin),
    ):
        if value != expected:
            raise InputError(f"{what} of pseudo labels {path}", repr(value), repr(expected), REMEDY)
    names = [str(name) for name in found["name"]]
    _require_frames(path, names, frames)
    try:
        return dict(zip(names, _labels(found, tuple(classes))))
    except InputError as error:
        value = f"unsound ({error.what} is {error.value})"
        raise InputError(f"pseudo labels {path}", value, "boxes and clicks", REMEDY) from error


_BOXES = ("center", "size", "yaw", "label", "score")
_ROWS = {"boxes": (*_BOXES, "hits"), "clicks": ("click", "click_label")}
_COLUMNS = ("format", "origin", "classes", "name", *_ROWS, *_ROWS["boxes"], *_ROWS["clicks"])


def _columns(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in _COLUMNS}
        for count, columns in _ROWS.items():
            if len(found[count]) != len(found["name"]) or (found[count] < 0).any():
                raise ValueError(f"{count} of {len(found['name'])} frames are {found[count].shape}")
            for column in columns:
                if len(found[column]) != found[count].sum():
                    raise ValueError(f"{len(found[column])} rows of {column} for {found[count].sum()} {count}")
        return found
    except Exception as error:  # a damaged file makes numpy and zipfile raise whatever they stumble over
        words = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"pseudo labels {path}", f"unreadable ({words})", "a file of stage S2", REMEDY) from error


def _require_frames(path: Path, names: list[str], frames: Collection[str]) -> None:
    missing, surplus = sorted(set(frames) - set(names)), sorted(set(names) - set(frames))
    if not missing and not surplus and len(names) == len(set(names)):
        return
    value = f"{len(names)} frames, without {missing[:3]}, with {surplus[:3]}"
    raise InputError(f"pseudo labels {path}", value, f"each of the split's {len(frames)} frames once", REMEDY)


def _labels(found: dict[str, np.ndarray], classes: tuple[str, ...]) -> list[PseudoLabel]:
    count = len(found["yaw"])
    columns = {name: found[name] for name in _BOXES}
    boxes = Boxes3D(**columns, box2d=np.full((count, 4), np.nan), classes=classes, axes=Axes.BODY)
    prompts = Prompts(found["click"], found["click_label"], classes)
    labels = []
    box, click = (np.concatenate([[0], np.cumsum(found[name])]) for name in ("boxes", "clicks"))
    for i in range(len(found["name"])):
        rows, clicks = slice(box[i], box[i + 1]), slice(click[i], click[i + 1])
        labels.append(PseudoLabel(boxes[rows], found["hits"][rows], prompts[clicks]))
    return labels
