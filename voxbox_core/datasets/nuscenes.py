"""nuScenes (Caesar et al., CVPR 2020): key frames as RigSamples, from the official tables or from an info.json.

Its LiDAR looks to the right with x and ahead with y, and is mounted with a tilt of a degree or so. Here the LiDAR frame
has the same origin and the axes of the vehicle: x forward, y left, z up, the road level. Its boxes are upright in the
world; in the LiDAR frame they stay upright, which drops the vehicle's own pitch and roll from them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import read_image
from voxbox_core.datasets.rig import UNCOUNTED, RigSample, View, points_in_boxes
from voxbox_core.errors import InputError

# fmt: off
NUSCENES = (
    "car", "truck", "construction_vehicle", "bus", "trailer", "barrier", "motorcycle", "bicycle", "pedestrian",
    "traffic_cone",
)
"""The ten classes of the detection task."""
CATEGORIES = MappingProxyType({
    "vehicle.car": "car",
    "vehicle.truck": "truck",
    "vehicle.construction": "construction_vehicle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.trailer": "trailer",
    "movable_object.barrier": "barrier",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.bicycle": "bicycle",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.trafficcone": "traffic_cone",
})
"""What the tables call the ten. Other categories have no box."""
STREET = MappingProxyType({
    "car": "Car", "truck": "Truck", "bus": "Bus", "bicycle": "Cyclist", "motorcycle": "Cyclist",
    "pedestrian": "Pedestrian",
})
"""The street world's names for them. Its vans are nuScenes' cars; its cyclists ride, nuScenes' need not."""
# fmt: on
LIDAR = "LIDAR_TOP"
_OWN_CAR = 1.0  # m: what earlier sweeps saw nearer along x and y is the vehicle itself


@dataclass(frozen=True)
class _Sweep:
    """A cloud's file.  lidar_from_sweep: (4, 4), both in nuScenes' axes.  age: s."""

    path: Path
    lidar_from_sweep: np.ndarray
    age: float


@dataclass(frozen=True)
class _Picture:
    """A camera's file.  intrinsics: (3, 3).  camera_from_lidar: (4, 4), from nuScenes' axes."""

    name: str
    path: Path
    intrinsics: np.ndarray
    camera_from_lidar: np.ndarray


@dataclass(frozen=True)
class _Moment:
    """A key frame, in nuScenes' own LiDAR axes.  sweeps: the key frame's first.  boxes: classes NUSCENES, upright in
    the frame that lidar_from_boxes leads from, or None.  hits: (N,) as the data set tells them."""

    name: str
    stamp: float
    ego_from_lidar: np.ndarray
    world_from_ego: np.ndarray
    sweeps: tuple[_Sweep, ...]
    pictures: tuple[_Picture, ...]
    boxes: Boxes3D | None
    hits: np.ndarray
    lidar_from_boxes: np.ndarray


class NuScenes:
    """Key frames of a folder: `frames[i]`, `len(frames)`, `names`, and `scenes`, the drive of each; where nothing is
    said of drives, a frame's is its own.

    root: a data set with a folder of tables (v1.0-mini and the like), or a folder with info.json.
    classes: from the names of NUSCENES to those the boxes shall have; others have no box.
    sweeps: clouds put together, the key frame's included, as far as the tables list them.
    Raises InputError where tables or files are absent or damaged.
    """

    def __init__(self, root: Path | str, classes: Mapping[str, str] = STREET, sweeps: int = 1) -> None:
        self.root = Path(root)
        self._classes = dict(classes)  # which travels to other processes, as a read-only view does not
        self._source: _Infos | _Tables
        if (self.root / "info.json").is_file():
            self._source = _Infos(self.root)
        else:
            self._source = _Tables(self.root, sweeps)
        self.names, self.scenes = self._source.names, self._source.scenes

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> RigSample:
        return self.read(index)

    def read(self, index: int, views: bool = True) -> RigSample:
        """Key frame `index`; without its cameras, which are left unread, when views is False."""
        moment = self._source.moment(index)
        header, ours_from_lidar = self._header(moment), _ours_from_lidar(moment)
        points = np.concatenate([_read_sweep(sweep, ours_from_lidar) for sweep in moment.sweeps])
        hits = header.hits
        if header.boxes is not None:
            hits = points_in_boxes(points[points[:, 4] == 0], header.boxes).sum(-1)
        seen = tuple(_view(picture, ours_from_lidar.T) for picture in moment.pictures) if views else ()
        return replace(header, points=points, views=seen, hits=hits)

    def header(self, index: int) -> RigSample:
        """Key frame `index` without points and cameras, which are left unread; hits as the data set tells them, in
        boxes that lean with the vehicle: not to the last return those of `read`."""
        return self._header(self._source.moment(index))

    def _header(self, moment: _Moment) -> RigSample:
        ours_from_lidar, boxes, hits = _ours_from_lidar(moment), None, np.zeros(0, np.int64)
        if moment.boxes is not None:
            ours_from_boxes = ours_from_lidar @ moment.lidar_from_boxes
            named, kept = _renamed(moment.boxes, self._classes)
            boxes = named.transformed(ours_from_boxes[:3, :3], ours_from_boxes[:3, 3], Axes.BODY)
            hits = moment.hits[kept]
        return RigSample(
            name=moment.name,
            points=np.zeros((0, 5), np.float32),
            height=float(moment.ego_from_lidar[2, 3]),  # the vehicle's frame stands on the ground
            boxes=boxes,
            hits=hits,
            stamp=moment.stamp,
            world_from_lidar=moment.world_from_ego @ moment.ego_from_lidar @ ours_from_lidar.T,
        )


