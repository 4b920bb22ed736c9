"""KITTI frames with LiDAR as voxels: what its boxes and returns tell of the space before camera 2."""

from pathlib import Path
from types import MappingProxyType

import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.kitti import KittiFolder
from voxbox_core.datasets.kitti_rig import HEIGHT
from voxbox_core.datasets.lidar_voxels import LidarFrame, Returns, Scene
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.voxels import CLASSES, UNKNOWN

SEMANTIC = MappingProxyType(
    {
        "Car": "car",
        "Van": "van",
        "Truck": "truck",
        "Bus": "bus",
        "Tram": "bus",
        "Pedestrian": "person",
        "Person_sitting": "person",
        "Cyclist": "bicycle",
    }
)
"""What KITTI's types are here; a cyclist's box holds the rider, too. Others, as Misc, are something unknown."""


class KittiFrames:
    """The frames of a KITTI layout that have a cloud: `frames[i]`, `len(frames)`, `names`.

    skipped: how many have no cloud.  Raises InputError when the folder or a frame lacks what it needs.
    """

    def __init__(self, root: Path | str) -> None:
        whole = KittiFolder(root, points=False)
        clouds = {path.stem for path in (whole.root / "velodyne").glob("*.bin")}
        self.names = tuple(name for name in whole.names if name in clouds)
        if not self.names:
            raise InputError(f"folder {whole.root / 'velodyne'}", "without clouds", ".bin files", "Check the path.")
        self.skipped = len(whole) - len(self.names)
        self._folder = KittiFolder(root, self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> LidarFrame:
        sample = self._folder[index]
        # Which drive a frame is of, KITTI does not tell.
        labelled = sample.boxes is not None
        return LidarFrame(sample.name, sample.image, sample.camera, kitti_scene(sample), labelled, drive=sample.name)


def kitti_scene(sample: Sample) -> Scene:
    """What is known of a frame. Raises InputError for one without points or without the LiDAR's calibration."""
    if sample.points is None or sample.lidar_to_camera is None:
        missing = "points" if sample.points is None else "Tr_velo_to_cam"
        raise InputError(f"{missing} of {sample.name}", "absent", "a frame with LiDAR", "Give velodyne and calib.")
    boxes = Boxes3D.empty(("Car",)) if sample.boxes is None else sample.boxes
    names = [SEMANTIC.get(name) for name in boxes.names()]
    label = np.array([UNKNOWN if name is None else CLASSES.index(name) for name in names], np.uint8)
    returns = Returns.of_lidar(sample.points, sample.lidar_to_camera)
    return Scene.of(returns, boxes, label, HEIGHT + float(returns.origin[1]))
