"""Several folders of frames, of any format that is read, as one, and which of them have boxes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from point_detr3d_ros.contract import CLASSES
from voxbox.street.folder import RECORD
from voxbox.training.point_detr3d.kitti import learnable, named
from voxbox.training.point_detr3d.recipe import GIVEN
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.argoverse2 import Argoverse2
from voxbox_core.datasets.kitti_rig import KittiRig
from voxbox_core.datasets.label_split import LabelSplit, split_by_scene, split_by_time
from voxbox_core.datasets.nuscenes import NuScenes
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_folder import RigFolder
from voxbox_core.datasets.rig_formats import FORMATS, Folder, format_of, read_frame
from voxbox_core.errors import InputError


class RigFrames:
    """names: of all frames, "folder/frame".  sweeps: clouds put together, where the format has several.

    Samples come with boxes and prompts in `classes`, whatever their order in the folder. Raises InputError for a
    folder without frames, and for two of one name; reading does for classes that are not among `classes`.
    """

    def __init__(self, folders: Sequence[str], classes: Sequence[str] = CLASSES, sweeps: int = 1) -> None:
        places = [Path(folder) for folder in folders]
        self._classes = tuple(classes)
        self._folders = [FORMATS[format_of(place)](place, sweeps) for place in places]
        self._prefixes = [place.resolve().name for place in places]
        self._ends = np.cumsum([len(f) for f in self._folders])
        self.names = tuple(f"{p}/{name}" for p, f in zip(self._prefixes, self._folders) for name in f.names)
        if len(set(self.names)) < len(self.names):
            raise InputError("data folders", list(folders), "folders of different names", "Rename one of them.")

    def __len__(self) -> int:
        return len(self.names)

    def read(self, i: int, views: bool) -> RigSample:
        """Frame i, by its name among all of them."""
        folder, at = self._place(i)
        sample = read_frame(folder, at, views)
        return self._known(i, learnable(folder, at, sample) if isinstance(folder, KittiRig) else sample)

    def boxed(self, i: int, views: bool) -> RigSample:
        """Frame i, which must have boxes. Raises InputError where nobody labelled them."""
        sample = self.read(i, views)
        return replace(sample, boxes=with_boxes(sample))

    def header(self, i: int) -> RigSample:
        """Frame i without its points and images, which are left unread."""
        folder, at = self._place(i)
        sample = folder.header(at)
        return self._known(i, named(sample) if isinstance(folder, KittiRig) else sample)

    def labelled(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) bool: the frames with boxes, and those with prompts. All of a data set that is no rig's have boxes."""
        boxes, prompts = np.ones(len(self), bool), np.zeros(len(self), bool)
        for i in range(len(self)):
            if isinstance(self._place(i)[0], RigFolder):
                header = self.header(i)
                boxes[i], prompts[i] = header.boxes is not None, header.prompts is not None
        return boxes, prompts

    def scenes(self) -> list[str]:
        """Of each frame: frames that were recorded in one drive of nuScenes or Argoverse 2, or rendered of one scene,
        share it; of others nothing is known, and each stands alone."""
        return [f"{p}/{scene}" for p, folder in zip(self._prefixes, self._folders) for scene in _scenes(folder)]

    def _place(self, i: int) -> tuple[Folder, int]:
        part = int(np.searchsorted(self._ends, i, side="right"))
        return self._folders[part], i - (int(self._ends[part - 1]) if part else 0)

    def _known(self, i: int, sample: RigSample) -> RigSample:
        name = self.names[i]
        boxes, prompts = sample.boxes, sample.prompts
        if boxes is not None and boxes.classes != self._classes:
            boxes = replace(boxes, label=self._numbers(name, boxes.classes)[boxes.label], classes=self._classes)
        if prompts is not None and prompts.classes != self._classes:
            prompts = replace(prompts, label=self._numbers(name, prompts.classes)[prompts.label], classes=self._classes)
        return replace(sample, name=name, boxes=boxes, prompts=prompts)

    def _numbers(self, name: str, theirs: Sequence[str]) -> np.ndarray:
        """Of each of a frame's classes, its number among ours."""
        unknown = [c for c in theirs if c not in self._classes]
        if unknown:
            remedy = "Rename them in the labels, or leave the frame out."
            raise InputError(f"classes of {name}", ", ".join(unknown), f"some of {self._classes}", remedy)
        return np.array([self._classes.index(c) for c in theirs], np.int64)


def with_boxes(sample: RigSample) -> Boxes3D:
    """The sample's boxes. Raises InputError where nobody labelled."""
    if sample.boxes is None:
        remedy = f"Leave it out of --data, or train with --split {GIVEN}."
        raise InputError(f"boxes of {sample.name}", "absent", "a frame with boxes", remedy)
    return sample.boxes


def _scenes(folder: Folder) -> Sequence[str]:
    """Of each frame."""
    if isinstance(folder, NuScenes | Argoverse2):
        return folder.scenes
    moments = _moments(folder.folder if isinstance(folder, RigFolder) else folder.root)
    return [str(i // moments) for i in range(len(folder))] if moments else folder.names


def _moments(folder: Path) -> int:
    """Frames per scene of a rendered folder, 0 where nothing says so."""
    record = folder / RECORD
    if not record.is_file():
        return 0
    plan = json.loads(record.read_text())
    return 0 if plan.get("drive") else int(plan.get("moments", 0))


def split(frames: RigFrames, percent: float, seed: int, by: str) -> LabelSplit:
    """Which frames may be learned from boxes (D_F), and which from points alone (D_W).

    by: scene or time, `percent` of the frames; or "given": those that have boxes, and of the others those that have
    prompts, so that some may be in neither. Raises InputError where no frame has boxes.
    """
    if by == GIVEN:
        return _given(frames)
    if percent == 100:
        return LabelSplit(np.arange(len(frames)), np.zeros(0, np.int64))
    if by == "scene":
        return split_by_scene(frames.scenes(), percent / 100, seed)
    return split_by_time([frames.header(i).stamp for i in range(len(frames))], percent / 100)


def _given(frames: RigFrames) -> LabelSplit:
    boxes, prompts = frames.labelled()
    if not boxes.any():
        expected = "frames whose objects all have boxes"
        raise InputError("frames with boxes", 0, expected, "Name them to `voxbox bag rig` with --complete.")
    return LabelSplit(np.flatnonzero(boxes), np.flatnonzero(prompts & ~boxes))
