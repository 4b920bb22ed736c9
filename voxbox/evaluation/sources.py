"""Frames with truth, of KITTI-layout folders or of a bag."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voxbox.bag.samples import samples
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.kitti import Calibration, KittiFolder, Labels, label_rows
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class Frame:
    """One frame to detect in.  truth: its label rows.  calibration: what they are relative to."""

    sample: Sample
    truth: Labels
    calibration: Calibration


@dataclass(frozen=True)
class Frames:
    """frames: to be read once, one by one.  count: how many at most; a bag's frames without truth are skipped.

    notes: what was guessed to find them, in words for the user.
    """

    count: int
    frames: Iterator[Frame]
    notes: tuple[str, ...] = ()


def kitti_frames(roots: Sequence[Path], names: Sequence[str] | None = None, limit: int | None = None) -> Frames:
    """The labelled frames of KITTI-layout folders as one set, the first `limit` of them.

    names: the frames to read, all when None.  Of several folders, a frame's name begins with its folder's.
    Raises InputError where a folder lacks images, calibration or labels.
    """
    folders = [KittiFolder(root, names, points=False) for root in roots]
    for folder in folders:
        if not (folder.root / "label_2").is_dir():
            raise InputError(f"folder {folder.root / 'label_2'}", "absent", "label files", "Give labelled frames.")
    places = [(prefix, folder, i) for prefix, folder in zip(prefixes(roots), folders) for i in range(len(folder))][
        :limit
    ]
    return Frames(len(places), (_kitti_frame(*place) for place in places))


def _kitti_frame(prefix: str, folder: KittiFolder, index: int) -> Frame:
    sample = folder[index]
    truth = folder.labels(index)
    assert truth is not None  # label_2 was there when the set was made
    return Frame(replace(sample, name=prefix + sample.name), truth, folder.calibration(index))


def prefixes(roots: Sequence[Path]) -> list[str]:
    """What tells the frames of one folder from another's: nothing for one, else its name, numbered where alike."""
    if len(roots) == 1:
        return [""]
    places = [root.resolve() for root in roots]
    for place in places:
        if places.count(place) > 1:
            raise InputError(f"folder {place}", "given twice", "each folder once", "Leave one out.")
    names = [place.name for place in places]
    return [f"{n}_" if names.count(n) == 1 else f"{n}{i}_" for i, n in enumerate(names)]


def bag_frames(
    path: Path, limit: int | None = None, image: str | None = None, camera_info: str | None = None
) -> Frames:
    """The frames of a bag that have truth, among its first `limit`.

    image, camera_info: topics, found by type when None.
    Raises InputError when the bag holds no truth, or as `find_topics` does.
    """
    with Bag(path) as bag:
        topics = find_topics(bag, image, camera_info)
    if topics.labels is None and topics.truth is None:
        raise InputError(
            f"truth in {path}",
            "absent",
            "KITTI labels as String or boxes as Detection3DArray beside the images",
            "Evaluate a labelled recording; `voxbox bag info` shows what this one holds.",
        )
    count = topics.image.count if limit is None else min(limit, topics.image.count)

    def read() -> Iterator[Frame]:
        with Bag(path) as bag:
            for sample in samples(bag, topics, limit):
                if sample.boxes is not None:
                    calibration = Calibration.of_camera(sample.camera.intrinsics)
                    yield Frame(sample, label_rows(sample, calibration), calibration)

    return Frames(count, read(), topics.notes)
