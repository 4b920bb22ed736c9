"""What belongs to one cloud of a bag with any number of cameras: an image of each, its camera_info and truth."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from voxbox_core.datasets.bag.frames import WAIT, Recent
from voxbox_core.datasets.bag.reader import Bag, Message, Topic
from voxbox_core.datasets.bag.topics import nearest_topic, truth_topic
from voxbox_core.datasets.bag.types import CAMERA_INFO, COMPRESSED_IMAGE, DETECTIONS, IMAGE, POINTS, TF
from voxbox_core.errors import InputError

_NO_CAMERA = ("depth", "mask", "overlay", "debug", "thermal", "seg")


@dataclass(frozen=True)
class CameraTopics:
    """Topic names of a camera."""

    image: str
    camera_info: str


@dataclass(frozen=True)
class RigTopics:
    """points: PointCloud2.  cameras: by name of their image's topic.  truth: Detection3DArray, None where there is
    none.  transforms: tf topics.  notes: what was guessed or left out, in words for the user."""

    points: str
    cameras: tuple[CameraTopics, ...]
    truth: str | None
    transforms: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All but those of tf."""
        cameras = (name for camera in self.cameras for name in (camera.image, camera.camera_info))
        return (self.points, *cameras, *([self.truth] if self.truth else []))


@dataclass(frozen=True)
class RigFrame:
    """A cloud and, serialized, what belongs to it.  images: of each camera that has one near the cloud, with its
    camera_info."""

    index: int
    points: Message
    images: tuple[tuple[Message, Message], ...]
    truth: Message | None


def find_rig_topics(bag: Bag, points: str | None = None) -> RigTopics:
    """The LiDAR called `points`, or the one with the most messages, and every camera with a camera_info.

    Raises InputError when there is no such PointCloud2.
    """
    topics, notes = bag.topics, list[str]()
    clouds = [t for t in topics if t.msgtype == POINTS and points in (None, t.name)]
    if not clouds:
        held = ", ".join(f"{t.name} ({t.msgtype})" for t in topics)
        what = f"point cloud topic {points or ''}".rstrip()
        raise InputError(f"{what} of {bag.path}", f"absent; it holds {held}", "a PointCloud2", "Use another.")
    cloud = max(clouds, key=lambda t: t.count)
    if len(clouds) > 1:
        notes.append(f"several LiDARs: took {cloud.name} of {', '.join(t.name for t in clouds)}")
    truths = [t for t in topics if t.msgtype == DETECTIONS]
    return RigTopics(
        points=cloud.name,
        cameras=tuple(_cameras(topics, notes)),
        truth=truth_topic(truths, notes),
        transforms=tuple(t.name for t in topics if t.msgtype == TF),
        notes=tuple(notes),
    )


def _cameras(topics: tuple[Topic, ...], notes: list[str]) -> Iterator[CameraTopics]:
    """One for each camera_info: of a camera that publishes both, the image that is not compressed."""
    images = [t for t in topics if t.msgtype in (IMAGE, COMPRESSED_IMAGE)]
    images = [t for t in images if not any(word in t.name.lower() for word in _NO_CAMERA)]
    infos = [t for t in topics if t.msgtype == CAMERA_INFO]
    taken: set[str] = set()
    for image in sorted(images, key=lambda t: (t.msgtype == COMPRESSED_IMAGE, t.name)):
        info = nearest_topic(image.name, infos, "camera_info", notes)
        if info is None:
            notes.append(f"no camera_info for {image.name}: left out")
        elif info not in taken:
            taken.add(info)
            yield CameraTopics(image.name, info)


def rig_frames(bag: Bag, topics: RigTopics) -> Iterator[RigFrame]:
    """Clouds in order of recording, each with what is nearest in stamp, in one pass; only a fraction of a second of
    the bag is in memory. A camera_info serves until the next one, and the first one also the images before it."""
    recent = Recent()
    infos = {c.camera_info: next(bag.messages([c.camera_info])) for c in topics.cameras}
    waiting: deque[Message] = deque()
    count = 0
    for message in bag.messages(topics.names):
        if message.topic == topics.points:
            waiting.append(message)
        else:
            recent.add(message)
        while waiting and message.time > waiting[0].time + WAIT:
            yield _frame(count, waiting.popleft(), topics, recent, infos)
            count += 1
    for cloud in waiting:
        yield _frame(count, cloud, topics, recent, infos)
        count += 1


def _frame(index: int, cloud: Message, topics: RigTopics, recent: Recent, infos: dict[str, Message]) -> RigFrame:
    images = []
    for camera in topics.cameras:
        image = recent.nearest(camera.image, cloud)
        if image is not None:
            infos[camera.camera_info] = recent.nearest(camera.camera_info, image) or infos[camera.camera_info]
            images.append((image, infos[camera.camera_info]))
    return RigFrame(index, cloud, tuple(images), recent.nearest(topics.truth, cloud))
