"""Images to calibrate on, evenly spread: those of a drive follow one another, and are much alike."""

from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np

from voxbox.bag.samples import sample_of
from voxbox.bag.transforms import StaticTransforms
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.bag import frames as bag_frames

Sample = TypeVar("Sample", covariant=True)


class Folder(Protocol[Sample]):
    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class Imaged(Protocol):
    @property
    def image(self) -> np.ndarray: ...

    @property
    def camera(self) -> Camera: ...


def spread(folder: Folder[Sample], count: int) -> Iterator[Sample]:
    """`count` samples of a folder, all where it has fewer."""
    return (folder[i] for i in _places(len(folder), count))


def calibration_images(folder: Folder[Imaged] | None, count: int) -> Iterator[tuple[np.ndarray, Camera]]:
    """What int8 is calibrated on: images of the street, and as many of a folder, if there is one."""
    yield from street_images(count)
    if folder is not None:
        yield from ((sample.image, sample.camera) for sample in spread(folder, count))


def street_images(count: int) -> Iterator[tuple[np.ndarray, Camera]]:
    """`count` images of the shipped street drive, (H, W, 3) uint8 RGB, rectified, with their cameras."""
    with Bag(SHIPPED_DRIVE) as bag:
        topics = find_topics(bag)
        recorded, transforms = list(bag_frames(bag, topics)), StaticTransforms(bag, topics)
        for i in _places(len(recorded), count):
            sample = sample_of(bag, recorded[i], transforms)
            yield sample.image, sample.camera


def _places(length: int, count: int) -> list[int]:
    return [round(i) for i in np.linspace(0, length - 1, min(length, count))]
