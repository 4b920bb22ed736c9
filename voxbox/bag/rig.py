"""A bag as RigSamples: each cloud with the images nearest in stamp, by the same conversions as in the node."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from msgs.boxes import read_detections
from msgs.cameras import fitted, read_calibration, rectified
from msgs.clouds import Intensity, read_cloud
from msgs.images import read_image
from point_detr3d_ros.ground import BASE_FRAMES, GroundHeight
from voxbox.bag.transforms import Transforms
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.bag import Bag, Message
from voxbox_core.datasets.bag.rig import RigFrame, RigTopics, find_rig_topics, rig_frames
from voxbox_core.datasets.rig import RigSample, View, points_in_boxes
from voxbox_core.errors import InputError

FIXED_FRAMES = ("odom", "map", "world")
"""Of the ground, the smoothest first (REP 105)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """sample: a moment of the bag.  skew: by name of the view, s by which its image is later than the cloud."""

    sample: RigSample
    skew: dict[str, float]


def rig_samples(path: Path | str, points: str | None = None, height: float | None = None) -> Iterator[RigSample]:
    """The clouds of a bag with their images and truth; see `recorded`.

    points: topic of the LiDAR, None for the likeliest. Warns of what was guessed.
    """
    with Bag(path) as bag:
        topics = find_rig_topics(bag, points)
        for note in topics.notes:
            _log.warning("%s: %s", bag.path, note)
        for moment in recorded(bag, topics, height):
            yield moment.sample


def recorded(bag: Bag, topics: RigTopics, height: float | None = None) -> Iterator[Recorded]:
    """Moments in order of recording, named by their number.

    The samples' LiDAR frame has the sensor's origin and the axes of BASE_FRAMES where tf knows one (nuScenes' sensor
    looks to the right), else the sensor's own. Intensities are scaled to [0, 1]. Images are tied to the cloud through
    FIXED_FRAMES, so that the vehicle's way between the two is not an error; a camera that no transform leads to is
    left out.
    height: of the LiDAR above the ground, m; None measures it by the clouds, or takes that above the base frame.
    Raises InputError when a message cannot be read or the height is neither given nor to be found.
    """
    reader = RigReader(bag, topics, height)
    for frame in rig_frames(bag, topics):
        moment = reader.moment(frame)
        views, skew = reader.views(moment)
        yield Recorded(replace(moment.sample, views=views), skew)


@dataclass(frozen=True)
class Moment:
    """sample: a moment of the bag without its cameras, whose images are in `frame`, unread.  lidar: the frame_id of the
    cloud.  level_from_lidar: (4, 4), from that frame to the sample's."""

    frame: RigFrame
    sample: RigSample
    lidar: str
    level_from_lidar: np.ndarray


