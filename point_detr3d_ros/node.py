"""The lifecycle node `point_detr3d`: clouds in, 3D boxes out, by itself or by a click. Wiring only."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from msgs.boxes import detection_array, label_info
from msgs.clouds import Intensity, read_cloud
from msgs.images import read_image
from msgs.markers import Markers
from msgs.prompts import Click, identified, read_click, read_prompts
from point_detr3d_ros import label_file
from point_detr3d_ros.assist import CAMERAS, Assist
from point_detr3d_ros.cameras import CameraStream, await_images, camera_topics
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.detector import PointDETR3D
from point_detr3d_ros.ground import Mount
from point_detr3d_ros.parameters import Parameters
from point_detr3d_ros.placing import Placing, matrix, seconds_of
from point_detr3d_ros.session import Frame, Kept, Session, accepted
from point_detr3d_ros.sweeps import Sweeps
from voxbox_core.datasets.rig import View
from voxbox_core.draw import COLOURS
from voxbox_core.errors import InputError
from voxbox_core.ros.diagnostics import latency
from voxbox_core.ros.inputs import Input
from voxbox_core.ros.latest import Latest
from voxbox_core.ros.lifecycle import PerceptionNode
from voxbox_core.ros.models import model_path
from voxbox_core.ros.problems import Severity
from voxbox_core.ros.process import leave, run

_CLICKS = 32  # that may wait for their answers
_NO_SESSION = "the assistant is not loaded any more"
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class PointDetr3dNode(PerceptionNode[Parameters]):
    """Subscribes to `points`, and for clicks to `clicked_point`, `prompts` and the cameras; publishes `detections` and
    `markers`, and for clicks `assist/detections`, `assist/markers` and `assist/points`."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("point_detr3d", Parameters, **node_options)
        self._detector: PointDETR3D | None = None
        self._session: Session | None = None
        self._clicks: Latest[Callable[[], None]] | None = None
        self._accepting: list[Any] = []
        self._forget()

    def _forget(self) -> None:
        """What was learned of the sensors."""
        self._streams: list[CameraStream] = []
        self._placing, self._sweeps = Placing(self.transform, self.problems.report), Sweeps()
        self._mount: Mount | None = None
        self._invalid = self._at_origin = 0
        self._told_still = self._marked = False

    # -- lifecycle ---------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """The detectors of the mode, and the topics that tell of their boxes."""
        p = self.parameters
        self._streams = [CameraStream(topics, self._read) for topics in camera_topics(p.images, p.camera_infos)]
        if len(self._streams) > CAMERAS:
            raise InputError(
                "parameter images", f"{len(self._streams)} topics", f"at most {CAMERAS}", "Leave some out."
            )
        self._intensity = Intensity(p.intensity_full)
        if p.mode != "assist":
            self._detector = PointDETR3D.open(
                model_path(p.model), p.backend, p.threads, p.score_threshold or None, p.precision
            )
            self._markers = Markers(p.marker_lifetime, COLOURS)
            self._detections_out = self.output(Detection3DArray, "detections")
            self._markers_out = self.output(MarkerArray, "markers")
        if p.mode != "detect":
            teacher = model_path(p.assist_model, "assist_model")
            self._session = Session(Assist.open(teacher, p.backend, p.threads))
            self._assist_markers = Markers(0.0, COLOURS)  # they stay until they are accepted or withdrawn
            self._answers_out = self.output(Detection3DArray, "assist/detections", 10)
            self._answer_markers_out = self.output(MarkerArray, "assist/markers", 10)
            self._display_out = self.output(PointCloud2, "assist/points", _LATCHED)
            for name, handle in (("assist/accept", self._on_accept), ("assist/reject", self._on_reject)):
                self._accepting.append(self.create_service(Trigger, name, handle))
        self._label_info_out = self.output(LabelInfo, "label_info", _LATCHED)
        self._judge_sweeps()

    def _judge_sweeps(self) -> None:
        """Points older than any that a model learned from are used all the same, but not without a word."""
        models = {"model": self._detector, "assist_model": self._session.assist if self._session else None}
        for name, model in models.items():
            if model is not None and self.parameters.sweeps > model.contract.sweeps:
                expected = f"at most {model.contract.sweeps}, as it learned from"
                remedy = "Lower it, or train with --sweeps."
                self.problems.report(InputError(f"sweeps for the {name}", self.parameters.sweeps, expected, remedy))

    def unload(self) -> None:
        """The models, and what was learned of the sensors."""
        services, self._accepting = self._accepting, []
        for service in services:
            self.destroy_service(service)
        self._detector = self._session = None
        self._forget()

    def inputs(self) -> list[Input]:
        """Clouds; with clicks the cameras and the clicks; with several sweeps the vehicle's motion."""
        heard = [self.listen("cloud", [("points", PointCloud2)], self.take)]
        if self.parameters.sweeps > 1:
            heard.append(self.listen("odometry", [("odometry", Odometry)], self._placing.on_odometry, optional=True))
        if self._session is None:
            return heard
        self._clicks = Latest(self._soundly, "clicks", _CLICKS)
        names = ("", *self._session.assist.contract.classes)
        for name in names:
            topic = "/".join(filter(None, ("clicked_point", name.lower())))
            take = partial(self._on_click, partial(_one_click, name))
            heard.append(self.listen(f"click {name}".strip(), [(topic, PointStamped)], take, optional=True))
        take = partial(self._on_click, read_prompts)
        heard.append(self.listen("prompts", [("prompts", Detection3DArray)], take, optional=True))
        return heard + [each for stream in self._streams for each in self._camera_inputs(stream)]

    def _camera_inputs(self, stream: CameraStream) -> list[Input]:
        image, name = stream.topics.image, stream.name
        sources = [(image, Image), (image, CompressedImage), (f"{image}/compressed", CompressedImage)]
        info, clicked = partial(self._on_camera_info, stream), partial(self._on_click, partial(self._read_pixel, name))
        return [
            self.listen(f"image of {name}", sources, stream.on_image),
            self.listen(f"camera_info of {name}", [(stream.topics.camera_info, CameraInfo)], info, once=True),
            self.listen(f"click in {name}", [(f"{image}_mouse_left", Point)], clicked, optional=True),
        ]

    def rest(self) -> None:
        """No click is answered any more."""
        clicks, self._clicks = self._clicks, None
        if clicks is not None:
            clicks.stop()

    @property
    def needs_transforms(self) -> bool:
        """Clicks, cameras, motion and the height of the LiDAR all come through tf."""
        return True

    def on_parameters(self) -> None:
        """Thresholds act at once, and are told anew."""
        if self._detector is not None:
            self._detector.score_threshold = self.parameters.score_threshold or None
        contract = self._contract
        if contract is not None:
            least = self.parameters.score_threshold or min(contract.score_thresholds)
            header = Header(stamp=self.get_clock().now().to_msg())
            self._label_info_out.publish(label_info(contract.classes, least, header))

    @property
    def _contract(self) -> Contract | None:
        if self._detector is not None:
            return self._detector.contract
        return None if self._session is None else self._session.assist.contract

    def facts(self) -> Mapping[str, object]:
        """Which models run, and how; what is known of the sensors."""
        p = self.parameters
        facts: dict[str, object] = {"mode": p.mode}
        if (detector := self._detector) is not None:
            facts |= {"model": p.model, "backend": detector.backend, "precision": detector.precision}
            facts |= {"pillars left out": detector.overflow.pillars, "points left out": detector.overflow.points}
        if (session := self._session) is not None:
            facts |= {"assist model": p.assist_model, "boxes waiting": session.waiting}
            facts |= {"assist backend": session.assist.backend, "assist precision": session.assist.precision}
            facts |= {"cameras used": session.frame.encoded.cameras if session.frame else 0}
        if (mount := self._mount) is not None:
            facts |= {"sensor height m": f"{mount.height:.2f} ({mount.source})", "sweeps": self._sweeps.used}
            facts |= {"levelled by": self._placing.levelled_by}
        facts |= {"points not finite": self._invalid, "points at the origin": self._at_origin}
        skews = {f"skew of {s.name} ms": f"{1e3 * s.skew:+.1f}" for s in self._streams if s.skew is not None}
        return facts | skews

    # -- clouds ------------------------------------------------------------------------------------------------------

    def process(self, message: Any) -> Mapping[str, float]:
        """One cloud -> boxes on their topics, and ready for clicks."""
        begun = time.perf_counter()
        points = self._points_of(message)
        mount = self._mount = self._placing.mount(message.header, points, self.parameters)
        points = self._with_earlier(points, message.header)
        level = mount.levelled(points)
        stages = {"convert": time.perf_counter() - begun}
        if self._detector is not None:
            stages |= self._detect(self._detector, level, mount, message.header)
        if self._session is not None:
            stages |= self._display(self._session, points, level, mount, message)
        return stages

    def _detect(self, detector: PointDETR3D, level: np.ndarray, mount: Mount, header: Any) -> dict[str, float]:
        boxes = mount.back(detector(level, mount.height))
        if detector.overflow.pillars:
            self.problems.report(
                InputError(
                    "occupied cells of the cloud",
                    f"{detector.overflow.pillars} too many",
                    f"at most {detector.contract.max_pillars}",
                    "The emptiest are left out; crop the cloud, or put fewer sweeps together.",
                )
            )
        found = time.perf_counter()
        placed, where = self.in_target_frame(boxes, header)
        self._detections_out.publish(detection_array(placed, where))
        published = time.perf_counter()
        if self._markers_out.get_subscription_count():
            self._markers_out.publish(self._markers.of(placed, where))
        return {**detector.stages, "publish": published - found, "show": time.perf_counter() - published}

    def _display(
        self, session: Session, points: np.ndarray, level: np.ndarray, mount: Mount, message: Any
    ) -> dict[str, float]:
        """From now on clicks are on this cloud."""
        begun = time.perf_counter()
        views = self._views_at(message.header, mount)
        looked = time.perf_counter()
        encoded = session.assist.encode(level, mount.height, views)
        session.frame = Frame(message.header, points, mount, encoded, {view.name: view for view in views})
        self._display_out.publish(message)  # latched: a viewer that comes later sees what clicks are on
        if self._marked:
            self._then(partial(self._show_answers, session, message.header))
        return {"look": looked - begun, "encode": time.perf_counter() - looked}

    def _points_of(self, message: Any) -> np.ndarray:
        cloud = read_cloud(message)
        self._invalid, self._at_origin = cloud.invalid, cloud.at_origin
        if not len(cloud.points):
            found = f"0 of {cloud.invalid + cloud.at_origin}"
            self.problems.report(InputError("points with a place", found, "a cloud", "Check the LiDAR's driver."))
        self._intensity.scale(cloud.points)
        return cloud.points

    # -- motion ------------------------------------------------------------------------------------------------------

    def _with_earlier(self, points: np.ndarray, header: Any) -> np.ndarray:
        wanted = self.parameters.sweeps
        if wanted == 1:
            self._sweeps.used = 1
            return points
        pose = self._placing.pose(header, self.parameters)
        if pose is None and not self._told_still:
            self._told_still = True
            self.get_logger().warning(
                f"sweeps is {wanted}, but nothing tells how the LiDAR moves: each cloud is taken alone. "
                "Set fixed_frame, or publish odometry."
            )
        return self._sweeps.add(points, seconds_of(header), pose, wanted)

    # -- cameras -----------------------------------------------------------------------------------------------------

    def _views_at(self, header: Any, mount: Mount) -> list[View]:
        """What the cameras saw at the moment of a cloud; one that fails is left out, and said so."""
        p, stamp = self.parameters, seconds_of(header)
        await_images(self._streams, stamp, p.max_skew / 2, p.image_wait)
        views = []
        for stream in self._streams:
            try:
                look = stream.look(stamp, p.max_skew, p.unrectified)
                pose = self._camera_from_lidar(look.header, header) @ mount.lidar_from_level
                views.append(View(stream.name, look.image, look.camera, pose))
            except InputError as error:
                self.problems.report(error)
        return views

    def _read(self, message: Any) -> np.ndarray:
        return read_image(message, once=self.once)

    def _camera_from_lidar(self, camera: Any, lidar: Any) -> np.ndarray:
        """(4, 4), from the LiDAR at the cloud's stamp to the camera at the image's, where a fixed frame allows it."""
        fixed = self.parameters.fixed_frame
        if not fixed:
            return matrix(*self.transform(camera.frame_id, lidar.frame_id, lidar.stamp))
        seen = matrix(*self.transform(camera.frame_id, fixed, camera.stamp))
        return seen @ matrix(*self.transform(fixed, lidar.frame_id, lidar.stamp))

    def _on_camera_info(self, stream: CameraStream, message: Any) -> None:
        try:
            stream.calibrations.add(message)
        except InputError as error:
            self.problems.report(error)

    # -- clicks ------------------------------------------------------------------------------------------------------

    def _on_click(self, read: Callable[[Any], list[Click]], message: Any) -> None:
        self._then(partial(self._answer, partial(read, message), time.perf_counter()))

    def _then(self, job: Callable[[], None]) -> None:
        """Have the clicks' thread do something, in its turn."""
        clicks = self._clicks
        if clicks is not None and clicks.put(job):
            self.problems.report(InputError("clicks that wait", f"over {_CLICKS}", "fewer", "The oldest is let go."))

    def _soundly(self, job: Callable[[], None]) -> None:
        """Thread of the clicks: nothing that one holds may end it."""
        try:
            job()
        except InputError as error:
            self.problems.report(error)
        except Exception as error:
            self.problems.report(self._as_input_error("answering a click", error), Severity.ERROR)

    def _read_pixel(self, camera: str, message: Any) -> list[Click]:
        assert self._session is not None
        return [self._session.pixel_click(camera, np.array([message.x, message.y]))]

    def _answer(self, read: Callable[[], list[Click]], arrived: float) -> None:
        p, session = self.parameters, self._session
        assert session is not None
        session.on_display()  # raises before the first cloud: nothing could be answered on
        try:
            clicks = read()
        except InputError as error:  # whoever clicked is told all the same, by an answer without boxes
            self.problems.report(error)
            clicks = []
        answer = session.ask(clicks, self._place_of, p.click_class, p.click_threshold)
        for refusal in answer.refused:
            self.problems.report(refusal)
        decoded = time.perf_counter()
        placed, where = self.in_target_frame(answer.boxes, answer.header)
        self._answers_out.publish(identified(detection_array(placed, where), [c.id for c in answer.clicks]))
        if self._latency.get_subscription_count():
            stages = {"decode": decoded - arrived, "total": time.perf_counter() - arrived}
            self._latency.publish(latency(f"{self.name}: click", answer.header.stamp, stages))
        self._show_answers(session, answer.header)
        if p.auto_accept:
            self._accept(session)

    def _place_of(self, click: Click, frame: Frame) -> np.ndarray:
        """Where a click is in the LiDAR's frame, at the moment of the cloud on display."""
        rotation, translation = self.transform(frame.header.frame_id, click.frame_id, frame.header.stamp)
        return rotation @ click.point + translation

    def _show_answers(self, session: Session, header: Any) -> None:
        """The boxes of a frame; those of an earlier one go."""
        if self._answer_markers_out.get_subscription_count():
            placed, where = self.in_target_frame(session.shown(header), header)
            self._answer_markers_out.publish(self._assist_markers.of(placed, where))
            self._marked = len(placed) > 0

    def _accept(self, session: Session) -> int:
        """Accept what waits; how many boxes. Raises InputError when the file cannot be written."""
        name = self.parameters.label_file
        path = Path(name).expanduser() if name else None

        def write(kept: Kept) -> None:
            if path is not None:
                label_file.append(path, accepted(kept))

        return session.accept(write)

    def _on_accept(self, request: Any, response: Any) -> Any:
        session = self._session
        if session is None:  # let go of meanwhile
            response.success, response.message = False, _NO_SESSION
            return response
        try:
            count = self._accept(session)
        except InputError as error:
            self.problems.report(error)
            response.success, response.message = False, str(error)
            return response
        into = self.parameters.label_file or "nowhere: the parameter label_file is empty"
        response.success, response.message = bool(count), f"{count} boxes accepted, written to {into}"
        return response

    def _on_reject(self, request: Any, response: Any) -> Any:
        session = self._session
        if session is None:
            response.success, response.message = False, _NO_SESSION
            return response
        withdrawn = session.reject()
        response.success = withdrawn is not None
        response.message = f"{session.waiting} boxes wait" if withdrawn else "no box waits"
        if withdrawn is not None:
            self._then(partial(self._show_answers, session, withdrawn.header))
        return response


def _one_click(name: str, message: Any) -> list[Click]:
    return [read_click(message, name)]


def main() -> None:
    """The executable `ros2 run voxbox point_detr3d`."""
    leave(run(PointDetr3dNode))


if __name__ == "__main__":
    main()
