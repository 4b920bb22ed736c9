"""A vehicle: a node over real DDS in this process, and a peer that drives it."""

import array
import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from voxbox_core.ros.process import spin_once

RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LIMIT = 30.0  # s that anything may take on a busy machine
ASK_AGAIN = 2.0  # s


class Vehicle:
    """The node under test, spinning in a thread, and a peer that talks to it from another DDS participant.

    A system's own says which node it is, and hears and shows what that one needs.
    """

    NODE: Any

    def __init__(self, **parameters: object) -> None:
        self.contexts = [rclpy.Context(), rclpy.Context()]
        for context in self.contexts:
            rclpy.init(context=context)
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = self.NODE(context=self.contexts[0], parameter_overrides=overrides)
        self.peer = Node("peer", context=self.contexts[1])
        self.executor = SingleThreadedExecutor(context=self.contexts[0])
        self.executor.add_node(self.node)
        self.listener = SingleThreadedExecutor(context=self.contexts[1])
        self.listener.add_node(self.peer)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.diagnostics = self.hear(DiagnosticArray, "/diagnostics")
        self._publishers: dict[tuple[type, str], Any] = {}
        self._clients: dict[str, Any] = {}
        self._mounts: list[TransformStamped] = []

    def _spin(self) -> None:
        while not self._stop.is_set():
            spin_once(self.executor)

    def close(self) -> None:
        self.node.finish()
        ended = self.until(lambda: self.node.finished)
        self._stop.set()
        self._thread.join(LIMIT)
        self.node.destroy_node()
        self.peer.destroy_node()
        for context in self.contexts:
            context.try_shutdown()
        assert ended

    def hear(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> list[Any]:
        heard: list[Any] = []
        self.peer.create_subscription(kind, topic, heard.append, qos)
        return heard

    def until(self, holds: Callable[[], object], timeout: float = LIMIT) -> bool:
        end = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > end:
                return False
            self.listener.spin_once(timeout_sec=0.02)
        return True

    def publish(self, topic: str, message: Any) -> None:
        """Publish a message once the node listens to it, reliably."""
        key = type(message), topic
        if key not in self._publishers:
            self._publishers[key] = self.peer.create_publisher(*key, RELIABLE)
        publisher = self._publishers[key]
        assert self.until(lambda: self.heard(publisher) and self._would_arrive()), topic
        publisher.publish(message)

    def answer(self, heard: list[Any], topic: str, message: Any) -> Any:
        """What comes next on a topic that is heard, after a message has been published on another."""
        count = len(heard)
        self.publish(topic, message)
        assert self.until(lambda: len(heard) > count), self.diagnostics[-1:]
        return heard[-1]

    def _would_arrive(self) -> bool:
        """Whether the peer gets what the node publishes: an answer to a message that comes too early would be lost."""
        heard = {subscription.topic_name for subscription in self.peer.subscriptions}
        return all(p.get_subscription_count() for p in self.node.publishers if p.topic_name in heard)

    def heard(self, publisher: Any) -> bool:
        """Whether the node has settled on the publisher's topic, type and reliability."""
        listeners = self.peer.get_subscriptions_info_by_topic(publisher.topic_name)
        reliable = [i for i in listeners if i.qos_profile.reliability is ReliabilityPolicy.RELIABLE]
        return bool(reliable) and publisher.get_subscription_count() > 0

    def says(self, text: str) -> bool:
        """Whether the diagnostics come to say so."""
        return self.until(lambda: any(text in d.status[0].message for d in self.diagnostics))

    def tells(self, key: str) -> Callable[[], str | None]:
        """The value of the newest diagnostics."""
        return lambda: {p.key: p.value for d in self.diagnostics[-1:] for p in d.status[0].values}.get(key)

    def call(self, kind: type, name: str, request: Any) -> Any:
        """The first answer of a service, which is asked again while there is none.

        rmw_fastrtps calls a service ready as soon as it has heard of it. What is sent before writer and reader have
        matched too is lost: in half of all cases where the first request follows the node's start at once.
        """
        client = self._clients.get(name) or self._clients.setdefault(name, self.peer.create_client(kind, name))
        assert self.until(client.service_is_ready)
        assert self.until(lambda: self.node.count_clients(client.srv_name))  # else the answer would be lost
        asked: list[Any] = []
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            asked.append(client.call_async(request))
            if self.until(lambda: any(future.done() for future in asked), ASK_AGAIN):
                return next(future.result() for future in asked if future.done())
        raise AssertionError(f"{name} does not answer")

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(ChangeState, f"{self.node.get_name()}/change_state", request).success

    def state(self) -> str:
        return self.call(GetState, f"{self.node.get_name()}/get_state", GetState.Request()).current_state.label

    def set(self, name: str, value: object) -> Any:
        wanted: ParameterMessage = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[wanted])
        return self.call(SetParameters, f"{self.node.get_name()}/set_parameters", request).results[0]

    def mount(
        self, child: str, parent: str, translation: Sequence[float], rotation: Sequence[float] = (0, 0, 0, 1)
    ) -> None:
        """Tell /tf_static where a frame is; the node knows it when this returns."""
        transform = TransformStamped(child_frame_id=child)
        transform.header.frame_id = parent
        t, q = transform.transform.translation, transform.transform.rotation
        t.x, t.y, t.z = map(float, translation)
        q.x, q.y, q.z, q.w = map(float, rotation)
        self._mounts.append(transform)
        key = TFMessage, "/tf_static"
        if key not in self._publishers:
            self._publishers[key] = self.peer.create_publisher(*key, LATCHED)
        self._publishers[key].publish(TFMessage(transforms=self._mounts))
        assert self.until(lambda: self._knows(parent, child))

    def _knows(self, parent: str, child: str) -> bool:
        transforms = self.node._transforms
        return transforms is not None and transforms._buffer.can_transform(parent, child, rclpy.time.Time())

    @staticmethod
    def now(age: float = 0.0) -> Any:
        """The stamp of `age` seconds ago."""
        return (rclpy.clock.Clock().now() - rclpy.duration.Duration(seconds=age)).to_msg()


