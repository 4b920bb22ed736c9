"""New bags: any messages (BagWriter), a drive of Samples (write_drive), and one of RigSamples (write_rig_drive)."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from scipy.spatial.transform import Rotation

from voxbox_core.datasets.bag import messages
from voxbox_core.datasets.bag.types import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    DETECTIONS,
    IMAGE,
    POINTS,
    STRING,
    TF,
    typestore,
)
from voxbox_core.datasets.kitti import Calibration, format_labels, label_rows
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file

IMAGE_TOPIC = "/camera/image"
CAMERA_INFO_TOPIC = "/camera/camera_info"
POINTS_TOPIC = "/lidar/points"
TRUTH_TOPIC = "/ground_truth/boxes"
# The rows of a KITTI label file for the frame of the same time: they alone know occlusion, truncation, 2D boxes
# and the regions nobody labelled, which the KITTI rules ask for. Locations are in the camera's own frame.
LABELS_TOPIC = "/ground_truth/kitti_labels"
CAMERA_FRAME, LIDAR_FRAME, MOUNT_FRAME, WORLD_FRAME = "camera_optical", "lidar", "camera", "map"
BASE_FRAME, ODOM_FRAME = "base_link", "odom"  # of a rig: on the ground below the LiDAR, level; where the drive began
IMAGE_KINDS = ("raw", "jpeg", "png")
FRAMES_PER_SECOND = 10.0
START = 1_600_000_000.0  # s: where samples without stamps begin, since a stamp of zero means "unknown" in ROS

_FOREVER = QosTime(2**31 - 1, 2**32 - 1)
_LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    False,
)
# An optical frame in its mount's: z forward, x right, y down.
_OPTICAL_IN_BODY = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


class BagWriter:
    """Messages into an open bag; topics come into being with their first message."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._connections: dict[str, Connection] = {}

    def write(self, topic: str, msgtype: str, nanoseconds: int, message: object, latched: bool = False) -> None:
        """Append a message, or its serialized bytes, at a time of the recording.

        latched: late subscribers get the topic's last message when the bag is played (transient local).
        """
        raw = message if isinstance(message, bytes) else typestore().serialize_cdr(message, msgtype)
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, msgtype, typestore=typestore(), offered_qos_profiles=[_LATCHED] if latched else []
            )
        self._writer.write(self._connections[topic], nanoseconds, raw)


def storage_of(path: Path) -> StoragePlugin:
    """How a bag of this name is stored. Raises InputError for a name that does not tell."""
    storage = {".mcap": StoragePlugin.MCAP, ".db3": StoragePlugin.SQLITE3}.get(path.suffix)
    if storage is None:
        raise InputError("bag to write", path, "a name ending in .mcap or .db3", "Choose the storage by the ending.")
    return storage


@contextmanager
def new_bag(path: Path | str) -> Iterator[BagWriter]:
    """A bag at `path` when the block ends well, nothing when it does not.

    path: a single file NAME.mcap or NAME.db3. An existing file is replaced.
    """
    path = Path(path)
    storage = storage_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent, prefix=".bag.") as folder:
        bag = Path(folder) / path.stem
        writer = Writer(bag, version=9, storage_plugin=storage)
        if storage is StoragePlugin.MCAP:
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            yield BagWriter(writer)
        (bag / path.name).replace(temporary)


def write_drive(path: Path | str, samples: Iterable[Sample], image_kind: str = "raw") -> int:
    """Write Samples as a drive: camera, its info, LiDAR, transforms and, where labelled, truth.

    image_kind: raw (Image bgr8), jpeg or png (CompressedImage). Samples without a stamp follow one another at
    FRAMES_PER_SECOND. -> count of samples.
    Raises InputError when there is none, or `path` or `image_kind` is not known.
    """
    if image_kind not in IMAGE_KINDS:
        raise InputError("image kind", repr(image_kind), " or ".join(IMAGE_KINDS), "Choose one of them.")
    count = 0
    mounted: np.ndarray | None = None
    with new_bag(path) as bag:
        for sample in samples:
            now = _nanoseconds(sample.stamp, count)
            mount = _mount(sample)
            parent = MOUNT_FRAME if sample.lidar_to_camera is None else LIDAR_FRAME
            if mounted is None or not np.array_equal(mount, mounted):
                fixed = messages.transform(now, parent, CAMERA_FRAME, mount)
                bag.write("/tf_static", TF, now, fixed, latched=True)
                mounted = mount
            if sample.world_from_camera is not None:
                pose = sample.world_from_camera @ np.linalg.inv(mount)
                bag.write("/tf", TF, now, messages.transform(now, WORLD_FRAME, parent, pose))
            _write_sample(bag, sample, now, image_kind)
            count += 1
        if not count:
            raise InputError("samples of the drive", "none", "at least one", "Check where they come from.")
    return count


