"""Which topics of a bag are the camera's: by type, by name, or as given."""

from collections.abc import Sequence
from dataclasses import dataclass

from voxbox_core.datasets.bag.reader import Bag, Topic
from voxbox_core.datasets.bag.types import CAMERA_INFO, COMPRESSED_IMAGE, DETECTIONS, IMAGE, POINTS, STRING, TF
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class DriveTopics:
    """Topic names of one camera and what belongs to it; None where the bag has none.

    image: Image or CompressedImage.  points: PointCloud2.  truth: Detection3DArray.  labels: KITTI rows as String
    (see write_drive).  transforms: tf topics.  notes: what was guessed, in words for the user.
    """

    image: Topic
    camera_info: str | None
    points: str | None
    truth: str | None
    labels: str | None
    transforms: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        optional = (self.camera_info, self.points, self.truth, self.labels)
        return (self.image.name, *(name for name in optional if name), *self.transforms)


def find_topics(bag: Bag, image: str | None = None, camera_info: str | None = None) -> DriveTopics:
    """The camera called `image`, or the likeliest one, and its companions.

    Raises InputError when there is no image topic, or a given one is absent or of another type.
    """
    topics = bag.topics
    notes: list[str] = []
    camera = _camera(bag, topics, image, notes)
    infos = [t for t in topics if t.msgtype == CAMERA_INFO]
    if camera_info is not None:
        info: str | None = _given(bag, topics, camera_info, (CAMERA_INFO,)).name
    else:
        info = nearest_topic(camera.name, infos, "camera_info", notes)
    clouds = [t for t in topics if t.msgtype == POINTS]
    truths = [t for t in topics if t.msgtype == DETECTIONS]
    labels = [t for t in topics if t.msgtype == STRING and "kitti_labels" in t.name]
    return DriveTopics(
        image=camera,
        camera_info=info,
        points=nearest_topic(camera.name, clouds, "points", notes),
        truth=truth_topic(truths, notes),
        labels=labels[0].name if labels else None,
        transforms=tuple(t.name for t in topics if t.msgtype == TF),
        notes=tuple(notes),
    )


def _camera(bag: Bag, topics: Sequence[Topic], given: str | None, notes: list[str]) -> Topic:
    if given is not None:
        return _given(bag, topics, given, (IMAGE, COMPRESSED_IMAGE))
    images = [t for t in topics if t.msgtype in (IMAGE, COMPRESSED_IMAGE)]
    if not images:
        held = ", ".join(f"{t.name} ({t.msgtype})" for t in topics)
        raise InputError(
            f"image topic of {bag.path}", f"absent; it holds {held}", "an Image or CompressedImage", "Use another bag."
        )
    best = max(images, key=_likelihood)
    if len(images) > 1:
        others = ", ".join(t.name for t in images if t is not best)
        notes.append(f"several cameras: took {best.name}; choose another with --image-topic: {others}")
    return best


def _given(bag: Bag, topics: Sequence[Topic], name: str, msgtypes: tuple[str, ...]) -> Topic:
    found = [t for t in topics if t.name == name]
    if not found:
        fitting = ", ".join(t.name for t in topics if t.msgtype in msgtypes) or "none"
        raise InputError(f"topic {name} of {bag.path}", "absent", f"one of: {fitting}", "Name one of these.")
    if found[0].msgtype not in msgtypes:
        raise InputError(f"type of topic {name}", found[0].msgtype, " or ".join(msgtypes), "Name another topic.")
    return found[0]


def _likelihood(topic: Topic) -> tuple[int, ...]:
    """Higher for what drives a car: the front or left colour camera, rectified, not depth; then the most messages."""
    name = topic.name.lower()
    words = name.replace("_", "/").split("/")
    return (
        -sum(word in name for word in ("depth", "mask", "overlay", "debug", "thermal", "seg")),
        "front" in words,
        -sum(word in words for word in ("back", "rear", "side", "right", "left")),
        "rect" in name,
        topic.msgtype == IMAGE,
        topic.count,
        -len(name),
    )


def nearest_topic(camera: str, candidates: Sequence[Topic], what: str, notes: list[str]) -> str | None:
    """The candidate that shares the longest path with the camera, as ROS names sensors: /front/image, /front/info."""
    if not candidates:
        return None
    shared = [_shared_parts(camera, t.name) for t in candidates]
    best = max(shared)
    tied = [t.name for t, n in zip(candidates, shared, strict=True) if n == best]
    if len(tied) > 1:
        notes.append(f"several {what} topics are as near to {camera}: took {tied[0]} of {', '.join(tied)}")
    return tied[0]


def _shared_parts(a: str, b: str) -> int:
    first, second = a.split("/")[:-1], b.split("/")[:-1]
    return next((n for n, (x, y) in enumerate(zip(first, second)) if x != y), min(len(first), len(second)))


def truth_topic(candidates: Sequence[Topic], notes: list[str]) -> str | None:
    """Boxes are truth only when their name says so: a recording may hold a detector's as well."""
    named = [t.name for t in candidates if any(word in t.name for word in ("truth", "gt", "label", "annotation"))]
    if not named and candidates:
        listed = ", ".join(t.name for t in candidates)
        notes.append(f"no ground truth: the names of {listed} do not say that they are (truth, gt, label, annotation)")
    if len(named) > 1:
        notes.append(f"several ground truths: took {named[0]} of {', '.join(named)}")
    return named[0] if named else None
