"""Message definitions of bags: those of ROS 2 Jazzy, and of vision_msgs, which rosbags does not carry."""

from functools import cache
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

# The parts of vision_msgs 4.1 (ros-perception/vision_msgs) that perception publishes, by field name and type.
VISION_MSGS = {
    "ObjectHypothesis": "string class_id\nfloat64 score\n",
    "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n",
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n",
    "BoundingBox3DArray": "std_msgs/Header header\nBoundingBox3D[] boxes\n",
    "Detection3D": "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\nstring id\n",
    "Detection3DArray": "std_msgs/Header header\nDetection3D[] detections\n",
    "VisionClass": "uint16 class_id\nstring class_name\n",
    "LabelInfo": "std_msgs/Header header\nVisionClass[] class_map\nfloat32 threshold\n",
}

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
POINTS = "sensor_msgs/msg/PointCloud2"
DETECTIONS = "vision_msgs/msg/Detection3DArray"
TF = "tf2_msgs/msg/TFMessage"
STRING = "std_msgs/msg/String"


@cache
def typestore() -> Typestore:
    """All definitions at hand; made once per process."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in VISION_MSGS.items():
        store.register(get_types_from_msg(definition, f"vision_msgs/msg/{name}"))
    return store


def new(msgtype: str, **fields: Any) -> Any:
    """A message of a type such as "std_msgs/msg/String", every field given."""
    return typestore().types[msgtype](**fields)