def _ours_from_lidar(moment: _Moment) -> np.ndarray:
    """(4, 4), a turn."""
    turn = np.eye(4)
    turn[:3, :3] = moment.ego_from_lidar[:3, :3]
    return turn


def _view(picture: _Picture, lidar_from_ours: np.ndarray) -> View:
    image = read_image(picture.path)
    camera = Camera(picture.intrinsics, image.shape[1], image.shape[0])
    return View(picture.name, image, camera, picture.camera_from_lidar @ lidar_from_ours)


def _read_sweep(sweep: _Sweep, ours_from_lidar: np.ndarray) -> np.ndarray:
    """(P, 5) float32 x y z intensity age in our LiDAR frame of the key frame."""
    size = sweep.path.stat().st_size if sweep.path.is_file() else -1
    if size < 0 or size % 20:
        value = "absent" if size < 0 else f"{size} bytes"
        raise InputError(f"cloud {sweep.path}", value, "20 bytes per point", "Restore it from its source.")
    raw = np.fromfile(sweep.path, np.float32).reshape(-1, 5)
    if sweep.age > 0:
        raw = raw[(np.abs(raw[:, :2]) >= _OWN_CAR).any(-1)]
    transform = ours_from_lidar @ sweep.lidar_from_sweep
    points = np.empty((len(raw), 5), np.float32)
    points[:, :3] = raw[:, :3].astype(np.float64) @ transform[:3, :3].T + transform[:3, 3]
    points[:, 3] = raw[:, 3] / 255
    points[:, 4] = sweep.age
    return points


def _renamed(boxes: Boxes3D, classes: Mapping[str, str]) -> tuple[Boxes3D, np.ndarray]:
    """The boxes that have a name in `classes`, by that name, and which of the given ones they are, (N,) bool."""
    unknown = sorted(set(classes) - set(NUSCENES))
    if unknown:
        raise InputError("class names of nuScenes", unknown, f"some of {NUSCENES}", "Correct them.")
    names = tuple(dict.fromkeys(classes.values()))
    number = np.array([names.index(classes[n]) if n in classes else -1 for n in NUSCENES], np.int64)[boxes.label]
    kept = number >= 0
    return replace(boxes[kept], label=number[kept], classes=names), kept


def _boxes(center: np.ndarray, size: np.ndarray, yaw: np.ndarray, names: list[str]) -> Boxes3D:
    count = len(names)
    label = np.array([NUSCENES.index(name) for name in names], np.int64)
    nowhere = np.full((count, 4), np.nan)
    columns = (np.reshape(center, (count, 3)), np.reshape(size, (count, 3)), np.reshape(yaw, count))
    return Boxes3D(*columns, label, np.ones(count), nowhere, NUSCENES, Axes.BODY)


