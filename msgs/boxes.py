"""Boxes3D <-> vision_msgs/Detection3DArray. Quaternions begin and end here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.errors import InputError


def detection_array(boxes: Boxes3D, header: Any) -> Any:
    """N boxes -> Detection3DArray with N detections, each with the header and one result.

    A detection's pose is the geometric centre and turns (length, left, up) into the frame of the header, so its size
    (length, width, height) is along the box's own x, y, z, in optical frames too. class_id is the class's name.
    """
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    detections = []
    orientation = _orientation(boxes).tolist()
    rows = zip(
        boxes.names(), boxes.score.tolist(), boxes.center.tolist(), orientation, boxes.size.tolist(), strict=True
    )
    for name, score, center, quaternion, size in rows:
        # Filled in, as they come with all their parts: parts that are given cost as much again.
        result = ObjectHypothesisWithPose()
        detection = Detection3D(header=header, results=[result])
        pose, extent = detection.bbox.center, detection.bbox.size
        pose.position.x, pose.position.y, pose.position.z = center
        pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = quaternion
        extent.x, extent.y, extent.z = size
        result.hypothesis.class_id, result.hypothesis.score = name, score
        result.pose.pose = pose
        detections.append(detection)
    return Detection3DArray(header=header, detections=detections)


def _orientation(boxes: Boxes3D) -> np.ndarray:
    """(N, 4) quaternions x y z w of `boxes.rotation()`: a turn by yaw about the frame's up axis, in an optical frame
    after the quarter turn about x that brings z up to -y."""
    sin, cos, zero = np.sin(boxes.yaw / 2), np.cos(boxes.yaw / 2), np.zeros(len(boxes))
    if boxes.axes is Axes.BODY:
        return np.stack([zero, zero, sin, cos], -1)
    return np.sqrt(0.5) * np.stack([cos, sin, -sin, cos], -1)


def read_detections(message: Any, axes: Axes = Axes.OPTICAL, classes: Sequence[str] | None = None) -> Boxes3D:
    """A Detection3DArray, of rclpy or rosbags, -> Boxes3D in the frame of its header.

    axes: the kind of that frame.  classes: the class list; by default the names that occur, sorted.
    A box keeps its heading and loses roll and pitch. Raises InputError for a detection without result, or of a class
    that is not listed.
    """
    detections = list(message.detections)
    if any(len(d.results) == 0 for d in detections):
        raise InputError("results of a detection", "empty", "at least one hypothesis", "Check who published it.")
    best = [max(d.results, key=lambda r: r.hypothesis.score).hypothesis for d in detections]
    names = tuple(classes) if classes is not None else tuple(sorted({h.class_id for h in best}))
    unknown = {h.class_id for h in best} - set(names)
    if unknown:
        raise InputError("class of a detection", sorted(unknown), f"one of {names}", "Name its own classes.")
    if not detections:
        return Boxes3D.empty(names, axes)
    poses = [d.bbox.center for d in detections]
    orientations = np.array([[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in poses])
    heading = Rotation.from_quat(orientations).as_matrix()[:, :, 0]
    optical = axes is Axes.OPTICAL
    return Boxes3D(
        center=np.array([[p.position.x, p.position.y, p.position.z] for p in poses]),
        size=np.array([[d.bbox.size.x, d.bbox.size.y, d.bbox.size.z] for d in detections]),
        yaw=np.arctan2(-heading[:, 2] if optical else heading[:, 1], heading[:, 0]),
        label=np.array([names.index(h.class_id) for h in best]),
        score=np.array([h.score for h in best]),
        box2d=np.full((len(detections), 4), np.nan),
        classes=names,
        axes=axes,
    )


def label_info(classes: Sequence[str], threshold: float, header: Any) -> Any:
    """The class list and score threshold in force, as vision_msgs/LabelInfo; publish it latched."""
    from vision_msgs.msg import LabelInfo, VisionClass

    class_map = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(classes)]
    return LabelInfo(header=header, class_map=class_map, threshold=float(threshold))
