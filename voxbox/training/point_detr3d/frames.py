"""Several folders of rig frames as one, and which of them have boxes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from voxbox.street.folder import RECORD
from voxbox_core.datasets.label_split import LabelSplit, split_by_scene, split_by_time
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_folder import RigFolder
from voxbox_core.errors import InputError


class RigFrames:
    """names: of all frames, "folder/frame".  Raises InputError for a folder without frames, and for two of one name."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = [RigFolder(folder) for folder in folders]
        self._ends = np.cumsum([len(f) for f in self._folders])
        self.names = tuple(f"{f.folder.resolve().name}/{name}" for f in self._folders for name in f.names)
        if len(set(self.names)) < len(self.names):
            raise InputError("data folders", list(folders), "folders of different names", "Rename one of them.")

    def __len__(self) -> int:
        return len(self.names)

    def read(self, i: int, views: bool) -> RigSample:
        """Frame i, by its name among all of them."""
        folder, at = self._place(i)
        return replace(folder.read(at, points=True, views=views), name=self.names[i])

    def header(self, i: int) -> RigSample:
        """Frame i without its points and images."""
        folder, at = self._place(i)
        return replace(folder.header(at), name=self.names[i])

    def scenes(self) -> list[str]:
        """Of each frame: frames that were rendered of one scene share it."""
        found: list[str] = []
        for folder in self._folders:
            moments = _moments(folder.folder)
            prefix = folder.folder.resolve().name
            found += [f"{prefix}/{i // moments if moments else name}" for i, name in enumerate(folder.names)]
        return found

    def _place(self, i: int) -> tuple[RigFolder, int]:
        part = int(np.searchsorted(self._ends, i, side="right"))
        return self._folders[part], i - (int(self._ends[part - 1]) if part else 0)


def _moments(folder: Path) -> int:
    """Frames per scene of a rendered folder, 0 where nothing says so."""
    record = folder / RECORD
    if not record.is_file():
        return 0
    plan = json.loads(record.read_text())
    return 0 if plan.get("drive") else int(plan.get("moments", 0))


def split(frames: RigFrames, percent: float, seed: int, by: str) -> LabelSplit:
    """Which frames may be learned from boxes (D_F), and which from points alone (D_W)."""
    if percent == 100:
        return LabelSplit(np.arange(len(frames)), np.zeros(0, np.int64))
    if by == "scene":
        return split_by_scene(frames.scenes(), percent / 100, seed)
    return split_by_time([frames.header(i).stamp for i in range(len(frames))], percent / 100)
