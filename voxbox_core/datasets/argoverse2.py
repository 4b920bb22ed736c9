"""Argoverse 2's sensor data set (Wilson et al., NeurIPS 2021): annotated sweeps as RigSamples, without cameras.

Everything in it stands in the vehicle's frame (x forward, y left, z up, origin at the rear axle), into which the clouds
of both LiDARs are already moved. Here the LiDAR frame has the same axes and the upper LiDAR's origin.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.rig import UNCOUNTED, RigSample, points_in_boxes
from voxbox_core.errors import InputError

# fmt: off
STREET = MappingProxyType({
    "REGULAR_VEHICLE": "Car",
    "LARGE_VEHICLE": "Truck",
    "TRUCK": "Truck",
    "TRUCK_CAB": "Truck",
    "BOX_TRUCK": "Truck",
    "BUS": "Bus",
    "ARTICULATED_BUS": "Bus",
    "SCHOOL_BUS": "Bus",
    "BICYCLIST": "Cyclist",
    "MOTORCYCLIST": "Cyclist",
    "WHEELED_RIDER": "Cyclist",
    "PEDESTRIAN": "Pedestrian",
    "OFFICIAL_SIGNALER": "Pedestrian",
})
"""The street world's names for its categories. Others have no box, bicycles without riders among them."""
# fmt: on
GROUND = -0.33
"""m, of the road in the vehicle's frame: the axle is as high as a wheel's radius."""
MOUNT = (1.35, 0.0, 1.64)
"""m, the upper LiDAR in the vehicle's frame, for logs without calibration."""
_LIDAR = "up_lidar"
_POSE = ("qx", "qy", "qz", "qw", "tx_m", "ty_m", "tz_m")

Table = Mapping[str, np.ndarray]


class Argoverse2:
    """The annotated sweeps of a log, or of a folder of logs: `frames[i]`, `len(frames)`, `names`, and `scenes`, the log
    of each.

    classes: from Argoverse's categories to the names that boxes shall have; others have no box.
    sweeps: clouds put together, the newest included, as far as the log has earlier ones.
    Raises InputError where files are absent or damaged, and where pyarrow, which reads them, is not installed.
    """

    def __init__(self, root: Path | str, classes: Mapping[str, str] = STREET, sweeps: int = 1) -> None:
        self.root = Path(root)
        self._classes, self._sweeps = dict(classes), sweeps  # a read-only view would not travel to other processes
        logs = [self.root] if _clouds(self.root) else sorted(path for path in self.root.glob("*") if _clouds(path))
        if not logs:
            expected = "logs with sensors/lidar/*.feather"
            raise InputError(f"folder {self.root}", "without sweeps", expected, "Check the path.")
        self._logs = {log: _Log(log) for log in logs}
        self._places = [(log, stamp) for log in logs for stamp in self._logs[log].stamps]
        self.names = tuple(f"{log.name}_{stamp}" for log, stamp in self._places)
        self.scenes = tuple(log.name for log, _ in self._places)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> RigSample:
        log, stamp = self._logs[self._places[index][0]], self._places[index][1]
        world = log.pose(stamp)
        earlier = [] if world is None else log.before(stamp, self._sweeps - 1)
        clouds = [log.points(stamp)]
        for past in earlier:
            then = log.pose(past)
            if then is None or world is None:
                continue
            motion = np.linalg.inv(world) @ then
            cloud = log.points(past)
            cloud[:, :3] = cloud[:, :3] @ motion[:3, :3].T + motion[:3, 3]
            cloud[:, 4] = 1e-9 * (stamp - past)
            clouds.append(cloud)
        points = (np.concatenate(clouds) - [*log.mount, 0, 0]).astype(np.float32)
        header = self.header(index)
        hits = header.hits
        if header.boxes is not None:  # in double precision, as its makers counted
            there = header.boxes.transformed(np.eye(3), log.mount, Axes.BODY)
            hits = points_in_boxes(clouds[0], there).sum(-1)
        return replace(header, points=points, hits=hits)

    def header(self, index: int) -> RigSample:
        """Frame `index` without its points, which are left unread; hits as the data set tells them."""
        log, stamp = self._logs[self._places[index][0]], self._places[index][1]
        world, truth = log.pose(stamp), log.truth(stamp, self._classes)
        boxes, hits = (None, np.zeros(0, np.int64)) if truth is None else truth
        ego_from_lidar = np.eye(4)
        ego_from_lidar[:3, 3] = log.mount
        return RigSample(
            name=self.names[index],
            points=np.zeros((0, 5), np.float32),
            height=float(log.mount[2]) - GROUND,
            boxes=None if boxes is None else boxes.transformed(np.eye(3), -log.mount, Axes.BODY),
            hits=hits,
            stamp=1e-9 * stamp,
            world_from_lidar=None if world is None else world @ ego_from_lidar,
        )


