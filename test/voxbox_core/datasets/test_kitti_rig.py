"""KITTI as its LiDAR sees it: boxes come back from the LiDAR frame, and real points lie in real boxes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import Calibration, KittiFolder, from_boxes, write_calib, write_labels
from voxbox_core.datasets.kitti_rig import HEIGHT, IMAGE_SIZE, KittiRig, rig_sample, to_camera, to_lidar
from voxbox_core.datasets.rig import UNCOUNTED
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError

K = np.array([[700.0, 0, 620], [0, 700, 187], [0, 0, 1]])
CAMERA_FROM_LIDAR = np.array([[0.0, -1, 0, 0.1], [0, 0, -1, -0.1], [1, 0, 0, -0.3], [0, 0, 0, 1]])


def _boxes(count: int = 6) -> Boxes3D:
    """Cars before the camera."""
    rng = np.random.default_rng(0)
    return Boxes3D(
        center=rng.uniform([-8, 0.5, 10], [8, 1.0, 40], (count, 3)),
        size=np.tile([4.0, 1.6, 1.5], (count, 1)),
        yaw=rng.uniform(-3.1, 3.1, count),
        label=np.zeros(count),
        score=np.ones(count),
        box2d=np.tile([10.0, 20, 110, 120], (count, 1)),
        classes=("Car",),
    )


def _folder(root: Path, points: np.ndarray, name: str = "000007") -> Path:
    for part in ("velodyne", "calib", "label_2", "image_2"):
        (root / part).mkdir(parents=True)
    calibration = Calibration.of_camera(K, CAMERA_FROM_LIDAR)
    for stem in (name, "000008"):
        write_calib(root / "calib" / f"{stem}.txt", calibration)
    count = len(_boxes())
    rows = from_boxes(_boxes(), calibration, np.zeros(count), np.zeros(count, np.int64))
    write_labels(root / "label_2" / f"{name}.txt", rows)
    cv2.imwrite(str(root / "image_2" / f"{name}.png"), np.zeros((375, 1242, 3), np.uint8))
    points.astype(np.float32).tofile(root / "velodyne" / f"{name}.bin")
    return root


def _points() -> np.ndarray:
    """Three in each box, and one far away."""
    centers = to_lidar(_boxes(), CAMERA_FROM_LIDAR).center
    inside = np.repeat(centers, 3, axis=0) + np.tile([[0, 0, 0], [0.2, 0.1, 0.1], [-0.2, 0, 0.3]], (len(centers), 1))
    return np.column_stack([np.vstack([inside, [[-40.0, 0, 0]]]), np.full(3 * len(centers) + 1, 0.25)])


def test_boxes_come_back_from_the_lidar_frame() -> None:
    there = to_lidar(_boxes(), CAMERA_FROM_LIDAR)
    assert there.axes is Axes.BODY
    back = to_camera(there, CAMERA_FROM_LIDAR)
    np.testing.assert_allclose(back.corners(), _boxes().corners(), atol=1e-9)


def test_a_folder_gives_clouds_with_truth(tmp_path: Path) -> None:
    rig = KittiRig(_folder(tmp_path, _points()))
    assert rig.names == ("000007",) and rig.skipped == 1  # 000008 has no cloud
    sample = rig[0]
    assert sample.points.shape == (19, 5) and sample.points.dtype == np.float32 and sample.height == HEIGHT
    np.testing.assert_array_equal(sample.points[:, 4], 0)
    np.testing.assert_array_equal(sample.points[:, 3], 0.25)
    assert sample.boxes is not None
    np.testing.assert_array_equal(sample.hits, 3)
    np.testing.assert_allclose(sample.boxes.center, to_lidar(_boxes(), CAMERA_FROM_LIDAR).center, atol=1e-3)
    view = sample.views[0]
    pixel = view.image_from_lidar @ np.append(sample.boxes.center[0], 1)
    expected, depth = Camera(K, 1242, 375).project(_boxes().center[0])
    np.testing.assert_allclose([*pixel[:2] / pixel[2], pixel[2]], [*expected, depth], atol=0.01)
    assert rig.read(0, views=False).views == ()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_header_and_the_cameras_size_need_no_decoding(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _folder(tmp_path, _points())
    (root / "image_2" / "000007.png").unlink()
    cv2.imwrite(str(root / "image_2" / f"000007{suffix}"), np.zeros((370, 1224, 3), np.uint8))
    rig = KittiRig(root)
    whole = rig[0]
    (root / "velodyne" / "000007.bin").write_bytes(b"123")
    monkeypatch.setattr("voxbox_core.datasets.kitti_rig.read_image", lambda path: pytest.fail(f"{path} is decoded"))
    header, camera = rig.header(0), rig.camera(0)
    assert len(header.points) == 0 and header.views == () and header.height == whole.height
    assert header.boxes is not None and whole.boxes is not None
    np.testing.assert_array_equal(header.boxes.corners(), whole.boxes.corners())
    np.testing.assert_array_equal(header.hits, [UNCOUNTED] * 6)
    seen = whole.views[0].camera
    assert (camera.width, camera.height) == (seen.width, seen.height) == (1224, 370)
    np.testing.assert_array_equal(camera.intrinsics, seen.intrinsics)
    (root / "image_2" / f"000007{suffix}").write_bytes(b"123")
    with pytest.raises(InputError, match="expected a whole png or jpg file"):
        rig.camera(0)


def test_both_readers_agree(tmp_path: Path) -> None:
    root = _folder(tmp_path, _points())
    one, other = rig_sample(KittiFolder(root, ["000007"])[0]), KittiRig(root)[0]
    np.testing.assert_array_equal(one.points, other.points)
    assert one.boxes is not None and other.boxes is not None
    np.testing.assert_array_equal(one.boxes.corners(), other.boxes.corners())
    np.testing.assert_array_equal(one.hits, other.hits)
    np.testing.assert_array_equal(one.views[0].image_from_lidar, other.views[0].image_from_lidar)


def test_a_frame_without_image_or_labels_is_a_cloud_alone(tmp_path: Path) -> None:
    root = _folder(tmp_path, _points())
    (root / "image_2" / "000007.png").unlink()
    (root / "label_2" / "000007.txt").unlink()
    (root / "label_2").rmdir()
    sample = KittiRig(root)[0]
    assert sample.views == () and sample.boxes is None and len(sample.hits) == 0
    assert KittiRig(root).header(0).boxes is None
    camera = KittiRig(root).camera(0)
    assert (camera.width, camera.height) == IMAGE_SIZE


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no velodyne and calib"):
        KittiRig(tmp_path)
    root = _folder(tmp_path / "kitti", _points())
    write_calib(root / "calib" / "000007.txt", Calibration.of_camera(K))
    with pytest.raises(InputError, match="Tr_velo_to_cam"):
        KittiRig(root)[0]
    image = np.zeros((375, 1242, 3), np.uint8)
    with pytest.raises(InputError, match="points of x"):
        rig_sample(Sample("x", image, Camera(K, 1242, 375), lidar_to_camera=CAMERA_FROM_LIDAR))
    (root / "velodyne" / "000007.bin").unlink()
    with pytest.raises(InputError, match="without clouds"):
        KittiRig(root)


@pytest.mark.data
def test_real_points_lie_in_real_boxes(shared_data: Path) -> None:
    """Cars within 25 m are hit, points above ground surround the LiDAR at its height, and a car's points project into
    its 2D box."""
    rig = KittiRig(shared_data / "kitti" / "full")
    cars = 0
    for index in range(0, len(rig), 3):
        sample, labels = rig[index], rig.labels(index)
        assert sample.boxes is not None and labels is not None
        near = np.hypot(*sample.points[:, :2].T) < 12
        ground = np.median(np.sort(sample.points[near, 2])[: near.sum() // 2])
        assert abs(ground + sample.height) < 0.25, sample.name
        for i in np.flatnonzero(np.array(sample.boxes.names()) == "Car"):
            if np.hypot(*sample.boxes.center[i, :2]) > 25:
                continue
            assert sample.hits[i] > 30, (sample.name, i)
            cars += 1
            local = (sample.points[:, :3] - sample.boxes.center[i]) @ sample.boxes.rotation()[i]
            inside = (np.abs(local) <= sample.boxes.size[i] / 2).all(-1)
            pixels = np.column_stack([sample.points[inside, :3], np.ones(inside.sum())]) @ (
                sample.views[0].image_from_lidar.T
            )
            uv, box = pixels[:, :2] / pixels[:, 2:], sample.boxes.box2d[i]
            camera = sample.views[0].camera
            seen = ((uv > 0) & (uv < [camera.width, camera.height])).all(-1)
            in_box = ((uv[seen] > box[:2] - 3) & (uv[seen] < box[2:] + 3)).all(-1)
            assert in_box.mean() > 0.9, (sample.name, i)
    assert cars > 5


@pytest.mark.data
def test_real_frames_without_images_or_intensity(shared_data: Path) -> None:
    lidar_only = KittiRig(shared_data / "kitti" / "lidar_only")
    assert len(lidar_only) == 3 and lidar_only[0].views == () and lidar_only[0].hits.max() > 100
    mono = KittiRig(shared_data / "kitti" / "mono")
    assert len(mono) == 5 and mono.skipped == 15
    assert mono[0].points[:, 3].max() == 0 and mono[0].hits.max() > 100
