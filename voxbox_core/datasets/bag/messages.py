"""Arrays -> messages of bags (rosbags' message classes). Stamps are int nanoseconds."""

from collections.abc import Mapping

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag.types import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    DETECTIONS,
    IMAGE,
    POINTS,
    STRING,
    TF,
    new,
)
from voxbox_core.errors import InputError

JPEG_QUALITY = 90
_FLOAT32 = 7  # sensor_msgs/PointField.FLOAT32


def stamp(nanoseconds: int) -> object:
    return new("builtin_interfaces/msg/Time", sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def header(nanoseconds: int, frame: str) -> object:
    return new("std_msgs/msg/Header", stamp=stamp(nanoseconds), frame_id=frame)


def image(nanoseconds: int, frame: str, rgb: np.ndarray) -> object:
    """(H, W, 3) uint8 RGB -> Image bgr8, what most camera drivers publish."""
    height, width = rgb.shape[:2]
    return new(
        IMAGE,
        header=header(nanoseconds, frame),
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(rgb[..., ::-1]).reshape(-1),
    )


def compressed_image(nanoseconds: int, frame: str, rgb: np.ndarray, kind: str = "jpeg") -> object:
    """(H, W, 3) uint8 RGB -> CompressedImage, `kind` jpeg or png."""
    suffix = {"jpeg": ".jpg", "png": ".png"}.get(kind)
    if suffix is None:
        raise InputError("image compression", repr(kind), "jpeg or png", "Choose one of them.")
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if kind == "jpeg" else []
    _, data = cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]), quality)
    return new(COMPRESSED_IMAGE, header=header(nanoseconds, frame), format=kind, data=data.reshape(-1))


def camera_info(nanoseconds: int, frame: str, camera: Camera) -> object:
    """A rectified camera: K is P's left part, no distortion."""
    region = new("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return new(
        CAMERA_INFO,
        header=header(nanoseconds, frame),
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=camera.intrinsics.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([camera.intrinsics, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def point_cloud(nanoseconds: int, frame: str, points: np.ndarray) -> object:
    """(P, 4) x y z intensity, m -> PointCloud2 with four float32 fields."""
    fields = [
        new("sensor_msgs/msg/PointField", name=name, offset=4 * i, datatype=_FLOAT32, count=1)
        for i, name in enumerate(("x", "y", "z", "intensity"))
    ]
    return new(
        POINTS,
        header=header(nanoseconds, frame),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(points),
        data=np.ascontiguousarray(points, dtype="<f4").view(np.uint8).reshape(-1),
        is_dense=bool(np.isfinite(points).all()),
    )


def transform(nanoseconds: int, parent: str, child: str, child_to_parent: np.ndarray) -> object:
    """(4, 4), the pose of the child frame in its parent -> TFMessage."""
    return transforms(nanoseconds, parent, {child: child_to_parent})


def transforms(nanoseconds: int, parent: str, children: Mapping[str, np.ndarray]) -> object:
    """Poses (4, 4) of child frames in their parent -> TFMessage."""
    return new(TF, transforms=[_stamped(nanoseconds, parent, *item) for item in children.items()])


def _stamped(nanoseconds: int, parent: str, child: str, child_to_parent: np.ndarray) -> object:
    relation = new(
        "geometry_msgs/msg/Transform",
        translation=new("geometry_msgs/msg/Vector3", **_xyz(child_to_parent[:3, 3])),
        rotation=_quaternion(child_to_parent[:3, :3]),
    )
    return new(
        "geometry_msgs/msg/TransformStamped",
        header=header(nanoseconds, parent),
        child_frame_id=child,
        transform=relation,
    )


def detections(nanoseconds: int, frame: str, boxes: Boxes3D) -> object:
    """Boxes in `frame` -> Detection3DArray: class names, centres, sizes as length, width, height."""
    head = header(nanoseconds, frame)
    names, rotations = boxes.names(), boxes.rotation()
    return new(
        DETECTIONS,
        header=head,
        detections=[
            _detection(head, names[i], boxes.score[i], boxes.center[i], boxes.size[i], rotations[i], str(i))
            for i in range(len(boxes))
        ],
    )


def _detection(
    head: object,
    name: str,
    score: float,
    center: np.ndarray,
    size: np.ndarray,
    rotation: np.ndarray,
    identity: str,
) -> object:
    pose = new(
        "geometry_msgs/msg/Pose",
        position=new("geometry_msgs/msg/Point", **_xyz(center)),
        orientation=_quaternion(rotation),
    )
    result = new(
        "vision_msgs/msg/ObjectHypothesisWithPose",
        hypothesis=new("vision_msgs/msg/ObjectHypothesis", class_id=name, score=float(score)),
        pose=new("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)),
    )
    box = new("vision_msgs/msg/BoundingBox3D", center=pose, size=new("geometry_msgs/msg/Vector3", **_xyz(size)))
    return new("vision_msgs/msg/Detection3D", header=head, results=[result], bbox=box, id=identity)


def _xyz(vector: np.ndarray) -> dict[str, float]:
    return {axis: float(v) for axis, v in zip("xyz", vector, strict=True)}


def _quaternion(rotation: np.ndarray) -> object:
    x, y, z, w = (float(v) for v in Rotation.from_matrix(rotation).as_quat(canonical=True))
    return new("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def text(content: str) -> object:
    return new(STRING, data=content)
