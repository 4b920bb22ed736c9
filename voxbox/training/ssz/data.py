"""The endless stream of training samples: which frame comes when, and how it is varied, follow from a draw's number.

So a resumed run sees what the interrupted one would have seen, whatever the number of worker processes.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ssz_ros.contract import Contract
from ssz_ros.pose_codec import PoseGrid
from ssz_ros.reconstructor import align
from voxbox.training.data import FromStep, loader
from voxbox.training.processes import Processes
from voxbox.training.ssz.recipe import Recipe
from voxbox_core.datasets.augment import Augmentation, vary_appearance
from voxbox_core.datasets.voxel_folder import VoxelFolder
from voxbox_core.datasets.voxel_sample import Poses, VoxelSample
from voxbox_core.errors import InputError
from voxbox_core.voxels import UNKNOWN

_NO_POSES = Poses(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 3)))
_COUNTED_FRAMES = 300
_GEOMETRY = ("scale_min", "scale_max", "shift", "flip", "shade")  # which the grid would have to follow, or are boxes'


@dataclass(frozen=True)
class Frame:
    """A sample as the network sees it.

    image: (height, width, 3) uint8 RGB of the contract's input size.  labels: (slices, rows, columns) uint8, UNKNOWN
    where the image does not reach.  poses: of the objects, none where nobody said.
    """

    image: np.ndarray
    labels: np.ndarray
    poses: Poses

    @classmethod
    def of(cls, sample: VoxelSample, contract: Contract) -> "Frame":
        """Raises InputError for labels of other classes than the contract's."""
        if sample.voxels.classes != contract.classes:
            expected = f"the network's, {contract.classes}"
            raise InputError(f"classes of {sample.name}", sample.voxels.classes, expected, "Convert the data to these.")
        aligned = align(sample.image, sample.camera, contract.fruxel, contract.per_cell)
        labels = np.where(aligned.seen, sample.voxels.labels, np.uint8(UNKNOWN))
        return cls(aligned.image, labels, sample.poses if sample.poses is not None else _NO_POSES)

    def mirrored(self) -> "Frame":
        """Of the mirrored world (x -> -x), which a camera with its principal point in the middle sees mirrored."""
        image, labels = self.image[:, ::-1], self.labels[..., ::-1]
        return Frame(np.ascontiguousarray(image), np.ascontiguousarray(labels), mirrored_poses(self.poses))


def mirrored_poses(poses: Poses) -> Poses:
    """Poses of the mirrored world (x -> -x): an object's left side (+y) becomes its right one, its front stays.

    R' = M R D with M = diag(-1, 1, 1) of the camera's axes and D = diag(1, -1, 1) of the object's, which as
    quaternions takes (w, x, y, z) to (z, -y, -x, w).
    """
    w, x, y, z = poses.rotation.T
    rotation = np.stack([z, -y, -x, w], -1)
    rotation *= np.where(rotation[:, :1] < 0, -1.0, 1.0)
    return replace(poses, translation=poses.translation * (-1.0, 1.0, 1.0), rotation=rotation)


class Frames:
    """The frames of several folders, which stay in memory once they were read, their labels deflated.

    kept: most frames that do.  Raises InputError for a folder of another grid than the contract's.
    """

    def __init__(self, folders: Sequence[str], contract: Contract, kept: int) -> None:
        self._folders = open_folders(folders, contract)
        self._contract, self._room = contract, kept
        self._ends = np.cumsum([len(folder) for folder in self._folders])
        self._kept: dict[int, tuple[np.ndarray, bytes, Poses]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, i: int) -> Frame:
        if i in self._kept:
            image, deflated, poses = self._kept[i]
            labels = np.frombuffer(zlib.decompress(deflated), np.uint8).reshape(self._contract.fruxel.shape)
            return Frame(image, labels, poses)
        part = int(np.searchsorted(self._ends, i, side="right"))
        frame = Frame.of(self._folders[part][i - (int(self._ends[part - 1]) if part else 0)], self._contract)
        if len(self._kept) < self._room:
            self._kept[i] = frame.image, zlib.compress(frame.labels.tobytes(), 1), frame.poses
        return frame

    def frequencies(self) -> np.ndarray:
        """(n,) part of the known cells that each class has, over at most some hundred frames, evenly spread; over all
        where these lack a class, for it would never be learned."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(_COUNTED_FRAMES, len(self))).round().astype(int))
        known = self._count(chosen)
        if (known == 0).any():
            known += self._count(np.setdiff1d(np.arange(len(self)), chosen))
        return np.asarray(known / max(known.sum(), 1))

    def _count(self, frames: np.ndarray) -> np.ndarray:
        """(n,) known cells by class."""
        cells = np.zeros(256, np.int64)
        for i in frames:
            cells += np.bincount(self[int(i)].labels.ravel(), minlength=256)
        return cells[: len(self._contract.classes)]


def open_folders(folders: Sequence[str | Path], contract: Contract) -> list[VoxelFolder]:
    """On the contract's grid. Raises InputError for a folder without frames, or of a grid that cannot give it."""
    return [VoxelFolder(folder, depth=False, grid=contract.fruxel) for folder in folders]


class Draws(Dataset[Frame]):
    """Draw n -> frame order(n), varied. Every pass over the frames is a new permutation."""

    def __init__(self, frames: Frames, recipe: Recipe) -> None:
        self._frames, self._flip, self._seed = frames, recipe.flip, recipe.seed
        self._augmentation = appearance(recipe.appearance)
        self._pass, self._order = -1, np.zeros(0, np.int64)

    def __getitem__(self, draw: int) -> Frame:
        cv2.setNumThreads(0)  # a worker is one thread; also keeps OpenCV off the training threads
        number, position = divmod(draw, len(self._frames))
        if number != self._pass:
            self._pass, self._order = number, np.random.default_rng((self._seed, number)).permutation(len(self._frames))
        rng = np.random.default_rng((self._seed, 1, draw))
        frame = self._frames[int(self._order[position])]
        if rng.random() < self._flip:
            frame = frame.mirrored()
        return replace(frame, image=vary_appearance(frame.image, self._augmentation, rng))


Batch = dict[str, Tensor]


def stream(
    draws: Draws, recipe: Recipe, processes: Processes, grid: PoseGrid | None
) -> Callable[[int], Iterable[Batch]]:
    """Batches from a step on: "image" (B, H, W, 3) uint8, "labels" (B, slices, rows, columns) uint8, and what
    `grid.encode` says of each frame's poses, if a grid is given."""

    def batches(step: int) -> Iterator[Batch]:
        on_gpu = processes.device.type == "cuda"
        steps = FromStep(step, recipe.batch, processes.rank, processes.count)
        for batch in loader(draws, steps, recipe.workers, on_gpu, partial(collate, grid)):
            yield {name: value.to(processes.device, non_blocking=on_gpu) for name, value in batch.items()}

    return batches


def collate(grid: PoseGrid | None, frames: Sequence[Frame]) -> Batch:
    """See `stream`."""
    each = [{"image": f.image, "labels": f.labels, **({} if grid is None else grid.encode(f.poses))} for f in frames]
    return {name: torch.from_numpy(np.stack([item[name] for item in each])) for name in each[0]}


def appearance(strength: float) -> Augmentation:
    """Variation of colour, tone and sensor faults alone: 0 none, 1 the defaults."""
    full = Augmentation()
    varied = {f.name: strength * getattr(full, f.name) for f in fields(Augmentation) if f.name not in _GEOMETRY}
    return replace(Augmentation.none(), **varied)
