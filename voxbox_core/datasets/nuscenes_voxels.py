"""nuScenes key frames as voxels: what boxes, returns and, where it lies beside them, lidarseg tell of the space before
each camera.

Only the key frame's own sweep is used: nothing is gathered over a drive, so that buildings and trees are shells.
"""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.kitti_rig import to_camera
from voxbox_core.datasets.lidar_voxels import LidarFrame, Returns, Scene
from voxbox_core.datasets.nuscenes import CATEGORIES, NuScenes, read_json
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.errors import InputError
from voxbox_core.voxels import CLASSES, UNKNOWN

SEMANTIC = MappingProxyType(
    {
        "car": "car",
        "truck": "truck",
        "construction_vehicle": "truck",
        "trailer": "truck",
        "bus": "bus",
        "bicycle": "bicycle",
        "motorcycle": "bicycle",
        "pedestrian": "person",
    }
)
"""What the classes of the detection task are here; barriers and cones are something unknown."""
LIDARSEG = MappingProxyType(
    {
        "flat.driveable_surface": "ground",
        "flat.other": "ground",
        "flat.sidewalk": "ground",
        "flat.terrain": "ground",
        "static.manmade": "building",
        "static.vegetation": "tree",
    }
)
"""What the categories of single returns are here, beside those of objects."""
_EGO = "vehicle.ego"
OWN = 254
"""In place of a class: a return on the vehicle that carries the LiDAR."""
VAN_LENGTH, VAN_HEIGHT = 4.9, 1.9
"""m: a car beyond either is a van, which nuScenes does not tell apart."""


class NuScenesFrames:
    """Key frames of a folder, once for each camera: `frames[i]`, `len(frames)`, `names`, key frame and camera.

    root: a data set with tables and files, or a folder with info.json.  cameras: names of those to take, all when None.
    Raises InputError where tables, files or cameras are absent or damaged.
    """

    def __init__(self, root: Path | str, cameras: tuple[str, ...] | None = None) -> None:
        self._moments = NuScenes(root, {name: name for name in SEMANTIC})
        self._kinds = Kinds.of(Path(root))
        everywhere = tuple(view.name for view in self._moments[0].views)
        self.cameras = everywhere if cameras is None else cameras
        if missing := sorted(set(self.cameras) - set(everywhere)):
            raise InputError("cameras", missing, f"some of {everywhere}", "Correct their names.")
        self._places = [(i, camera) for i in range(len(self._moments)) for camera in self.cameras]
        self.names = tuple(f"{self._moments.names[i]}_{camera}" for i, camera in self._places)
        self._last: tuple[int, RigSample] | None = None  # cameras of a key frame come one after another

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> LidarFrame:
        place, camera = self._places[index]
        if self._last is None or self._last[0] != place:
            self._last = (place, self._moments[place])
        moment = self._last[1]
        view = next((v for v in moment.views if v.name == camera), None)
        if view is None:
            raise InputError(f"camera {camera} of {moment.name}", "absent", "one in every key frame", "Leave it out.")
        kinds = None if self._kinds is None else self._kinds.read(moment.name, len(moment.points))
        world = moment.world_from_lidar
        return LidarFrame(
            name=self.names[index],
            image=view.image,
            camera=view.camera,
            scene=rig_scene(moment, view, kinds),
            labelled=moment.boxes is not None,
            world_from_camera=None if world is None else world @ np.linalg.inv(view.camera_from_lidar),
            drive=self._moments.scenes[place],
            stamp=moment.stamp,
        )


def rig_scene(frame: RigSample, view: View, kinds: np.ndarray | None = None) -> Scene:
    """What is known before one camera.  kinds: (P,) uint8 of each return, as `Returns.label`, or None."""
    lidar_boxes = Boxes3D.empty(tuple(SEMANTIC), Axes.BODY) if frame.boxes is None else frame.boxes
    names = [_semantic(name, size) for name, size in zip(lidar_boxes.names(), lidar_boxes.size)]
    label = np.array([CLASSES.index(name) for name in names], np.uint8)
    own = np.zeros(len(frame.points), bool) if kinds is None else kinds == OWN
    told = None if kinds is None else kinds[~own]
    returns = Returns.of_lidar(frame.points[~own], view.camera_from_lidar, told)
    height = frame.height + float(np.linalg.inv(view.camera_from_lidar)[2, 3])
    return Scene.of(returns, to_camera(lidar_boxes, view.camera_from_lidar), label, height)


def _semantic(name: str, size: np.ndarray) -> str:
    """size: (3,) length, width, height, m."""
    if name == "car" and (size[0] > VAN_LENGTH or size[2] > VAN_HEIGHT):
        return "van"
    return SEMANTIC[name]


@dataclass(frozen=True)
class Kinds:
    """What single returns hit (lidarseg).  files: by key frame.  table: (256,) uint8 of each category's number."""

    files: dict[str, Path]
    table: np.ndarray

    @classmethod
    def of(cls, root: Path) -> "Kinds | None":
        """None where there is no lidarseg."""
        found = sorted(root.glob("v1.0-*/lidarseg.json"))
        if not found:
            return None
        folder = found[0].parent
        frames = {row["token"]: row["sample_token"] for row in read_json(folder / "sample_data.json")}
        table = np.full(256, UNKNOWN, np.uint8)
        for row in read_json(folder / "category.json"):
            if "index" in row:
                table[row["index"]] = _kind(row["name"])
        rows = read_json(found[0])
        return cls({frames[r["sample_data_token"]]: root / r["filename"] for r in rows}, table)

    def read(self, frame: str, count: int) -> np.ndarray | None:
        """(count,) uint8 as in `Returns.label`, or None. Raises InputError for a file of another count."""
        path = self.files.get(frame)
        if path is None:
            return None
        size = path.stat().st_size if path.is_file() else -1
        if size != count:
            value = "absent" if size < 0 else f"{size} bytes"
            raise InputError(f"lidarseg {path}", value, f"{count} bytes, one per return", "Restore it.")
        return np.asarray(self.table[np.fromfile(path, np.uint8)])


def _kind(category: str) -> int:
    if category == _EGO:
        return OWN
    name = LIDARSEG.get(category) or SEMANTIC.get(CATEGORIES.get(category, ""))
    return UNKNOWN if name is None else CLASSES.index(name)
