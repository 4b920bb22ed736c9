"""What somebody clicked and accepted in a bag, as truth and prompts of its samples."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from point_detr3d_ros.detector import SAME_PLACE
from point_detr3d_ros.label_file import SAME_MOMENT, AcceptedBox, labels_by_stamp
from voxbox.bag.rig import Moment, RigReader
from voxbox_core.boxes import Axes, Boxes3D, iou_bev
from voxbox_core.datasets.rig import Prompts, RigSample, points_in_boxes
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class Complete:
    """In which frames every object has been clicked, so that what has no box there is none.

    every: in all that have a click.  names: in these, also where there is no click because there is no object.
    """

    every: bool = False
    names: Collection[str] = ()

    def holds(self, name: str, clicked: bool) -> bool:
        return name in self.names or (self.every and clicked)


class Clicked:
    """The boxes of a label file.  met: (N,) bool, those that a cloud's stamp has been found for."""

    def __init__(self, boxes: Collection[AcceptedBox]) -> None:
        self.boxes = tuple(boxes)
        self.classes = tuple(sorted({box.class_name for box in self.boxes}))
        self.met = np.zeros(len(self.boxes), bool)
        self._stamps = np.array([box.stamp for box in self.boxes])

    def at(self, stamp: float) -> tuple[AcceptedBox, ...]:
        """Those accepted at a cloud's stamp, s, in their order."""
        mine = np.abs(self._stamps - stamp) < SAME_MOMENT
        self.met |= mine
        return tuple(self.boxes[i] for i in np.flatnonzero(mine))

    def labelled(self, moment: Moment, reader: RigReader, complete: Complete) -> RigSample:
        """The sample with its prompts, and where its frame is complete with their boxes as truth; with the bag's own
        truth it keeps that. Raises InputError for boxes in a frame that no transform leads from."""
        sample = moment.sample
        assert sample.stamp is not None
        mine = self.at(sample.stamp)
        whole = complete.holds(sample.name, clicked=len(mine) > 0)
        if not mine and not whole:
            return sample
        boxes, prompts = self._placed(mine, moment, reader)
        if sample.boxes is not None or not whole:
            return replace(sample, prompts=prompts)
        hits = points_in_boxes(sample.points, boxes).sum(1)
        return replace(sample, boxes=boxes, hits=hits, prompts=prompts)

    def _placed(self, accepted: tuple[AcceptedBox, ...], moment: Moment, reader: RigReader) -> tuple[Boxes3D, Prompts]:
        """In the sample's frame. Of two boxes at one place the later counts: it corrects the earlier."""
        boxes, points = [Boxes3D.empty(self.classes, Axes.BODY)], [np.zeros((0, 3))]
        for one in accepted:
            pose = reader.sample_from(one.frame_id, moment)
            if pose is None:
                what = f"frame of the box accepted at {one.stamp:.6f} s"
                expected = f"{moment.lidar!r}, or one tied to it by tf"
                raise InputError(what, repr(one.frame_id), expected, "Use the labels of this bag, or record tf_static.")
            box, click = labels_by_stamp([one], one.stamp, self.classes)
            boxes.append(box.transformed(pose[:3, :3], pose[:3, 3], Axes.BODY))
            points.append(click.points @ pose[:3, :3].T + pose[:3, 3])
        found = Boxes3D.concatenate(boxes)
        kept = np.flatnonzero(~np.triu(iou_bev(found, found) > SAME_PLACE, 1).any(1))
        return found[kept], Prompts(np.concatenate(points)[kept], found.label[kept], self.classes)


def same_labels(stored: RigSample, sample: RigSample) -> bool:
    """Whether two samples have the same boxes and prompts, however their classes are numbered."""
    return _written(stored) == _written(sample)


def _written(sample: RigSample) -> tuple[object, object]:
    boxes, prompts = sample.boxes, sample.prompts
    return (
        None if boxes is None else (boxes.names(), boxes.center.tolist(), boxes.size.tolist(), boxes.yaw.tolist()),
        None if prompts is None else ([prompts.classes[i] for i in prompts.label], prompts.points.tolist()),
    )
