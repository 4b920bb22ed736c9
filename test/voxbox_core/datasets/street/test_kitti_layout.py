"""A captured frame comes back from its KITTI folder as it was."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import TYPES, KittiFolder
from voxbox_core.datasets.sample import Sample
from voxbox_core.datasets.street.capture import Capture
from voxbox_core.datasets.street.kitti_layout import KittiWriter
from voxbox_core.errors import InputError


def _capture() -> Capture:
    rng = np.random.default_rng(2)
    camera = Camera(np.array([[70.0, 0, 62.3], [0, 70.0, 18.7], [0, 0, 1]]), 124, 37)
    lidar_to_camera = np.array([[0, -1, 0, 0.02], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1.0]])
    boxes = Boxes3D(
        center=np.array([[1.5, 0.9, 12.0], [-4.0, 0.6, 25.0]]),
        size=np.array([[4.1, 1.7, 1.5], [0.6, 0.6, 1.8]]),
        yaw=np.array([0.4, -2.0]),
        label=np.array([TYPES.index("Car"), TYPES.index("Pedestrian")]),
        score=np.ones(2),
        box2d=np.array([[60.0, 12, 80, 27], [30, 10, 34, 24]]),
        classes=TYPES,
    )
    sample = Sample(
        name="000007",
        image=rng.integers(0, 256, (37, 124, 3), dtype=np.uint8),
        camera=camera,
        boxes=boxes,
        truncation=np.array([0.25, 0.0]),
        occlusion=np.array([1, 0]),
        dont_care=np.array([[5.0, 6.0, 9.0, 8.0]]),
        points=rng.normal(0, 20, (50, 4)).astype(np.float32),
        lidar_to_camera=lidar_to_camera,
    )
    depth = np.full((37, 124), np.inf)
    depth[20:] = 12.34
    instance = np.zeros((37, 124), np.int32)
    instance[20:, 40:50] = 513
    return Capture(sample, depth, instance)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_frame_comes_back(tmp_path: Path, suffix: str) -> None:
    capture = _capture()
    KittiWriter(tmp_path, suffix).write(capture)
    read, sample = KittiFolder(tmp_path)[0], capture.sample
    assert read.boxes is not None
    assert sample.boxes is not None
    assert read.name == "000007"
    assert read.camera.intrinsics == pytest.approx(sample.camera.intrinsics)
    if suffix == ".png":
        assert np.array_equal(read.image, sample.image)
    for name in ("center", "size", "yaw", "label", "box2d"):
        assert getattr(read.boxes, name) == pytest.approx(getattr(sample.boxes, name), abs=2e-4), name
    assert read.truncation == pytest.approx(sample.truncation)
    assert read.occlusion.tolist() == sample.occlusion.tolist()
    assert read.dont_care == pytest.approx(sample.dont_care)
    assert np.array_equal(read.points, sample.points)
    assert read.lidar_to_camera == pytest.approx(sample.lidar_to_camera)


def test_depth_and_instance_images(tmp_path: Path) -> None:
    capture = _capture()
    KittiWriter(tmp_path, depth=True, instance=True).write(capture)
    depth = cv2.imread(str(tmp_path / "depth" / "000007.png"), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert (depth[:20] == 0).all()
    assert depth[20:] / 256 == pytest.approx(12.34, abs=1 / 512)
    instance = cv2.imread(str(tmp_path / "instance" / "000007.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(instance, capture.instance)


def test_a_frame_is_complete_only_when_everything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = KittiWriter(tmp_path, instance=True)
    with monkeypatch.context() as broken:
        broken.setattr(cv2, "imwrite", lambda path, *_: "instance" not in path)
        with pytest.raises(OSError, match="instance"):
            writer.write(_capture())
    assert not writer.has("000007")
    writer.write(_capture())
    assert writer.has("000007")


def test_an_unknown_image_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="image suffix is .tiff"):
        KittiWriter(tmp_path, ".tiff")
