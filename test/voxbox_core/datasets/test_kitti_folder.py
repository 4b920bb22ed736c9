"""KITTI files: what is written is read back, conventions convert both ways, garbage is named by its place."""

import math
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.kitti import (
    Calibration,
    KittiFolder,
    Labels,
    from_boxes,
    has_box,
    read_calib,
    read_labels,
    to_boxes,
    write_calib,
    write_labels,
)
from voxbox_core.errors import InputError

ROW = "Car 0.30 1 -1.57 100.00 150.00 200.00 250.00 1.50 1.60 4.00 -2.00 1.70 20.00 -1.67"
DONT_CARE_ROW = "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10"
P2 = np.array([[721.5, 0, 609.6, 44.86], [0, 721.5, 172.9, 0.2164], [0, 0, 1, 0.002746]])


def _calibration() -> Calibration:
    return Calibration(P2, np.eye(3), np.array([[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3]], float))


def _boxes(count: int, seed: int = 0) -> Boxes3D:
    rng = np.random.default_rng(seed)
    return Boxes3D(
        center=rng.uniform([-20, 0, 5], [20, 2, 60], (count, 3)),
        size=rng.uniform(0.5, 5, (count, 3)),
        yaw=rng.uniform(-3.1, 3.1, count),
        label=rng.integers(0, 2, count),
        score=rng.uniform(0, 1, count),
        box2d=np.sort(rng.uniform(0, 300, (count, 2, 2)), axis=1).reshape(count, 4),
        classes=("Car", "Cyclist"),
    )


def test_labels_survive_writing_and_reading(tmp_path: Path) -> None:
    written = from_boxes(_boxes(20), _calibration())
    write_labels(tmp_path / "a.txt", written)
    read = read_labels(tmp_path / "a.txt")
    for field in fields(Labels):
        expected, found = getattr(written, field.name), getattr(read, field.name)
        if field.name == "type":
            assert found.tolist() == expected.tolist()
        else:
            np.testing.assert_allclose(found, expected, atol=5.1e-5)


def test_truth_is_written_without_score(tmp_path: Path) -> None:
    boxes = _boxes(3)
    write_labels(tmp_path / "a.txt", from_boxes(boxes, _calibration(), np.array([0.0, 0.25, 1.0]), np.array([0, 2, 3])))
    assert [len(line.split()) for line in (tmp_path / "a.txt").read_text().splitlines()] == [15] * 3
    read = read_labels(tmp_path / "a.txt")
    assert np.isnan(read.score).all()
    assert read.truncation.tolist() == [0.0, 0.25, 1.0]
    assert read.occlusion.tolist() == [0, 2, 3]
    assert to_boxes(read, _calibration()).score.tolist() == [1.0] * 3


def test_boxes_survive_the_way_through_kitti() -> None:
    boxes, calibration = _boxes(20), _calibration()
    back = to_boxes(from_boxes(boxes, calibration), calibration)
    for name in ("center", "size", "yaw", "score", "box2d"):
        np.testing.assert_allclose(getattr(back, name), getattr(boxes, name), atol=1e-12)
    assert back.names() == boxes.names()


def test_boxes_stand_in_the_frame_of_the_camera_that_took_the_image(tmp_path: Path) -> None:
    """The bottom centre seen from camera 0 through P2 and from camera 2 through K is the same pixel."""
    (tmp_path / "a.txt").write_text(ROW + "\n" + DONT_CARE_ROW + "\n")
    labels = read_labels(tmp_path / "a.txt")
    boxes = to_boxes(labels, _calibration())
    assert len(labels) == 2 and len(boxes) == 1
    assert boxes.size.tolist() == [[4.0, 1.6, 1.5]]
    projected = P2 @ [-2.0, 1.7, 20.0, 1.0]
    seen = P2[:, :3] @ boxes.bottom_center()[0]
    np.testing.assert_allclose(seen, projected, rtol=1e-12)


def test_types_beyond_kitti_follow_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(ROW.replace("Car", "Trailer") + "\n" + ROW + "\n")
    assert to_boxes(read_labels(tmp_path / "a.txt"), _calibration()).names() == ["Trailer", "Car"]