def _nanoseconds(stamp: float | None, count: int) -> int:
    """Of a sample's stamp, s; where it has none it follows its `count` predecessors."""
    seconds = START + count / FRAMES_PER_SECOND if stamp is None else stamp
    return round(seconds * 1e6) * 1000  # float64 seconds hold microseconds


def _mount(sample: Sample) -> np.ndarray:
    """(4, 4): pose of the camera's optical frame in the LiDAR's, or in a mount looking the same way."""
    if sample.lidar_to_camera is None:
        return _OPTICAL_IN_BODY
    return np.linalg.inv(sample.lidar_to_camera)


def _write_sample(bag: BagWriter, sample: Sample, now: int, image_kind: str) -> None:
    bag.write(CAMERA_INFO_TOPIC, CAMERA_INFO, now, messages.camera_info(now, CAMERA_FRAME, sample.camera))
    _write_image(bag, IMAGE_TOPIC, CAMERA_FRAME, sample.image, now, image_kind)
    if sample.points is not None:
        bag.write(POINTS_TOPIC, POINTS, now, messages.point_cloud(now, LIDAR_FRAME, sample.points))
    if sample.boxes is not None:
        bag.write(TRUTH_TOPIC, DETECTIONS, now, messages.detections(now, CAMERA_FRAME, sample.boxes))
        bag.write(LABELS_TOPIC, STRING, now, messages.text(_label_text(sample)))


def _write_image(bag: BagWriter, topic: str, frame: str, rgb: np.ndarray, now: int, kind: str) -> None:
    if kind == "raw":
        bag.write(topic, IMAGE, now, messages.image(now, frame, rgb))
    else:
        picture = messages.compressed_image(now, frame, rgb, kind)
        bag.write(f"{topic}/compressed", COMPRESSED_IMAGE, now, picture)


def _label_text(sample: Sample) -> str:
    return format_labels(label_rows(sample, Calibration.of_camera(sample.camera.intrinsics)))


def write_rig_drive(path: Path | str, samples: Iterable[RigSample], image_kind: str = "jpeg") -> int:
    """Write RigSamples as a drive: the newest sweep of the LiDAR, every camera and its info, transforms and, where
    labelled, the boxes in the LiDAR's frame.

    A camera NAME has the frame NAME and topics below its name in small letters. image_kind, stamps, what is returned
    and raised: as of write_drive.
    """
    if image_kind not in IMAGE_KINDS:
        raise InputError("image kind", repr(image_kind), " or ".join(IMAGE_KINDS), "Choose one of them.")
    count = 0
    fixed: dict[str, np.ndarray] = {}
    with new_bag(path) as bag:
        for sample in samples:
            now = _nanoseconds(sample.stamp, count)
            base_from_lidar = _base_from_lidar(sample)
            mounts = {view.name: base_from_lidar @ np.linalg.inv(view.camera_from_lidar) for view in sample.views}
            mounts |= {LIDAR_FRAME: base_from_lidar}
            if any(name not in fixed or not np.allclose(fixed[name], mounts[name], atol=1e-6) for name in mounts):
                fixed |= mounts  # all in one message: who comes late to a latched topic gets the last one alone
                bag.write("/tf_static", TF, now, messages.transforms(now, BASE_FRAME, fixed), latched=True)
            if sample.world_from_lidar is not None:
                pose = sample.world_from_lidar @ np.linalg.inv(base_from_lidar)
                bag.write("/tf", TF, now, messages.transform(now, ODOM_FRAME, BASE_FRAME, pose))
            _write_rig_sample(bag, sample, now, image_kind)
            count += 1
        if not count:
            raise InputError("samples of the drive", "none", "at least one", "Check where they come from.")
    return count


def _base_from_lidar(sample: RigSample) -> np.ndarray:
    """(4, 4) from the LiDAR's frame to one on the ground below it, level where the sample knows what is."""
    pose = np.eye(4)
    pose[2, 3] = sample.height
    if sample.world_from_lidar is not None:
        rotation = sample.world_from_lidar[:3, :3]
        heading = np.arctan2(rotation[1, 0], rotation[0, 0])
        pose[:3, :3] = Rotation.from_euler("z", -heading).as_matrix() @ rotation
    return pose


def _write_rig_sample(bag: BagWriter, sample: RigSample, now: int, image_kind: str) -> None:
    for view in sample.views:
        _write_view(bag, view, now, image_kind)
    newest = sample.points[sample.points[:, 4] == 0, :4]
    bag.write(POINTS_TOPIC, POINTS, now, messages.point_cloud(now, LIDAR_FRAME, newest))
    if sample.boxes is not None:
        bag.write(TRUTH_TOPIC, DETECTIONS, now, messages.detections(now, LIDAR_FRAME, sample.boxes))


def _write_view(bag: BagWriter, view: View, now: int, image_kind: str) -> None:
    topic = f"/{view.name.lower()}"
    bag.write(f"{topic}/camera_info", CAMERA_INFO, now, messages.camera_info(now, view.name, view.camera))
    _write_image(bag, f"{topic}/image", view.name, view.image, now, image_kind)
