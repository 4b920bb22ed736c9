"""LiDAR frames with truth, of any of the data sets that are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxbox.bag.samples import projected
from voxbox.evaluation.sources import prefixes
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import Calibration, Labels, from_boxes
from voxbox_core.datasets.kitti_rig import KittiRig, to_camera
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_formats import FORMATS, Folder, read_frame
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class ImageTruth:
    """What KITTI judges by: the part of the world that its camera sees.  labels: the frame's rows."""

    labels: Labels
    calibration: Calibration
    camera: Camera
    camera_from_lidar: np.ndarray

    def seen(self, boxes: Boxes3D) -> tuple[Boxes3D, Labels]:
        """The boxes of the LiDAR frame that the camera sees, and their rows, with what they cover of the image."""
        before = to_camera(boxes, self.camera_from_lidar)
        box2d, truncation = projected(before, self.camera)
        inside = truncation < 1
        return boxes[inside], from_boxes(replace(before, box2d=box2d)[inside], self.calibration)


@dataclass(frozen=True)
class LabelledFrame:
    """One frame to detect in.  image: KITTI's truth, None in other data sets."""

    sample: RigSample
    truth: Boxes3D
    image: ImageTruth | None = None


@dataclass(frozen=True)
class LabelledFrames:
    """frames: to be read once, one by one.  count: how many at most; those without truth are skipped.

    notes: what was left out, in words for the user.
    """

    count: int
    frames: Iterator[LabelledFrame]
    notes: tuple[str, ...] = ()


def labelled_frames(
    roots: Sequence[Path],
    kind: str,
    names: Sequence[str] | None,
    limit: int | None,
    sweeps: int,
    views: bool = False,
) -> LabelledFrames:
    """The labelled frames of folders of one kind of FORMATS as one set, the first `limit` of them.

    names: the frames to read, all when None.  sweeps: clouds to put together.  views: whether to read images too.
    Of several folders, a frame's name begins with its folder's. Raises InputError where a folder is not what it should
    be or lacks a name.
    """
    folders = [FORMATS[kind](root, sweeps) for root in roots]
    places = []
    for prefix, folder in zip(prefixes(roots), folders):
        chosen = range(len(folder)) if names is None else [_index(folder, name) for name in names]
        places += [(prefix, folder, i) for i in chosen]
    places = places[:limit]
    without = sum(folder.skipped for folder in folders if isinstance(folder, KittiRig))
    notes = (f"{without} frames without a cloud are left out",) if without else ()
    frames = (frame for place in places if (frame := _frame(*place, views)) is not None)
    return LabelledFrames(len(places), frames, notes)


def _index(folder: Folder, name: str) -> int:
    if name not in folder.names:
        raise InputError(f"frame {name}", "absent", "a frame of every folder", "Check the frame list.")
    return folder.names.index(name)


def _frame(prefix: str, folder: Folder, index: int, views: bool) -> LabelledFrame | None:
    """None where nobody labelled."""
    sample = read_frame(folder, index, views)
    boxes = sample.boxes
    if boxes is None:
        return None
    sample = replace(sample, name=prefix + sample.name)
    if not isinstance(folder, KittiRig):
        return LabelledFrame(sample, boxes)
    labels = folder.labels(index)
    assert labels is not None  # there were boxes
    camera_from_lidar = folder.camera_from_lidar(index)
    image = ImageTruth(labels, folder.calibration(index), folder.camera(index), camera_from_lidar)
    return LabelledFrame(sample, boxes, image)
