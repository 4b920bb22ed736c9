"""KITTI's frames as a LiDAR sees them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import (
    IMAGE_SUFFIXES,
    Calibration,
    Labels,
    read_calib,
    read_image,
    read_labels,
    read_points,
    to_boxes,
)
from voxbox_core.datasets.rig import UNCOUNTED, RigSample, View, points_in_boxes
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError

HEIGHT = 1.73
"""m, of the LiDAR above the ground (Geiger et al., Vision meets Robotics, 2013, figure 3)."""
IMAGE_SIZE = (1242, 375)
"""px, of most images: for frames that come without theirs."""
CAMERA_NAME = "image_2"


def rig_sample(sample: Sample) -> RigSample:
    """A frame with a cloud as its LiDAR saw it: truth in the LiDAR frame, the camera as its one view.

    Raises InputError for a frame without points or without the LiDAR's calibration.
    """
    if sample.points is None or sample.lidar_to_camera is None:
        missing = "points" if sample.points is None else "Tr_velo_to_cam"
        raise InputError(f"{missing} of {sample.name}", "absent", "a frame with LiDAR", "Give velodyne and calib.")
    view = View(CAMERA_NAME, sample.image, sample.camera, sample.lidar_to_camera)
    cloud = _cloud(sample.points)
    if sample.boxes is None:
        return RigSample(sample.name, cloud, HEIGHT, (view,))
    placed = to_lidar(sample.boxes, sample.lidar_to_camera)
    return RigSample(sample.name, cloud, HEIGHT, (view,), placed, points_in_boxes(cloud, placed).sum(-1))


def _cloud(points: np.ndarray) -> np.ndarray:
    """(P, 4) -> (P, 5), of age 0."""
    return np.column_stack([points, np.zeros(len(points))]).astype(np.float32)


def to_lidar(boxes: Boxes3D, camera_from_lidar: np.ndarray) -> Boxes3D:
    """Boxes of the camera's frame in that of the LiDAR."""
    lidar_from_camera = np.linalg.inv(camera_from_lidar)
    return boxes.transformed(lidar_from_camera[:3, :3], lidar_from_camera[:3, 3], Axes.BODY)


def to_camera(boxes: Boxes3D, camera_from_lidar: np.ndarray) -> Boxes3D:
    """Boxes of the LiDAR's frame in that of the camera."""
    return boxes.transformed(camera_from_lidar[:3, :3], camera_from_lidar[:3, 3], Axes.OPTICAL)


class KittiRig:
    """The frames of a KITTI layout that have a cloud: velodyne/NAME.bin, calib/NAME.txt and, where they are,
    label_2/NAME.txt and image_2/NAME.png or .jpg.

    The clouds' folder is the first whose name begins with velodyne.
    names: the frames.  skipped: how many others have a calibration but no cloud.
    Raises InputError when the folder or a frame lacks what it needs.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        clouds = sorted(path for path in self.root.glob("velodyne*") if path.is_dir())
        if not clouds or not (self.root / "calib").is_dir():
            expected = "a KITTI layout: velodyne, calib[, label_2, image_2]"
            raise InputError(f"folders in {self.root}", "no velodyne and calib", expected, "Check the path.")
        self._clouds = clouds[0]
        self.names = tuple(sorted(path.stem for path in self._clouds.glob("*.bin")))
        if not self.names:
            raise InputError(f"folder {self._clouds}", "without clouds", ".bin files", "Check the path.")
        calibrated = {path.stem for path in (self.root / "calib").glob("*.txt")}
        self.skipped = len(calibrated - set(self.names))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> RigSample:
        return self.read(index)

    def read(self, index: int, views: bool = True) -> RigSample:
        """Frame `index`; without its camera, which is left unread, when views is False."""
        header = self.header(index)
        cloud = _cloud(read_points(self._clouds / f"{header.name}.bin"))
        seen = self._views(index, self.camera_from_lidar(index)) if views else ()
        hits = header.hits if header.boxes is None else points_in_boxes(cloud, header.boxes).sum(-1)
        return replace(header, points=cloud, views=seen, hits=hits)

    def header(self, index: int) -> RigSample:
        """Frame `index` without points and camera, which are left unread: nobody has counted its boxes' hits."""
        labels = self.labels(index)
        cloud, camera_from_lidar = np.zeros((0, 5), np.float32), self.camera_from_lidar(index)
        if labels is None:
            return RigSample(self.names[index], cloud, HEIGHT)
        boxes = to_lidar(to_boxes(labels, self.calibration(index)), camera_from_lidar)
        hits = np.full(len(boxes), UNCOUNTED)
        return RigSample(self.names[index], cloud, HEIGHT, boxes=boxes, hits=hits)

    def calibration(self, index: int) -> Calibration:
        return read_calib(self.root / "calib" / f"{self.names[index]}.txt")

    def camera_from_lidar(self, index: int) -> np.ndarray:
        """(4, 4): LiDAR frame to that of camera 2."""
        transform = self.calibration(index).lidar_to_camera
        if transform is None:
            what = f"{self.root / 'calib' / self.names[index]}.txt: entry Tr_velo_to_cam"
            raise InputError(what, "absent", "Tr_velo_to_cam: and 12 numbers", "Give the LiDAR's calibration.")
        return transform

    def labels(self, index: int) -> Labels | None:
        """The label rows of a frame, or None where the folder has no label_2."""
        if not (self.root / "label_2").is_dir():
            return None
        return read_labels(self.root / "label_2" / f"{self.names[index]}.txt")

    def camera(self, index: int) -> Camera:
        """Camera 2, with an image of the usual size where there is none."""
        path = self._image(index)
        width, height = IMAGE_SIZE if path is None else _size(path)
        return Camera(self.calibration(index).intrinsics, width, height)

    def _image(self, index: int) -> Path | None:
        names = (self.root / "image_2" / f"{self.names[index]}{suffix}" for suffix in IMAGE_SUFFIXES)
        return next((path for path in names if path.is_file()), None)

    def _views(self, index: int, camera_from_lidar: np.ndarray) -> tuple[View, ...]:
        path = self._image(index)
        if path is None:
            return ()
        image = read_image(path)
        camera = Camera(self.calibration(index).intrinsics, image.shape[1], image.shape[0])
        return (View(CAMERA_NAME, image, camera, camera_from_lidar),)


def _size(path: Path) -> tuple[int, int]:
    """Width and height of an image, px, by its first bytes: to decode it takes a hundred times as long."""
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        expected = "a whole png or jpg file"
        raise InputError(f"image {path}", "unreadable", expected, "Restore it from its source.") from error
