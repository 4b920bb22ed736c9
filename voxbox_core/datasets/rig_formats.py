"""Folders of LiDAR frames in any of the formats that are read."""

from collections.abc import Callable
from pathlib import Path

from voxbox_core.datasets.argoverse2 import Argoverse2
from voxbox_core.datasets.kitti_rig import KittiRig
from voxbox_core.datasets.nuscenes import NuScenes
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_folder import RigFolder

Folder = RigFolder | KittiRig | NuScenes | Argoverse2
SEVERAL_SWEEPS = ("nuscenes", "argoverse2")
"""Formats whose frames are put together here; a rig's frames have the sweeps they were written with."""

FORMATS: dict[str, Callable[[Path, int], Folder]] = {
    "rig": lambda root, _: RigFolder(root),
    "kitti": lambda root, _: KittiRig(root),
    "nuscenes": lambda root, sweeps: NuScenes(root, sweeps=sweeps),
    "argoverse2": lambda root, sweeps: Argoverse2(root, sweeps=sweeps),
}
"""-> the folder `root`, with so many sweeps to a cloud where the format has them."""

_SIGNS = {
    "nuscenes": ("info.json", "v1.0-*/sample.json"),
    "argoverse2": ("sensors/lidar/*.feather", "*/sensors/lidar/*.feather"),
    "kitti": ("velodyne*/*.bin",),
}


def format_of(root: Path) -> str:
    """Of FORMATS, the one whose files lie in a folder; a rig's where it is none of the others."""
    return next((name for name, signs in _SIGNS.items() if any(any(root.glob(sign)) for sign in signs)), "rig")


def read_frame(folder: Folder, index: int, views: bool) -> RigSample:
    """A frame; without its cameras, which are left unread, when views is False."""
    if isinstance(folder, Argoverse2):
        return folder[index]  # they are not read at all
    if isinstance(folder, RigFolder):
        return folder.read(index, points=True, views=views)
    return folder.read(index, views=views)
