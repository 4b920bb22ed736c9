"""What student and teacher are worth so far, on frames that were never learned from."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from torch import nn

from point_detr3d_ros.assist import Assist
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.detector import PointDETR3D
from point_detr3d_ros.student import Deployed, Student
from point_detr3d_ros.teacher import Teacher
from point_detr3d_ros.teacher_deployed import ImagePyramid, LidarPyramid, PromptDecoder
from voxbox.training.point_detr3d.frames import RigFrames, with_boxes
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.prompts import PromptSettings, simulate
from voxbox_core.datasets.rig import RigSample
from voxbox_core.draw_bev import draw_bev
from voxbox_core.errors import InputError
from voxbox_core.metrics.nuscenes import RULES, Frame, evaluate
from voxbox_core.metrics.prompted import boxes_at_clicks, prompted_errors
from voxbox_core.runtime import DeployedModule
from voxbox_core.runtime.torch import Runner

SCORE = 0.02  # average precision looks at the whole ranking
SHOWN_FRAMES = 4
PROMPT_SEED = 1


def chosen_frames(folders: Sequence[str], limit: int, contract: Contract) -> tuple[RigFrames, np.ndarray]:
    """At most `limit` frames with boxes, evenly spread over the folders. Raises InputError where there is none."""
    frames = RigFrames(folders, contract.classes, contract.sweeps)
    labelled = np.flatnonzero(frames.labelled()[0])
    if not len(labelled):
        raise InputError(f"frames with boxes in {', '.join(folders)}", 0, "at least 1", "Validate on labelled frames.")
    spread = np.linspace(0, len(labelled) - 1, min(limit, len(labelled))).round().astype(int)
    return frames, labelled[np.unique(spread)]


def within(sample: RigSample, contract: Contract) -> tuple[Boxes3D, np.ndarray]:
    """The truth of a grounded sample that the network can see at all, and its hits."""
    boxes = with_boxes(sample)
    inside = contract.grid.contains(boxes.center)
    return boxes[inside], sample.hits[inside]


def detector_of(student: Student) -> PointDETR3D:
    """The detector that runs a network in training."""
    deployed = Deployed(student)
    return PointDETR3D(student.contract, Runner(DeployedModule(deployed, deployed.outputs, {})), SCORE)


def assist_of(teacher: Teacher) -> Assist:
    """The prompted detector that runs a network in training."""
    parts = [LidarPyramid(teacher), ImagePyramid(teacher) if teacher.images else None, PromptDecoder(teacher)]
    lidar, image, decoder = (None if p is None else Runner(DeployedModule(p, p.OUTPUTS, {})) for p in parts)
    assert lidar is not None and decoder is not None
    return Assist(teacher.contract, lidar, image, decoder)


def student_validation(
    folders: Sequence[str], limit: int, contract: Contract
) -> Callable[[nn.Module], tuple[dict[str, float], list[np.ndarray]]]:
    """Scores of a student by the rules `street`: mAP, SPNDS, errors, and AP by class."""
    frames, chosen = chosen_frames(folders, limit, contract)

    def validate(network: nn.Module) -> tuple[dict[str, float], list[np.ndarray]]:
        student = cast(Student, network)
        detect = detector_of(student)
        judged: list[Frame] = []
        pictures: list[np.ndarray] = []
        for i in chosen:
            sample = frames.read(int(i), views=False).grounded()
            truth, hits = within(sample, student.contract)
            boxes = detect(sample.points, sample.height)
            judged.append(Frame(truth, boxes, hits))
            if len(pictures) < SHOWN_FRAMES:
                shown = boxes[student.contract.confident(boxes.label, boxes.score)]
                pictures.append(draw_bev(sample.points, shown, truth, student.contract.x[1]))
        result = evaluate(judged, RULES["street"])
        scores = {"mAP": result.mean_ap, "SPNDS": result.spnds}
        scores |= {f"m{name}": result.mean_errors[name] for name in ("ATE", "ASE", "AOE")}
        scores |= {f"AP/{name}": value for name, value in result.class_ap.items()}
        return scores, pictures

    return validate


def teacher_validation(
    folders: Sequence[str], limit: int, contract: Contract, prompts: PromptSettings
) -> Callable[[nn.Module], tuple[dict[str, float], list[np.ndarray]]]:
    """Scores of a teacher by what it makes of clicks: mean IoU seen from above, error of centre and yaw, beside those
    of a box of the class's mean size at the click with the true yaw."""
    frames, chosen = chosen_frames(folders, limit, contract)

    def validate(network: nn.Module) -> tuple[dict[str, float], list[np.ndarray]]:
        teacher = cast(Teacher, network)
        assist = assist_of(teacher)
        found: list[dict[str, np.ndarray]] = []
        pictures: list[np.ndarray] = []
        for i in chosen:
            sample = frames.read(int(i), views=contract.cameras)
            clicks = simulate(sample, prompts, [size[2] for size in contract.mean_sizes], PROMPT_SEED)
            sample = replace(sample, prompts=clicks).grounded()
            assert sample.boxes is not None and sample.prompts is not None
            clicks = sample.prompts
            inside = contract.grid.contains(clicks.points) & (sample.hits > 0)
            if not inside.any():
                continue
            truth, clicks = sample.boxes[inside], clicks[inside]
            boxes = assist.decode(assist.encode(sample.points, sample.height, sample.views), clicks)
            naive = boxes_at_clicks(clicks, contract.mean_sizes, truth.yaw)
            errors, before = prompted_errors(truth, boxes), prompted_errors(truth, naive)
            found.append(
                {"IoU": errors.iou, "centre": errors.center, "yaw": errors.yaw}
                | {"click IoU": before.iou, "click centre": before.center}
            )
            if len(pictures) < SHOWN_FRAMES:
                pictures.append(draw_bev(sample.points, boxes, truth, contract.x[1]))
        scores = {name: float(np.concatenate([f[name] for f in found]).mean()) for name in found[0]} if found else {}
        return scores, pictures

    return validate