class RigReader:
    """Reads frames of a bag, in order of recording, as `recorded` says; images only where they are asked for."""

    def __init__(self, bag: Bag, topics: RigTopics, height: float | None = None) -> None:
        self._bag = bag
        self._transforms = Transforms(bag, topics.transforms)
        self._height = height
        self._ground = GroundHeight()
        self._intensity = Intensity()
        self._placeless: set[str] = set()

    def moment(self, frame: RigFrame) -> Moment:
        """The cloud of a frame, its truth and its place."""
        message = self._bag.decode(frame.points)
        lidar, now = message.header.frame_id, frame.points.stamp
        level_from_lidar, above_base = self._mount(lidar, now)
        points = read_cloud(message).points
        self._intensity.scale(points)
        points[:, :3] = points[:, :3] @ level_from_lidar[:3, :3].T.astype(np.float32)
        boxes = None if frame.truth is None else self._boxes(frame.truth, lidar, level_from_lidar)
        world_from_lidar = self._fixed_from(lidar, now)
        sample = RigSample(
            name=f"{frame.index:06d}",
            points=points,
            height=self._height_of(points, above_base),
            boxes=boxes,
            hits=np.zeros(0, np.int64) if boxes is None else points_in_boxes(points, boxes).sum(1),
            stamp=now / 1e9,
            world_from_lidar=None if world_from_lidar is None else world_from_lidar @ np.linalg.inv(level_from_lidar),
        )
        return Moment(frame, sample, lidar, level_from_lidar)

    def sample_from(self, frame_id: str, moment: Moment) -> np.ndarray | None:
        """(4, 4): points of a tf frame to the sample's, at the cloud's stamp; None where nothing leads there."""
        pose = self._transforms.between(frame_id, moment.lidar, moment.frame.points.stamp)
        return None if pose is None else moment.level_from_lidar @ pose

    def views(self, moment: Moment) -> tuple[tuple[View, ...], dict[str, float]]:
        """What the cameras saw, and by name how much later, s."""
        views, skew = [], {}
        lidar, now, lidar_from_level = moment.lidar, moment.frame.points.stamp, np.linalg.inv(moment.level_from_lidar)
        for image, info in moment.frame.images:
            message = self._bag.decode(image)
            name = message.header.frame_id or image.topic
            pose = self._camera_from_lidar(name, image.stamp, lidar, now)
            if pose is None:
                if name not in self._placeless:
                    _log.warning("%s: no transform leads from %s to %s: left out", self._bag.path, lidar, name)
                self._placeless.add(name)
                continue
            views.append(self._view(name, message, info, pose @ lidar_from_level))
            skew[name] = (image.stamp - now) / 1e9
        return tuple(views), skew

    def _mount(self, lidar: str, now: int) -> tuple[np.ndarray, float | None]:
        """(4, 4) from the sensor's frame to the samples'; its height above the base frame, m, None without one."""
        turn = np.eye(4)
        for base in BASE_FRAMES:
            pose = self._transforms.between(lidar, base, now) if base in self._transforms.frames else None
            if pose is not None:
                turn[:3, :3] = pose[:3, :3]
                return turn, float(pose[2, 3])
        return turn, None

    def _height_of(self, points: np.ndarray, above_base: float | None) -> float:
        if self._height is not None:
            return self._height
        found = self._ground.of(points)
        if found is None:
            found = above_base
        if found is None:
            what = f"height of the LiDAR of {self._bag.path}"
            raise InputError(what, "not to be seen in the cloud", "m above the ground", "Give it, or record tf_static.")
        return found

    def _fixed_from(self, frame: str, time: int) -> np.ndarray | None:
        """(4, 4), None where tf knows no fixed frame."""
        known = (name for name in FIXED_FRAMES if name in self._transforms.frames)
        poses = (self._transforms.between(frame, name, time) for name in known)
        return next((pose for pose in poses if pose is not None), None)

    def _camera_from_lidar(self, camera: str, taken: int, lidar: str, now: int) -> np.ndarray | None:
        fixed_from_camera, fixed_from_lidar = self._fixed_from(camera, taken), self._fixed_from(lidar, now)
        if fixed_from_camera is None or fixed_from_lidar is None:
            return self._transforms.between(lidar, camera, now)
        return np.linalg.inv(fixed_from_camera) @ fixed_from_lidar

    def _view(self, name: str, message: Any, info: Message, camera_from_level: np.ndarray) -> View:
        taken = read_image(message)
        calibration = fitted(read_calibration(self._bag.decode(info)), taken.shape[1], taken.shape[0])
        camera, rectify = rectified(calibration)
        return View(name, np.ascontiguousarray(rectify(taken)), camera, camera_from_level)

    def _boxes(self, truth: Message, lidar: str, level_from_lidar: np.ndarray) -> Boxes3D:
        message = self._bag.decode(truth)
        frame = message.header.frame_id or lidar
        pose = self._transforms.between(frame, lidar, truth.stamp)
        if pose is None:
            raise InputError(
                f"frame of {truth.topic}", repr(frame), f"{lidar!r}, or one tied to it", "Record tf_static."
            )
        pose = level_from_lidar @ pose
        axes = Axes.OPTICAL if -pose[2, 1] > pose[2, 2] else Axes.BODY  # whether its -y or its z points up
        return read_detections(message, axes).transformed(pose[:3, :3], pose[:3, 3], Axes.BODY)
