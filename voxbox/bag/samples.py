"""A bag as a data set: its frames as Samples, rectified, with truth in the camera's frame."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from msgs.boxes import read_detections
from msgs.cameras import fitted, read_calibration, rectified
from msgs.clouds import read_points
from msgs.images import read_image
from voxbox.bag.transforms import StaticTransforms
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, DriveTopics, Frame, frames
from voxbox_core.datasets.kitti import DONT_CARE, Calibration, has_box, parse_labels, to_boxes
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError

_NEAR = 0.1  # m: what is nearer has no pixels


def samples(bag: Bag, topics: DriveTopics, limit: int | None = None) -> Iterator[Sample]:
    """The first `limit` frames as Samples, named by their number, with stamps in seconds.

    Raises InputError when there is no camera_info, or an image or calibration cannot be read.
    """
    transforms = StaticTransforms(bag, topics)
    for frame in frames(bag, topics, limit):
        yield sample_of(bag, frame, transforms)


def sample_of(bag: Bag, frame: Frame, transforms: StaticTransforms) -> Sample:
    """One frame as a Sample."""
    if frame.camera_info is None:
        raise InputError(
            f"camera_info for {frame.image.topic} in {bag.path}",
            "absent",
            "a CameraInfo topic",
            "Record it, or name it with --camera-info-topic.",
        )
    message = bag.decode(frame.image)
    taken = read_image(message)
    calibration = fitted(read_calibration(bag.decode(frame.camera_info)), taken.shape[1], taken.shape[0])
    camera, rectify = rectified(calibration)
    sample = Sample(
        name=f"{frame.index:06d}",
        image=np.ascontiguousarray(rectify(taken)),
        camera=camera,
        stamp=frame.image.stamp / 1e9,
    )
    sample = _with_points(sample, bag, frame, message.header.frame_id, transforms)
    if frame.labels is not None:
        return _with_labels(sample, bag.decode(frame.labels).data, f"{frame.labels.topic}, frame {frame.index}")
    if frame.truth is not None:
        return _with_boxes(sample, bag, frame, message.header.frame_id, transforms)
    return sample


def _with_points(sample: Sample, bag: Bag, frame: Frame, camera_frame: str, transforms: StaticTransforms) -> Sample:
    if frame.points is None:
        return sample
    message = bag.decode(frame.points)
    pose = transforms.between(message.header.frame_id, camera_frame, frame.image.time)
    return replace(sample, points=read_points(message), lidar_to_camera=pose)


def _with_labels(sample: Sample, text: str, source: str) -> Sample:
    """Truth from the KITTI rows that `write_drive` records beside the boxes."""
    labels = parse_labels(text, source)
    rows = labels[has_box(labels)]
    return replace(
        sample,
        boxes=to_boxes(labels, Calibration.of_camera(sample.camera.intrinsics)),
        truncation=rows.truncation,
        occlusion=rows.occlusion,
        dont_care=labels.box2d[labels.type == DONT_CARE],
    )


def _with_boxes(sample: Sample, bag: Bag, frame: Frame, camera_frame: str, transforms: StaticTransforms) -> Sample:
    """Truth from a Detection3DArray, which knows no occlusion: all that is in the image counts as visible."""
    assert frame.truth is not None
    message = bag.decode(frame.truth)
    if message.header.frame_id in (camera_frame, ""):
        boxes = read_detections(message, Axes.OPTICAL)
    else:
        pose = transforms.between(message.header.frame_id, camera_frame, frame.image.time)
        if pose is None:
            raise InputError(
                f"frame of {frame.truth.topic}",
                repr(message.header.frame_id),
                f"{camera_frame!r}, or one that tf_static ties to it",
                "Record tf_static.",
            )
        boxes = read_detections(message, Axes.BODY).transformed(pose[:3, :3], pose[:3, 3], Axes.OPTICAL)
    box2d, truncation = projected(boxes, sample.camera)
    seen = truncation < 1
    return replace(
        sample,
        boxes=replace(boxes, box2d=box2d)[seen],
        truncation=truncation[seen],
        occlusion=np.zeros(seen.sum(), np.int64),
    )


def projected(boxes: Boxes3D, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in the camera's frame -> (N, 4) their rectangles within the image, px, and (N,) truncation.

    Truncation is the part of the whole rectangle that is outside of the image; 1 for what is not in it at all.
    """
    corners = boxes.corners()
    corners[..., 2] = np.maximum(corners[..., 2], _NEAR)
    pixels, _ = camera.project(corners)
    low, high = pixels.min(1), pixels.max(1)
    border = np.array([camera.width - 1, camera.height - 1])
    inner_low, inner_high = np.clip(low, 0, border), np.clip(high, 0, border)
    whole, inner = (high - low).prod(-1), (inner_high - inner_low).prod(-1)
    truncation = np.where(boxes.center[:, 2] > _NEAR, 1 - inner / np.maximum(whole, 1e-9), 1.0)
    return np.hstack([inner_low, inner_high]), truncation