def _told(rows: list[dict[str, Any]]) -> np.ndarray:
    """(N,) returns inside of each box, by its annotation."""
    return np.array([row.get("num_lidar_pts", UNCOUNTED) for row in rows], np.int64)


class _Infos:
    """Frames of an info.json, as mmdetection3d 1.x writes them; files lie beside it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / "info.json"
        content = read_json(self._path)
        try:
            self._frames: list[dict[str, Any]] = content["data_list"]
            self._categories = {number: name for name, number in content["metainfo"]["categories"].items()}
            self.names = self.scenes = tuple(str(frame["token"]) for frame in self._frames)
        except (KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"entry of {self._path}", f"absent or odd ({error!r})", "mmdetection3d's info, version 1.1", "Restore it."
        )

    def moment(self, index: int) -> _Moment:
        frame = self._frames[index]
        try:
            lidar = frame["lidar_points"]
            pictures = tuple(
                _Picture(name, self._root / c["img_path"], np.array(c["cam2img"]), np.array(c["lidar2cam"]))
                for name, c in frame["images"].items()
            )
            boxes, hits = self._truth(frame["instances"]) if "instances" in frame else (None, np.zeros(0, np.int64))
            return _Moment(
                name=self.names[index],
                stamp=float(frame["timestamp"]),
                ego_from_lidar=np.array(lidar["lidar2ego"], np.float64),
                world_from_ego=np.array(frame["ego2global"], np.float64),
                sweeps=(_Sweep(self._root / lidar["lidar_path"], np.eye(4), 0.0),),
                pictures=pictures,
                boxes=boxes,
                hits=hits,
                lidar_from_boxes=np.eye(4),
            )
        except (KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _truth(self, instances: list[dict[str, Any]]) -> tuple[Boxes3D, np.ndarray]:
        """Boxes and their hits. bbox_3d is x y z of the geometric centre, l w h, and yaw in nuScenes' LiDAR frame."""
        known = [(i, self._categories.get(i["bbox_label_3d"])) for i in instances]
        kept = [(i, name) for i, name in known if name in NUSCENES]
        rows = np.array([i["bbox_3d"] for i, _ in kept], np.float64).reshape(-1, 7)
        boxes = _boxes(rows[:, :3], rows[:, 3:6], rows[:, 6], [str(name) for _, name in kept])
        return boxes, _told([i for i, _ in kept])