class _Log:
    """One drive.  stamps: ns, of its annotated sweeps; of all when nothing is annotated.  mount: (3,) m."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._all = sorted(int(path.stem) for path in _clouds(root))
        annotations = root / "annotations.feather"
        self._annotations = _read(annotations) if annotations.is_file() else None
        known = self._all if self._annotations is None else set(self._annotations["timestamp_ns"].tolist())
        self.stamps = [stamp for stamp in self._all if stamp in known]
        poses = root / "city_SE3_egovehicle.feather"
        self._poses = _read(poses) if poses.is_file() else None
        self.mount = self._mount()

    def _mount(self) -> np.ndarray:
        path = self._root / "calibration" / "egovehicle_SE3_sensor.feather"
        if not path.is_file():
            return np.array(MOUNT)
        table = _read(path)
        rows = np.flatnonzero(table["sensor_name"] == _LIDAR)
        if not len(rows):
            raise InputError(f"{_LIDAR} in {path}", "absent", "a row", "Restore it from its source.")
        return np.array([table[name][rows[0]] for name in _POSE[4:]])

    def before(self, stamp: int, count: int) -> list[int]:
        """The stamps of up to `count` sweeps before one, the latest first."""
        place = self._all.index(stamp)
        return self._all[max(place - count, 0) : place][::-1]

    def points(self, stamp: int) -> np.ndarray:
        """(P, 5) float64 x y z in the vehicle's frame, m, intensity 0..1, age 0."""
        table = _read(self._root / "sensors" / "lidar" / f"{stamp}.feather")
        columns = [table[name].astype(np.float64) for name in ("x", "y", "z")]
        return np.stack([*columns, table["intensity"] / 255.0, np.zeros(len(columns[0]))], -1)

    def pose(self, stamp: int) -> np.ndarray | None:
        """(4, 4): vehicle's frame to the city's; None where the log does not tell."""
        if self._poses is None:
            return None
        rows = np.flatnonzero(self._poses["timestamp_ns"] == stamp)
        if not len(rows):
            return None
        values = np.array([self._poses[name][rows[0]] for name in _POSE])
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat(values[:4]).as_matrix()
        pose[:3, 3] = values[4:]
        return pose

    def truth(self, stamp: int, classes: Mapping[str, str]) -> tuple[Boxes3D, np.ndarray] | None:
        """Boxes in the vehicle's frame and the returns inside of each, (N,), as they are told."""
        table = self._annotations
        if table is None:
            return None
        rows = np.flatnonzero((table["timestamp_ns"] == stamp) & np.isin(table["category"], list(classes)))
        names = tuple(dict.fromkeys(classes.values()))
        pose = np.stack([table[name][rows] for name in _POSE], -1).reshape(-1, 7)
        size = np.stack([table[name][rows] for name in ("length_m", "width_m", "height_m")], -1)
        turns = Rotation.from_quat(pose[:, :4]).as_matrix() if len(rows) else np.zeros((0, 3, 3))
        told = table.get("num_interior_pts")
        hits = np.full(len(rows), UNCOUNTED) if told is None else told[rows].astype(np.int64)
        boxes = Boxes3D(
            center=pose[:, 4:],
            size=size,
            yaw=np.arctan2(turns[:, 1, 0], turns[:, 0, 0]),
            label=np.array([names.index(classes[name]) for name in table["category"][rows]], np.int64),
            score=np.ones(len(rows)),
            box2d=np.full((len(rows), 4), np.nan),
            classes=names,
            axes=Axes.BODY,
        )
        return boxes, hits


def _clouds(log: Path) -> list[Path]:
    return list((log / "sensors" / "lidar").glob("*.feather"))


def _read(path: Path) -> Table:
    """The columns of a feather file."""
    try:
        from pyarrow import ArrowInvalid, feather  # 170 MB that nothing else here needs
    except ImportError:
        raise InputError("pyarrow", "not installed", "the reader of feather files", "pip install pyarrow.") from None
    try:
        table = feather.read_table(path, memory_map=False)
        return {name: table[name].to_numpy() for name in table.column_names}
    except FileNotFoundError:
        raise InputError(f"file {path}", "absent", "a feather file", "Check the path.") from None
    except ArrowInvalid as error:
        raise InputError(f"file {path}", f"unreadable ({error})", "a feather file", "Restore it.") from None
