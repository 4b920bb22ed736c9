"""The fused student: boxes of the student, refined by the teacher's decoder, which looks at the cameras too.

An extension of Point-DETR3D, as TransFusion's second stage (Bai et al., 2022): the student's best boxes are prompts of
the decoder, their classes those of the boxes, and its attention begins with them. The decoder is the one that answers
clicks; a recipe with `rois` trains it for both.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from point_detr3d_ros.assist import MOST_PROMPTS, Assist
from point_detr3d_ros.detector import PointDETR3D
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.rig import View
from voxbox_core.errors import InputError

REACH = 2.0  # m between the centres of a box and of what it was refined to; farther away it is another object's


class Fused:
    """The detector in two stages.

    detector: finds.  assist: refines what was found.  stages: seconds of the last call's parts.
    Raises InputError for models of different classes.
    """

    def __init__(self, detector: PointDETR3D, assist: Assist) -> None:
        if detector.contract.classes != assist.contract.classes:
            classes, wanted = assist.contract.classes, str(detector.contract.classes)
            raise InputError("classes of the assistant", classes, wanted, "Use models that were trained together.")
        self.detector = detector
        self.assist = assist
        self.stages: dict[str, float] = {}

    def __call__(self, points: np.ndarray, height: float, views: Sequence[View] = ()) -> Boxes3D:
        """points, height: as `PointDETR3D` takes them.  views: 0 to 6 cameras around the LiDAR.

        Returns boxes in the LiDAR frame, best first: the student's best MOST_PROMPTS refined, where their scores are
        the geometric means of the student's and the decoder's; the others, and those that would move beyond REACH, as
        the student has them. Raises InputError for points, a height or cameras of another form.
        """
        found = self.detector(points, height)
        self.stages = dict(self.detector.stages)
        if not len(found):
            return found
        encoded = self.assist.encode(points, height, views)
        start = perf_counter()
        best = found[:MOST_PROMPTS]
        boxes = Boxes3D.concatenate([fused(best, self.assist.refine(encoded, best)), found[MOST_PROMPTS:]])
        boxes = self.detector.best_of_each_place(boxes)
        encoding = {name: self.assist.stages[name] for name in ("encode_lidar", "encode_images")}
        self.stages |= encoding | {"refine": perf_counter() - start}
        return boxes


def fused(found: Boxes3D, refined: Boxes3D) -> Boxes3D:
    """Boxes, each as it was refined or, where that is too far away or not finite, as it was found."""
    away = np.linalg.norm(refined.center - found.center, axis=1)
    taken = (away <= REACH) & np.isfinite(refined.yaw)
    return replace(
        found,
        center=np.where(taken[:, None], refined.center, found.center),
        size=np.where(taken[:, None], refined.size, found.size),
        yaw=np.where(taken, refined.yaw, found.yaw),
        score=np.where(taken, np.sqrt(found.score * refined.score), found.score),
    )
