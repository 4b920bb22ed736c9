"""A model whose boxes are known, and a vehicle: the node over real DDS in this process, with a peer that drives it."""

import array
import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from onnx import TensorProto, helper, numpy_helper
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection3DArray

from km3d_ros.contract import Contract
from km3d_ros.node import Km3dNode
from voxbox_core.ros.process import spin_once

CONTRACT = Contract(input_width=320, input_height=96)
CENTERS = np.array([[2, 1.5, 20], [-4, 1.6, 30], [0, 1.6, 12]], np.float32)
SIZES = np.array([[4, 1.7, 1.5], [0.8, 0.6, 1.8], [1.7, 0.6, 1.7]], np.float32)
SCORES = np.array([0.9, 0.4, 0.1], np.float32)


@pytest.fixture(scope="session")
def known_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Car, a Pedestrian and a Cyclist at CENTERS plus the image's mean red, green, blue (0..1 m), yaw = fx / 1000."""
    path = tmp_path_factory.mktemp("models") / "known.onnx"
    values = {
        "base": CENTERS[None],
        "size_": SIZES[None],
        "score_": SCORES[None],
        "label_": np.array([[0, 1, 2]], np.int64),
        "box2d_": np.array([[[100, 50, 200, 100], [10, 50, 30, 90], [0, 0, 5, 5]]], np.float32),
        "keypoints_": np.zeros((1, 3, 9, 2), np.float32),
        "depth_": np.zeros((1, 3, 2), np.float32),
        "none": np.zeros((1, 3), np.float32),
        "rows_and_columns": np.array([1, 2], np.int64),
        "all": np.array([0, 1, 2], np.int64),
        "brightest": np.float32(255),
        "thousand": np.float32(1000),
        "one_row": np.array([1, 1, 3], np.int64),
    }
    steps = [
        ("Cast", ["image"], "pixels", {"to": TensorProto.FLOAT}),
        ("ReduceMean", ["pixels", "rows_and_columns"], "sum", {"keepdims": 0}),
        ("Div", ["sum", "brightest"], "flat", {}),
        ("Reshape", ["flat", "one_row"], "colour", {}),
        ("Add", ["base", "colour"], "center", {}),
        ("ReduceMax", ["intrinsics", "all"], "focal", {"keepdims": 0}),
        ("Div", ["focal", "thousand"], "angle", {}),
        ("Add", ["none", "angle"], "yaw", {}),
        ("ReduceSum", ["grid_to_image", "all"], "affine", {"keepdims": 0}),
        ("Mul", ["affine", "none"], "nothing", {}),
        ("Add", ["score_", "nothing"], "score", {}),
        *(("Identity", [f"{name}_"], name, {}) for name in ("size", "label", "box2d", "keypoints", "depth")),
    ]
    shapes = {"image": [1, CONTRACT.input_height, CONTRACT.input_width, 3], "intrinsics": [1, 3, 3]}
    shapes["grid_to_image"] = [1, 2, 3]
    outputs = {"center": [1, 3, 3], "size": [1, 3, 3], "yaw": [1, 3], "score": [1, 3], "label": [1, 3]}
    outputs |= {"box2d": [1, 3, 4], "keypoints": [1, 3, 9, 2], "depth": [1, 3, 2]}
    types = {"image": TensorProto.UINT8, "label": TensorProto.INT64}
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output], **options) for kind, inputs, output, options in steps],
        "known_boxes",
        [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"system": "km3d", "contract": CONTRACT.to_json()})
    onnx.save(model, path)
    return path


WIDTH, HEIGHT, FOCAL = CONTRACT.input_width, CONTRACT.input_height, 250.0
RED = np.full((HEIGHT, WIDTH, 3), [255, 0, 0], np.uint8)
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LIMIT = 30.0  # s that anything may take on a busy machine
ASK_AGAIN = 2.0  # s