def test_a_detection_without_3d_box_is_kept_as_a_row_only(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Car -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10 0.5\n")
    labels = read_labels(tmp_path / "a.txt")
    assert labels.score.tolist() == [0.5]
    assert has_box(labels).tolist() == [False]


def test_empty_file_holds_no_objects(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.txt", Labels.empty())
    labels = read_labels(tmp_path / "a.txt")
    assert len(labels) == 0
    assert labels.box2d.shape == (0, 4)
    assert len(to_boxes(labels, _calibration())) == 0


@pytest.mark.parametrize(
    ("good", "bad", "column", "value"),
    [
        ("0.30", "1.30", "truncated", "1.3"),
        ("0.30", "x.y", "truncated", "'x.y'"),
        (" 1 ", " 7 ", "occluded", "7"),
        ("-1.57", "nan", "alpha", "'nan'"),
        ("-1.67", "90.0", "rotation_y", "90"),
        ("200.00", "20.00", "right", "20"),
        ("250.00", "25.00", "bottom", "25"),
        (" 1.60", " -1.60", "height", "1.5"),
        (" 20.00 ", " inf ", "z", "'inf'"),
        ("Car", "17", "type", "'17'"),
        (" -1.67", "", "number of columns", "14"),
    ],
)
def test_garbage_in_a_label_file_is_named(tmp_path: Path, good: str, bad: str, column: str, value: str) -> None:
    path = tmp_path / "000007.txt"
    path.write_text(f"{ROW}\n\n{ROW.replace(good, bad, 1)}\n")
    with pytest.raises(InputError) as caught:
        read_labels(path)
    assert str(caught.value).startswith(f"{path}, line 3: {column} is {value}; expected ")
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\xff\xfe", None])
def test_files_that_are_no_text_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "000007.txt"
    if content is not None:
        path.write_bytes(content)
    for read in (read_labels, read_calib):
        with pytest.raises(InputError, match=f"{path} is (not text|absent); expected a text file"):
            read(path)


def test_calibration_survives_writing_and_reading(tmp_path: Path) -> None:
    calibration = _calibration()
    write_calib(tmp_path / "a.txt", calibration)
    read = read_calib(tmp_path / "a.txt")
    np.testing.assert_allclose(read.P2, calibration.P2, rtol=1e-12)
    assert read.lidar_to_camera is not None and calibration.lidar_to_camera is not None
    np.testing.assert_allclose(read.lidar_to_camera, calibration.lidar_to_camera, atol=1e-12)


def test_a_camera_alone_has_no_lidar(tmp_path: Path) -> None:
    write_calib(tmp_path / "a.txt", Calibration.of_camera(P2[:, :3]))
    read = read_calib(tmp_path / "a.txt")
    assert read.lidar_to_camera is None
    assert read.to_camera_2.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("P2: 1 2 3", "line 5: count of numbers in P2 is 3; expected 12"),
        ("P2: 7.2e2 0 x 0 0 7e2 1e2 0 0 0 1 0", "line 5: value of P2 is 'x'; expected a finite number"),
        ("P2: 0 0 6e2 0 0 7e2 1e2 0 0 0 1 0", r"P2 is \[\[0.0.*expected \[fx 0 cx"),
        ("P4: 1", "entry P2 is absent; expected P2: and 12 numbers"),
        ("garbage", "line 5 is 'garbage'; expected KEY: numbers"),
        (f"P2: {' '.join(map(str, P2.ravel()))}\nTr_velo_to_cam: {'1 ' * 12}", "entry R0_rect is absent"),
    ],
)
def test_garbage_in_a_calibration_file_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "000007.txt"
    path.write_text("P0: 1\n\n\n\n" + line + "\n")
    with pytest.raises(InputError, match=message) as caught:
        read_calib(path)
    assert str(path) in str(caught.value)


def _write_frame(root: Path, name: str, suffix: str = ".png") -> None:
    for part in ("image_2", "calib", "label_2", "velodyne"):
        (root / part).mkdir(parents=True, exist_ok=True)
    image = np.zeros((40, 60, 3), np.uint8)
    image[..., 0] = 200  # red in RGB
    cv2.imwrite(str(root / "image_2" / f"{name}{suffix}"), image[..., ::-1])
    write_calib(root / "calib" / f"{name}.txt", _calibration())
    (root / "label_2" / f"{name}.txt").write_text(f"{DONT_CARE_ROW}\n{ROW}\n")
    np.arange(8, dtype=np.float32).tofile(root / "velodyne" / f"{name}.bin")


