"""Fills a buffer from the topics of transforms."""

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from .buffer import Buffer

DEPTH = 100


class TransformListener:
    """Subscribes to /tf and /tf_static for as long as it lives."""

    def __init__(self, buffer: Buffer, node: Node) -> None:
        self.buffer, self.node = buffer, node
        latched = QoSProfile(depth=DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.tf_sub = node.create_subscription(TFMessage, "/tf", self.callback, QoSProfile(depth=DEPTH))
        self.tf_static_sub = node.create_subscription(TFMessage, "/tf_static", self.static_callback, latched)

    def callback(self, data: TFMessage) -> None:
        for transform in data.transforms:
            self.buffer.set_transform(transform, "default_authority")

    def static_callback(self, data: TFMessage) -> None:
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, "default_authority")

    def unregister(self) -> None:
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)
