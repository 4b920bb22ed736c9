"""The endless stream of training samples: which frame comes when, and how it is varied, follow from a draw's number.

So a resumed run sees what the interrupted one would have seen, whatever the number of worker processes.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from voxbox_core.datasets.augment import Augmentation, View, view
from voxbox_core.datasets.kitti import KittiFolder
from voxbox_core.datasets.packed import PackedSamples, Samples, fingerprint, pack
from voxbox_core.datasets.sample import Sample
from voxbox_core.files import cache_folder


class Frames:
    """Several packed folders as one."""

    def __init__(self, parts: Sequence[PackedSamples]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(p) for p in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, i: int) -> Sample:
        part = int(np.searchsorted(self._ends, i, side="right"))
        return self._parts[part][i - (int(self._ends[part - 1]) if part else 0)]


def open_frames(folders: Sequence[str], width: int, cache: str, progress: bool) -> Frames:
    """KITTI-layout folders, packed on first use under `cache` (default: `cache_folder`)."""
    place = Path(cache) if cache else cache_folder()
    return Frames([_packed(Path(f), width, place, progress) for f in folders])


def _packed(folder: Path, width: int, cache: Path, progress: bool) -> PackedSamples:
    source = KittiFolder(folder, points=False)
    files = [p for part in ("image_2", "calib", "label_2") for p in sorted((folder / part).glob("*.*"))]
    key = fingerprint(files, str(folder.resolve()), width)
    return pack(source, cache / f"{folder.resolve().name}-{key}", width, progress)


class Draws(Dataset[dict[str, Any]]):
    """Draw n -> a random view of frame order(n), encoded. Every pass over the frames is a new permutation."""

    def __init__(
        self,
        frames: Samples,
        width: int,
        height: int,
        augmentation: Augmentation,
        seed: int,
        encode: Callable[[Sample, View], dict[str, Any]],
    ) -> None:
        self._frames, self._size, self._augmentation = frames, (width, height), augmentation
        self._seed, self._encode = seed, encode
        self._pass, self._order = -1, np.zeros(0, np.int64)

    def __getitem__(self, draw: int) -> dict[str, Any]:
        cv2.setNumThreads(0)  # a worker is one thread; also keeps OpenCV off the training threads
        number, position = divmod(draw, len(self._frames))
        if number != self._pass:
            self._pass, self._order = number, np.random.default_rng((self._seed, number)).permutation(len(self._frames))
        rng = np.random.default_rng((self._seed, 1, draw))
        sample = self._frames[self._order[position]]
        return self._encode(sample, view(sample, *self._size, self._augmentation, rng))


class FromStep(Sampler[list[int]]):
    """The batches of one process, from a step on, without end: processes share a step's draws between them."""

    def __init__(self, step: int, batch: int, rank: int, processes: int) -> None:
        self._step, self._batch, self._rank, self._processes = step, batch, rank, processes

    def __iter__(self) -> Iterator[list[int]]:
        step = self._step
        while True:
            first = (step * self._processes + self._rank) * self._batch
            yield list(range(first, first + self._batch))
            step += 1


def loader(
    draws: Dataset[Any],
    steps: FromStep,
    workers: int,
    pinned: bool,
    collate: Callable[[list[Any]], Any] | None = None,
) -> "DataLoader[Any]":
    """The batches of the steps, prepared in `workers` processes, in this one when 0.  pinned: for a GPU.

    Processes come from a fork server: one forked from a process with threads (those of numba, of DDS) may wait for
    ever for a lock that a thread held, and one that is spawned takes its interpreter down at the end under the thread
    that hands its batches over, which aborts it now and then.
    """
    return DataLoader(
        draws,
        batch_sampler=steps,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pinned,
        persistent_workers=workers > 0,
        multiprocessing_context="forkserver" if workers else None,
        generator=torch.Generator(),  # of its own: torch's is the dropout's, and goes on where a checkpoint was
    )