def image(pixels: np.ndarray, encoding: str = "rgb8", frame: str = "camera", stamp: Any = None) -> Image:
    """A message of these pixels (H, W, C), of now where no stamp is given."""
    height, width = pixels.shape[:2]
    data = array.array("B", pixels.tobytes())
    message = Image(height=height, width=width, encoding=encoding, step=pixels[0].nbytes, data=data)
    message.header.frame_id, message.header.stamp = frame, stamp or Vehicle.now()
    return message


class CameraVehicle(Vehicle):
    """A car with one camera, whose lens draws straight lines and which sees red.

    WIDTH, HEIGHT: px of its images.
    """

    WIDTH: int
    HEIGHT: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._calibrations = self.peer.create_publisher(CameraInfo, "camera_info", RELIABLE)

    def show(self, message: Any, topic: str = "image") -> None:
        """Publish an image once the node listens to it."""
        self.publish(topic, message)

    def calibrate(self, message: Any = None) -> None:
        """Publish a camera_info, and wait until the node has it."""
        assert self.until(lambda: self.heard(self._calibrations))
        before = self.node._view.calibrations._recent
        self._calibrations.publish(self.camera_info() if message is None else message)
        assert self.until(lambda: self.node._view.calibrations._recent is not before)

    @classmethod
    def image(cls, pixels: np.ndarray | None = None, *details: Any, **named: Any) -> Image:
        """As the function `image`."""
        return image(cls._red() if pixels is None else pixels, *details, **named)

    @classmethod
    def jpeg(cls) -> CompressedImage:
        data = cv2.imencode(".jpg", cls._red()[..., ::-1])[1].tobytes()
        message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=array.array("B", data))
        message.header.frame_id, message.header.stamp = "camera", cls.now()
        return message

    @classmethod
    def camera_info(
        cls,
        focal: float = 250.0,
        x: float | None = None,
        width: int | None = None,
        height: int | None = None,
        **changes: Any,
    ) -> CameraInfo:
        """px; the middle of the image, and its own size, where not given.  changes: fields of the message."""
        width, height = cls.WIDTH if width is None else width, cls.HEIGHT if height is None else height
        center = (width - 1) / 2 if x is None else x
        matrix = [focal, 0.0, center, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
        message = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5, k=matrix)
        message.header.frame_id = "camera"
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    @classmethod
    def _red(cls) -> np.ndarray:
        return np.full((cls.HEIGHT, cls.WIDTH, 3), [255, 0, 0], np.uint8)


Driven = TypeVar("Driven", bound=Vehicle)


@contextmanager
def garage(kind: type[Driven], **defaults: object) -> Iterator[Callable[..., Driven]]:
    """Makes vehicles with these parameters where a test gives no others; at the end every one of them parks."""
    vehicles: list[Driven] = []

    def make(**parameters: object) -> Driven:
        vehicles.append(kind(**(defaults | parameters)))
        return vehicles[-1]

    yield make
    while vehicles:
        vehicles.pop().close()
    gc.collect()  # else it ends their participants in the next test, whose own may then never discover one another
