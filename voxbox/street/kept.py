"""The frames of a drive that is not whole yet, kept beside it, so that an interrupted rendering goes on."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxbox.street.folder import claim
from voxbox.street.plan import Plan
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.sample import Sample
from voxbox_core.datasets.street.capture import Capture
from voxbox_core.files import whole_file

_BOXES = ("center", "size", "yaw", "label", "score", "box2d")
_ALWAYS = ("image", "truncation", "occlusion", "dont_care")
_WHERE_KNOWN = ("points", "lidar_to_camera", "stamp", "world_from_camera")


@dataclass(frozen=True)
class KeptFrames:
    """A folder of samples, a file each. Travels to other processes, which write into it."""

    folder: Path

    @classmethod
    def of(cls, out: Path, plan: Plan) -> "KeptFrames":
        """The hidden folder beside `out`. Raises InputError when it holds the frames of another plan."""
        folder = out.with_name(f".{out.name}.frames")
        claim(folder, plan.identity())
        return cls(folder)

    def has(self, name: str) -> bool:
        return self._path(name).is_file()

    def write(self, frame: Capture) -> str:
        """Keep the sample of a frame, whole or not at all; -> its name."""
        sample = frame.sample
        boxes = sample.boxes
        assert boxes is not None  # the street knows its truth
        arrays: dict[str, Any] = {name: getattr(sample, name) for name in _ALWAYS}
        arrays |= {name: value for name in _WHERE_KNOWN if (value := getattr(sample, name)) is not None}
        arrays |= {f"boxes_{name}": getattr(boxes, name) for name in _BOXES}
        arrays |= {"intrinsics": sample.camera.intrinsics, "classes": np.array(boxes.classes), "axes": boxes.axes.name}
        with whole_file(self._path(sample.name)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        return sample.name

    def read(self, name: str) -> Sample:
        """The sample that `write` kept under this name."""
        with np.load(self._path(name)) as stored:
            arrays = dict(stored)
        classes = tuple(str(c) for c in arrays["classes"])
        columns = {column: arrays[f"boxes_{column}"] for column in _BOXES}
        boxes = Boxes3D(**columns, classes=classes, axes=Axes[str(arrays["axes"])])
        height, width = arrays["image"].shape[:2]
        known = {column: arrays[column] for column in _WHERE_KNOWN if column in arrays}
        if "stamp" in known:
            known["stamp"] = float(known["stamp"])
        always = {column: arrays[column] for column in _ALWAYS}
        return Sample(name, camera=Camera(arrays["intrinsics"], width, height), boxes=boxes, **always, **known)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
