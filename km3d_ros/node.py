"""The lifecycle node `km3d`: camera images in, 3D boxes out. Wiring only."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from km3d_ros.detector import KM3D
from msgs.boxes import detection_array, label_info
from msgs.camera_view import CameraView, View
from msgs.cameras import UNRECTIFIED
from msgs.images import image_message, read_image
from msgs.markers import Markers
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.draw import COLOURS, draw_boxes
from voxbox_core.image import Picture, on_host
from voxbox_core.ros.inputs import Input
from voxbox_core.ros.lifecycle import PerceptionNode
from voxbox_core.ros.models import model_path
from voxbox_core.ros.parameters import NodeParameters, parameter
from voxbox_core.ros.process import leave, run

_SAID_AGAIN = 5.0  # s
_SOURCES = {
    "raw": (("image", Image),),
    "compressed": (("image", CompressedImage), ("image/compressed", CompressedImage)),
    "auto": (("image", Image), ("image", CompressedImage), ("image/compressed", CompressedImage)),
}


@dataclass(frozen=True)
class Parameters(NodeParameters):
    """What an operator of the node can choose."""

    model: str = parameter("km3d-street", "a released model's name, its folder, or an .onnx file")
    score_threshold: float = parameter(
        0.0, "least score of a published box; 0 takes the model's own, class by class", low=0.0, high=1.0, live=True
    )
    image_transport: str = parameter(
        "auto", "what the image topic carries; auto looks who publishes what", choices=tuple(_SOURCES)
    )
    unrectified: str = parameter(
        "undistort",
        "when camera_info has distortion: undistort the image, refuse it, or take it as rectified already",
        choices=UNRECTIFIED,
        live=True,
    )
    marker_lifetime: float = parameter(0.5, "how long RViz keeps the markers of a frame, s", low=0.0, high=60.0)


class Km3dNode(PerceptionNode[Parameters]):
    """Subscribes to `image` and `camera_info`; publishes `detections`, `markers`, `label_info` and `overlay`."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("km3d", Parameters, **node_options)
        self._detector: KM3D | None = None
        self._view = CameraView()
        self._told: View | None = None

    def load(self) -> None:
        """The detector, and the topics that tell of its boxes."""
        p = self.parameters
        self._detector = KM3D.open(model_path(p.model), p.backend, p.threads, p.score_threshold or None, p.precision)
        self._markers = Markers(p.marker_lifetime, COLOURS)
        self._detections_out = self.output(Detection3DArray, "detections")
        self._markers_out = self.output(MarkerArray, "markers")
        self._overlay_out = self.output(Image, "overlay")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._label_info_out = self.output(LabelInfo, "label_info", latched)

    def unload(self) -> None:
        """The detector and what was known of the camera."""
        self._detector = self._told = None
        self._view = CameraView()

    def inputs(self) -> list[Input]:
        """The image and its calibration, which need not come together."""
        self._camera_info_in = self.listen(
            "camera_info",
            [("camera_info", CameraInfo)],
            lambda message: self._view.hear(message, self.problems.report),
            once=True,
        )
        image_in = self.listen("image", _SOURCES[self.parameters.image_transport], self.take)
        return [self._camera_info_in, image_in]

    def on_parameters(self) -> None:
        """Thresholds act at once, and are told anew."""
        if self._detector is not None:
            self._detector.score_threshold = self.parameters.score_threshold or None
            self._tell_labels()

    def facts(self) -> Mapping[str, object]:
        """Which model runs, and how."""
        detector = self._detector
        if detector is None:
            return {"model": self.parameters.model}
        return {"model": self.parameters.model, "backend": detector.backend, "precision": detector.precision}

    def process(self, message: Any) -> Mapping[str, float]:
        """One image -> boxes on their topics; what only eyes need comes after what a planner waits for."""
        assert self._detector is not None
        begun = time.perf_counter()
        image = read_image(message, self._detector.device, self.once)
        view = self._view.require(
            image, message.header, self.parameters.unrectified, self._camera_info_in.missing, self.problems.report
        )
        self._tell_view(view)
        image = view.rectify(image)
        decoded = time.perf_counter()
        boxes = self._detector(image, view.camera)
        detected = time.perf_counter()
        placed, header = self.in_target_frame(boxes, message.header)
        self._detections_out.publish(detection_array(placed, header))
        published = time.perf_counter()
        self._publish_markers(placed, header)
        self._publish_overlay(image, boxes, view.camera, message.header)
        shown = {"show": time.perf_counter() - published}
        return {"decode": decoded - begun, **self._detector.stages, "publish": published - detected, **shown}

    def _tell_view(self, view: View) -> None:
        """Say what is done to the images of this camera; not for every one of a lens that zooms."""
        if view is self._told:
            return
        self._told = view
        calibration, scaled = view.calibration, view.scaled
        if scaled is not calibration:
            self.get_logger().warning(
                f"image size is {scaled.width}x{scaled.height}; camera_info's {calibration.width}x{calibration.height} "
                "is scaled to it",
                throttle_duration_sec=_SAID_AGAIN,
            )
        if calibration.distorted:
            self.get_logger().info(
                f"camera_info has {calibration.distortion_model} distortion; images are taken as: "
                f"{self.parameters.unrectified} (parameter unrectified)",
                throttle_duration_sec=_SAID_AGAIN,
            )

    def _publish_markers(self, boxes: Boxes3D, header: Any) -> None:
        if self._markers_out.get_subscription_count():
            self._markers_out.publish(self._markers.of(boxes, header))

    def _publish_overlay(self, image: Picture, boxes: Boxes3D, camera: Camera, header: Any) -> None:
        if self._overlay_out.get_subscription_count():
            captions = [f"{name} {score:.2f}" for name, score in zip(boxes.names(), boxes.score)]
            self._overlay_out.publish(image_message(draw_boxes(on_host(image), boxes, camera, captions), header))

    def _tell_labels(self) -> None:
        assert self._detector is not None
        header = Header(stamp=self.get_clock().now().to_msg())
        contract = self._detector.contract
        threshold = self.parameters.score_threshold or min(contract.score_thresholds)
        self._label_info_out.publish(label_info(contract.classes, threshold, header))


def main() -> None:
    """The executable `ros2 run voxbox km3d`."""
    leave(run(Km3dNode))


if __name__ == "__main__":
    main()