class _Tables:
    """The official tables: root/v1.0-*/sample.json and the others; files lie under root."""

    def __init__(self, root: Path, sweeps: int) -> None:
        self._root, self._sweeps = root, sweeps
        folders = sorted(path.parent for path in root.glob("v1.0-*/sample.json"))
        if len(folders) != 1:
            found = [path.name for path in folders] or "none"
            expected = "one folder v1.0-…, or info.json"
            raise InputError(f"tables in {root}", found, expected, "Check the path.")
        self._folder = folders[0]
        self._samples = sorted(self._read("sample"), key=lambda row: row["timestamp"])
        self.names = tuple(str(row["token"]) for row in self._samples)
        self.scenes = tuple(str(row.get("scene_token", row["token"])) for row in self._samples)
        tables = ("sample_data", "calibrated_sensor", "ego_pose", "sensor", "instance", "category")
        self._tables = {name: {row["token"]: row for row in self._read(name)} for name in tables}
        self._key_frames: dict[str, list[dict[str, Any]]] = {}
        for row in self._tables["sample_data"].values():
            if row["is_key_frame"]:
                self._key_frames.setdefault(row["sample_token"], []).append(row)
        self._annotations: dict[str, list[dict[str, Any]]] = {}
        for row in self._read("sample_annotation"):
            self._annotations.setdefault(row["sample_token"], []).append(row)

    def _read(self, table: str) -> list[dict[str, Any]]:
        rows = read_json(self._folder / f"{table}.json")
        if not isinstance(rows, list):
            raise InputError(f"table {table} in {self._folder}", type(rows).__name__, "a list of rows", "Restore it.")
        return rows

    def _row(self, table: str, token: str) -> dict[str, Any]:
        row = self._tables[table].get(token)
        if row is None:
            raise InputError(f"row {token} of table {table} in {self._folder}", "absent", "there", "Restore it.")
        return row

    def _channel(self, data: dict[str, Any]) -> str:
        sensor = self._row("calibrated_sensor", data["calibrated_sensor_token"])["sensor_token"]
        return str(self._row("sensor", sensor)["channel"])

    def _ego_from_sensor(self, data: dict[str, Any]) -> np.ndarray:
        return _pose(self._row("calibrated_sensor", data["calibrated_sensor_token"]))

    def _world_from_sensor(self, data: dict[str, Any]) -> np.ndarray:
        """At the moment of this sensor's reading."""
        return _pose(self._row("ego_pose", data["ego_pose_token"])) @ self._ego_from_sensor(data)

    def moment(self, index: int) -> _Moment:
        token = self.names[index]
        readings = {self._channel(row): row for row in self._key_frames.get(token, [])}
        if LIDAR not in readings:
            raise InputError(f"{LIDAR} of sample {token}", "absent", "a row of sample_data", "Restore the tables.")
        lidar = readings[LIDAR]
        lidar_from_world = np.linalg.inv(self._world_from_sensor(lidar))
        boxes, hits = self._truth(token) if self._annotations else (None, np.zeros(0, np.int64))
        cameras = {name: row for name, row in readings.items() if name.startswith("CAM_")}
        return _Moment(
            name=token,
            stamp=1e-6 * lidar["timestamp"],
            ego_from_lidar=self._ego_from_sensor(lidar),
            world_from_ego=_pose(self._row("ego_pose", lidar["ego_pose_token"])),
            sweeps=self._sweeps_before(lidar, lidar_from_world),
            pictures=tuple(self._picture(name, row, lidar_from_world) for name, row in cameras.items()),
            boxes=boxes,
            hits=hits,
            lidar_from_boxes=lidar_from_world,
        )

    def _sweeps_before(self, lidar: dict[str, Any], lidar_from_world: np.ndarray) -> tuple[_Sweep, ...]:
        row: dict[str, Any] | None = lidar
        sweeps: list[_Sweep] = []
        while row is not None and len(sweeps) < self._sweeps:
            age = 1e-6 * (lidar["timestamp"] - row["timestamp"])
            motion = lidar_from_world @ self._world_from_sensor(row) if sweeps else np.eye(4)
            sweeps.append(_Sweep(self._root / row["filename"], motion, age))
            row = self._tables["sample_data"].get(row["prev"])
        return tuple(sweeps)

    def _picture(self, name: str, row: dict[str, Any], lidar_from_world: np.ndarray) -> _Picture:
        intrinsics = self._row("calibrated_sensor", row["calibrated_sensor_token"])["camera_intrinsic"]
        camera_from_lidar = np.linalg.inv(lidar_from_world @ self._world_from_sensor(row))
        return _Picture(name, self._root / row["filename"], np.array(intrinsics), camera_from_lidar)

    def _truth(self, token: str) -> tuple[Boxes3D, np.ndarray]:
        """Boxes in the world, and their hits."""
        rows = self._annotations.get(token, [])
        names = [self._category(row) for row in rows]
        kept = [(row, name) for row, name in zip(rows, names) if name is not None]
        turns = [Rotation.from_quat(np.roll(row["rotation"], -1)).as_matrix() for row, _ in kept]
        heading = np.array([turn[:2, 0] for turn in turns]).reshape(-1, 2)
        boxes = _boxes(
            np.array([row["translation"] for row, _ in kept]),
            np.array([row["size"] for row, _ in kept]).reshape(-1, 3)[:, [1, 0, 2]],  # theirs is w, l, h
            np.arctan2(heading[:, 1], heading[:, 0]),
            [name for _, name in kept],
        )
        return boxes, _told([row for row, _ in kept])

    def _category(self, annotation: dict[str, Any]) -> str | None:
        instance = self._row("instance", annotation["instance_token"])
        return CATEGORIES.get(self._row("category", instance["category_token"])["name"])


def _pose(row: dict[str, Any]) -> np.ndarray:
    """(4, 4) of a row's rotation (quaternion w x y z) and translation, m."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(np.roll(row["rotation"], -1)).as_matrix()
    pose[:3, 3] = row["translation"]
    return pose


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises InputError where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"file {path}", "absent", "a JSON file", "Check the path.") from None
    except ValueError as error:
        raise InputError(f"file {path}", f"no JSON ({error})", "a JSON file", "Restore it from its source.") from None