class Vehicle:
    """The node under test, spinning in a thread, and a peer that talks to it from another DDS participant."""

    def __init__(self, **parameters: object) -> None:
        self.contexts = [rclpy.Context(), rclpy.Context()]
        for context in self.contexts:
            rclpy.init(context=context)
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = Km3dNode(context=self.contexts[0], parameter_overrides=overrides)
        self.peer = Node("peer", context=self.contexts[1])
        self.executor = SingleThreadedExecutor(context=self.contexts[0])
        self.executor.add_node(self.node)
        self.listener = SingleThreadedExecutor(context=self.contexts[1])
        self.listener.add_node(self.peer)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.detections = self.hear(Detection3DArray, "detections")
        self.diagnostics = self.hear(DiagnosticArray, "/diagnostics")
        self._calibrations = self.peer.create_publisher(CameraInfo, "camera_info", RELIABLE)
        self._images: dict[tuple[type, str], Any] = {}
        self._clients: dict[str, Any] = {}

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

    def show(self, image: Any, topic: str = "image") -> None:
        """Publish an image once the node listens to it."""
        key = type(image), topic
        if key not in self._images:
            self._images[key] = self.peer.create_publisher(*key, RELIABLE)
        publisher = self._images[key]
        assert self.until(lambda: self._heard(publisher) and self._would_arrive())
        publisher.publish(image)

    def calibrate(self, message: Any = None) -> None:
        assert self.until(lambda: self._heard(self._calibrations))
        before = self.node._calibrations._recent
        self._calibrations.publish(self.camera_info() if message is None else message)
        assert self.until(lambda: self.node._calibrations._recent is not before)

    def _would_arrive(self) -> bool:
        """Whether the peer gets what the node publishes: an answer to a message that comes too early would be lost."""
        heard = {subscription.topic_name for subscription in self.peer.subscriptions}
        return all(p.get_subscription_count() for p in self.node.publishers if p.topic_name in heard)

    def _heard(self, publisher: Any) -> bool:
        """Whether the node has settled on the publisher's topic, type and reliability."""
        listeners = self.peer.get_subscriptions_info_by_topic(publisher.topic_name)
        reliable = [i for i in listeners if i.qos_profile.reliability is ReliabilityPolicy.RELIABLE]
        return bool(reliable) and publisher.get_subscription_count() > 0

    def detect(self, message: Any, topic: str = "image") -> Any:
        """The detections of an image."""
        count = len(self.detections)
        self.show(message, topic)
        assert self.until(lambda: len(self.detections) > count), self.diagnostics[-1:]
        return self.detections[-1]

    def says(self, text: str) -> bool:
        """Whether the diagnostics come to say so."""
        return self.until(lambda: any(text in d.status[0].message for d in self.diagnostics))

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
        return self.call(
            ChangeState, "km3d/change_state", ChangeState.Request(transition=Transition(id=transition))
        ).success

    def state(self) -> str:
        return self.call(GetState, "km3d/get_state", GetState.Request()).current_state.label

    def set(self, name: str, value: object) -> Any:
        wanted: ParameterMessage = Parameter(name, value=value).to_parameter_msg()
        return self.call(SetParameters, "km3d/set_parameters", SetParameters.Request(parameters=[wanted])).results[0]

    @staticmethod
    def now(age: float = 0.0) -> Any:
        """The stamp of `age` seconds ago."""
        return (rclpy.clock.Clock().now() - rclpy.duration.Duration(seconds=age)).to_msg()

    @staticmethod
    def image(pixels: np.ndarray = RED, encoding: str = "rgb8", frame: str = "camera", stamp: Any = None) -> Image:
        height, width = pixels.shape[:2]
        data = array.array("B", pixels.tobytes())
        message = Image(height=height, width=width, encoding=encoding, step=pixels[0].size, data=data)
        message.header.frame_id, message.header.stamp = frame, stamp or Vehicle.now()
        return message

    @staticmethod
    def jpeg(pixels: np.ndarray = RED) -> CompressedImage:
        data = cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes()
        message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=array.array("B", data))
        message.header.frame_id, message.header.stamp = "camera", Vehicle.now()
        return message

    @staticmethod
    def camera_info(**changes: Any) -> CameraInfo:
        matrix = [FOCAL, 0.0, 160.0, 0.0, FOCAL, 48.0, 0.0, 0.0, 1.0]
        message = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob", d=[0.0] * 5, k=matrix)
        message.header.frame_id = "camera"
        for name, value in changes.items():
            setattr(message, name, value)
        return message


@pytest.fixture
def drive(known_model: Path) -> Iterator[Callable[..., Vehicle]]:
    """Makes a vehicle whose node has the known model and some parameters; at the end every one of them parks."""
    vehicles = []

    def make(**parameters: object) -> Vehicle:
        defaults = {"model": str(known_model), "backend": "onnxruntime", "threads": 1}
        vehicles.append(Vehicle(**(defaults | parameters)))
        return vehicles[-1]

    yield make
    while vehicles:
        vehicles.pop().close()
    gc.collect()  # else it ends their participants in the next test, whose own may then never discover one another
