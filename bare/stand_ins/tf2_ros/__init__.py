"""Stand-in for the part of ROS 2 `tf2_ros` that voxbox uses. Whatever is not here raises."""

from .broadcasters import StaticTransformBroadcaster, TransformBroadcaster
from .buffer import Buffer
from .exceptions import ConnectivityException, ExtrapolationException, LookupException, TransformException
from .transform_listener import TransformListener

__all__ = [
    "Buffer",
    "ConnectivityException",
    "ExtrapolationException",
    "LookupException",
    "StaticTransformBroadcaster",
    "TransformBroadcaster",
    "TransformException",
    "TransformListener",
]
