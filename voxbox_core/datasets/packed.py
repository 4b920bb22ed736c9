"""A data set decoded once: labelled camera samples, images reduced, in one memory-mapped file.

Decoding a 1242x375 PNG costs more than everything else a training sample needs. Reduced images keep the truth exact,
because the camera and the 2D boxes are reduced with them; LiDAR points are left out.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from tqdm import tqdm

from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.image import apply


class Samples(Protocol):
    """Any data set: frames by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class PackedSamples:
    """The samples of a folder that `pack` wrote. Their images are read-only views of the mapped file."""

    def __init__(self, folder: str | Path) -> None:
        with np.load(Path(folder) / "index.npz") as index:
            self._index = {name: index[name] for name in index.files}
        self._pixels = np.memmap(Path(folder) / "images.bin", dtype=np.uint8, mode="r")
        sizes = self._index["size"].astype(np.int64)
        self._pixel_start = _starts(sizes.prod(-1) * 3)
        self._box_start = _starts(self._index["boxes"])
        self._region_start = _starts(self._index["regions"])
        self.classes = tuple(str(name) for name in np.unique(self._index["class"]))
        self._label = np.searchsorted(self.classes, self._index["class"]) if self.classes else np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._index["name"])

    def __getitem__(self, i: int) -> Sample:
        width, height = (int(v) for v in self._index["size"][i])
        pixels = self._pixels[self._pixel_start[i] : self._pixel_start[i + 1]]
        row = slice(self._box_start[i], self._box_start[i + 1])
        column = self._index
        boxes = Boxes3D(
            center=column["center"][row],
            size=column["extent"][row],
            yaw=column["yaw"][row],
            label=self._label[row],
            score=np.ones(row.stop - row.start),
            box2d=column["box2d"][row],
            classes=self.classes,
        )
        return Sample(
            name=str(column["name"][i]),
            image=pixels.reshape(height, width, 3),
            camera=Camera(column["intrinsics"][i], width, height),
            boxes=boxes,
            truncation=column["truncation"][row],
            occlusion=column["occlusion"][row],
            dont_care=column["dont_care"][self._region_start[i] : self._region_start[i + 1]],
        )


def pack(samples: Samples, folder: str | Path, max_width: int, progress: bool = True) -> PackedSamples:
    """Write `samples` to `folder`, images at most `max_width` pixels wide, unless it is there already.

    The folder appears when it is complete. Raises InputError for a sample without labels.
    """
    folder = Path(folder)
    if folder.is_dir():
        return PackedSamples(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        rows: list[Sample] = []
        numbers = tqdm(range(len(samples)), f"packing {folder.name}", disable=not progress, leave=False)
        with (partial / "images.bin").open("wb") as file:
            for sample in (reduced(samples[i], max_width) for i in numbers):
                file.write(np.ascontiguousarray(sample.image).data)
                rows.append(_without_pixels(sample))
        np.savez(partial / "index.npz", **_columns(rows))  # type: ignore[arg-type]  # numpy's stubs
        if not folder.is_dir():  # another process may have been faster
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return PackedSamples(folder)


def fingerprint(files: Iterable[Path], *parameters: object) -> str:
    """A name for what was packed: changes when a file's name, size or time does, or a parameter."""
    digest = hashlib.sha256(repr(parameters).encode())
    for path in files:
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def reduced(sample: Sample, max_width: int) -> Sample:
    """The sample with its image at most `max_width` wide, and camera, 2D boxes and regions to match."""
    boxes = sample.boxes
    if boxes is None:
        raise InputError(
            f"boxes of {sample.name}", "absent", "a labelled sample", "Add its label file or leave it out."
        )
    camera = sample.camera
    if camera.width <= max_width:
        return sample
    width, height = max_width, round(camera.height * max_width / camera.width)
    sx, sy = width / camera.width, height / camera.height
    affine = np.array([[sx, 0.0, (sx - 1) / 2], [0.0, sy, (sy - 1) / 2]])  # pixel centres are integers
    return Sample(
        name=sample.name,
        image=cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_AREA),
        camera=camera.warped(affine, width, height),
        boxes=replace(boxes, box2d=_rectangles(affine, boxes.box2d)),
        truncation=sample.truncation,
        occlusion=sample.occlusion,
        dont_care=_rectangles(affine, sample.dont_care),
    )


def _rectangles(affine: np.ndarray, rectangles: np.ndarray) -> np.ndarray:
    return apply(affine, rectangles.reshape(-1, 2, 2)).reshape(-1, 4)


_NO_PIXELS = np.zeros((1, 1, 3), np.uint8)


def _without_pixels(sample: Sample) -> Sample:
    """The sample's truth alone: a stride-0 image keeps its size and none of its memory."""
    camera = sample.camera
    image = np.broadcast_to(_NO_PIXELS, (camera.height, camera.width, 3))
    return Sample(sample.name, image, camera, sample.boxes, sample.truncation, sample.occlusion, sample.dont_care)


def _columns(samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    if not samples:
        raise InputError("data set", "empty", "at least one labelled sample", "Check the data folder.")
    boxes = [s.boxes for s in samples if s.boxes is not None]
    return {
        "name": np.array([s.name for s in samples]),
        "size": np.array([(s.camera.width, s.camera.height) for s in samples]),
        "intrinsics": np.stack([s.camera.intrinsics for s in samples]),
        "boxes": np.array([len(b) for b in boxes]),
        "class": np.array([name for b in boxes for name in b.names()], dtype=np.str_),
        "center": np.concatenate([b.center for b in boxes]),
        "extent": np.concatenate([b.size for b in boxes]),
        "yaw": np.concatenate([b.yaw for b in boxes]),
        "box2d": np.concatenate([b.box2d for b in boxes]),
        "truncation": np.concatenate([s.truncation for s in samples]),
        "occlusion": np.concatenate([s.occlusion for s in samples]),
        "regions": np.array([len(s.dont_care) for s in samples]),
        "dont_care": np.concatenate([s.dont_care for s in samples]),
    }


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])