def test_folder_reads_samples(tmp_path: Path) -> None:
    _write_frame(tmp_path, "000003")
    _write_frame(tmp_path, "drive_1", ".jpg")
    folder = KittiFolder(tmp_path)
    assert folder.names == ("000003", "drive_1")
    for index in range(len(folder)):
        sample = folder[index]
        assert sample.name == folder.names[index]
        assert sample.image.shape == (40, 60, 3)
        assert sample.image[..., 0].mean() > 190 and sample.image[..., 2].mean() < 10
        assert sample.boxes is not None and sample.boxes.names() == ["Car"]
        assert sample.truncation.tolist() == [0.3] and sample.occlusion.tolist() == [1]
        assert sample.dont_care.tolist() == [[503.89, 169.71, 590.61, 190.13]]
        assert sample.points is not None and sample.points.shape == (2, 4)
        assert sample.lidar_to_camera is not None


def test_folder_reads_what_is_asked(tmp_path: Path) -> None:
    _write_frame(tmp_path, "a")
    _write_frame(tmp_path, "b")
    folder = KittiFolder(tmp_path, names=["b"], points=False)
    assert [folder[i].name for i in range(len(folder))] == ["b"]
    assert folder[0].points is None


def test_frames_without_labels_have_no_truth(tmp_path: Path) -> None:
    _write_frame(tmp_path, "a")
    (tmp_path / "label_2" / "a.txt").unlink()
    with pytest.raises(InputError, match="label file .*a.txt is absent"):
        KittiFolder(tmp_path)[0]
    (tmp_path / "label_2").rmdir()
    assert KittiFolder(tmp_path)[0].boxes is None


def test_broken_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="image_2 is absent; expected a KITTI layout"):
        KittiFolder(tmp_path)
    _write_frame(tmp_path, "a")
    with pytest.raises(InputError, match="image b of .* is absent"):
        KittiFolder(tmp_path, names=["b"])
    (tmp_path / "velodyne" / "a.bin").write_bytes(b"12345")
    with pytest.raises(InputError, match="5 bytes; expected a multiple of 16"):
        KittiFolder(tmp_path)[0]
    (tmp_path / "image_2" / "a.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match="a.png is unreadable"):
        KittiFolder(tmp_path, points=False)[0]
    (tmp_path / "image_2" / "a.png").unlink()
    with pytest.raises(InputError, match="without images"):
        KittiFolder(tmp_path)


@pytest.mark.data
def test_real_frames_are_read(shared_data: Path) -> None:
    """On real frames LiDAR points inside a labelled car, carried to camera 2, lie inside its box."""
    folder = KittiFolder(shared_data / "kitti" / "full")
    assert len(folder) == 20
    sample = folder[folder.names.index("000008")]
    assert sample.boxes is not None and sample.points is not None and sample.lidar_to_camera is not None
    points = sample.points[:, :3] @ sample.lidar_to_camera[:3, :3].T + sample.lidar_to_camera[:3, 3]
    assert sample.boxes.names() == ["Car"] * 6
    for i in range(len(sample.boxes)):
        local = (points - sample.boxes.center[i]) @ sample.boxes.rotation()[i]
        inside = (np.abs(local) < sample.boxes.size[i] / 2).all(-1)
        assert inside.sum() > 30


@pytest.mark.data
def test_alpha_agrees_with_real_labels(shared_data: Path) -> None:
    folder = KittiFolder(shared_data / "kitti" / "full")
    differences = []
    for index in range(len(folder)):
        labels = folder.labels(index)
        assert labels is not None
        rows = labels[has_box(labels)]
        back = from_boxes(to_boxes(labels, folder.calibration(index)), folder.calibration(index))
        differences.append((back.alpha - rows.alpha + math.pi) % (2 * math.pi) - math.pi)
    assert np.median(np.abs(np.concatenate(differences))) < 0.01
