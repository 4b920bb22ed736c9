"""Bags as a data set, made of KITTI frames."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from voxbox import cli
from voxbox.bag.samples import projected, samples
from voxbox.bag.transforms import StaticTransforms
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, find_topics, messages, new_bag, write_drive
from voxbox_core.datasets.bag.types import CAMERA_INFO, DETECTIONS, IMAGE, TF
from voxbox_core.datasets.kitti import Calibration, KittiFolder, write_calib
from voxbox_core.errors import InputError

K = np.array([[60.0, 0, 31.5], [0, 60, 15.5], [0, 0, 1]])
CAMERA = Camera(K, 64, 32)


@pytest.fixture
def kitti(tmp_path):
    """Three synthetic frames: P2 with an offset, a rotated R0_rect, labels with a DontCare region."""
    root = tmp_path / "kitti"
    rng = np.random.default_rng(5)
    for part in ("image_2", "calib", "label_2", "velodyne"):
        (root / part).mkdir(parents=True)
    p2 = np.hstack([K, (K @ [0.06, 0.0, 0.003])[:, None]])
    turn = cv2.Rodrigues(np.array([0.01, -0.02, 0.005]))[0]
    velodyne = np.hstack([np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), [[0.0], [-0.08], [-0.27]]])
    for i in range(3):
        name = f"{i:06d}"
        cv2.imwrite(str(root / "image_2" / f"{name}.png"), rng.integers(0, 255, (32, 64, 3), np.uint8))
        write_calib(root / "calib" / f"{name}.txt", Calibration(p2, turn, velodyne))
        (root / "label_2" / f"{name}.txt").write_text(
            f"Car 0.20 1 0.10 10.00 8.00 40.00 30.00 1.50 1.60 3.90 {i}.00 1.70 9.00 0.20\n"
            "DontCare -1 -1 -10 50.00 5.00 60.00 12.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
        )
        rng.normal(size=(7, 4)).astype(np.float32).tofile(root / "velodyne" / f"{name}.bin")
    return root


def assert_same(sample, source):
    np.testing.assert_array_equal(sample.image, source.image)
    np.testing.assert_allclose(sample.camera.intrinsics, source.camera.intrinsics)
    np.testing.assert_array_equal(sample.points, source.points)
    np.testing.assert_allclose(sample.lidar_to_camera, source.lidar_to_camera, atol=1e-7)
    np.testing.assert_allclose(sample.boxes.center, source.boxes.center, atol=1e-4)
    np.testing.assert_allclose(sample.boxes.yaw, source.boxes.yaw, atol=1e-4)
    np.testing.assert_allclose(sample.boxes.size, source.boxes.size, atol=1e-4)
    np.testing.assert_array_equal(sample.dont_care, source.dont_care)
    np.testing.assert_array_equal(sample.occlusion, source.occlusion)
    np.testing.assert_allclose(sample.truncation, source.truncation)
    assert sample.boxes.names() == source.boxes.names()


@pytest.mark.parametrize("storage", ["mcap", "db3"])
def test_kitti_frames_come_back_from_a_bag(kitti, tmp_path, storage, capsys):
    out = tmp_path / f"drive.{storage}"
    assert cli.main(["bag", "from-kitti", str(kitti), str(out), "--rate", "5"]) == 0
    assert "3 frames" in capsys.readouterr().out
    with Bag(out) as bag:
        found = list(samples(bag, find_topics(bag)))
    folder = KittiFolder(kitti)
    assert len(found) == 3
    for sample, source in zip(found, (folder[i] for i in range(3)), strict=True):
        assert_same(sample, source)
    assert np.diff([s.stamp for s in found]) == pytest.approx([0.2, 0.2])


@pytest.mark.data
def test_real_kitti_frames_come_back_from_a_bag(shared_data, tmp_path):
    folder = KittiFolder(shared_data / "kitti" / "full")
    write_drive(tmp_path / "drive.mcap", (folder[i] for i in (0, 7)))
    with Bag(tmp_path / "drive.mcap") as bag:
        for sample, index in zip(samples(bag, find_topics(bag)), (0, 7), strict=True):
            assert_same(sample, folder[index])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "shape"),
    [
        ("kitti_raw_seq_8f_mcap", 8, (375, 1242, 3)),
        ("kitti_raw_seq_2f_sqlite3", 2, (375, 1242, 3)),
        ("nuscenes_sample_6cam_mcap", 1, (900, 1600, 3)),
    ],
)
def test_real_bags_are_read(shared_data, name, count, shape):
    with Bag(shared_data / "ros2_bags" / name) as bag:
        found = list(samples(bag, find_topics(bag)))
    assert [s.image.shape for s in found] == [shape] * count
    for sample in found:
        points = sample.points[:, :3] @ sample.lidar_to_camera[:3, :3].T + sample.lidar_to_camera[:3, 3]
        pixels, depth = sample.camera.project(points)
        ahead = (depth > 1) & (np.abs(pixels - [shape[1] / 2, shape[0] / 2]) < [shape[1] / 2, shape[0] / 2]).all(-1)
        assert ahead.mean() > 0.03  # the LiDAR sees what the camera sees


def truth_bag(path, frame_id, boxes):
    """A frame whose truth is boxes in the frame `frame_id`, and where that frame stands."""
    in_body = np.array([[0.0, 0, 1, 1.5], [-1, 0, 0, 0.1], [0, -1, 0, 1.2], [0, 0, 0, 1]])
    now = 10**9
    with new_bag(path) as bag:
        bag.write("/tf_static", TF, now, messages.transform(now, "base_link", "camera", in_body), latched=True)
        bag.write("/front/info", CAMERA_INFO, now, messages.camera_info(now, "camera", CAMERA))
        bag.write("/front/image", IMAGE, now, messages.image(now, "camera", np.zeros((32, 64, 3), np.uint8)))
        bag.write("/truth", DETECTIONS, now, messages.detections(now, frame_id, boxes))


def test_truth_in_the_vehicles_frame_is_brought_into_the_cameras(tmp_path):
    optical = Boxes3D([[0.5, 0.4, 12.0]], [[3.9, 1.6, 1.5]], [0.7], [0], [1.0], [[0, 0, 1, 1]], ("Car",))
    rotation = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    body = optical.transformed(rotation, np.array([1.5, 0.1, 1.2]), Axes.BODY)
    truth_bag(tmp_path / "body.mcap", "base_link", body)
    with Bag(tmp_path / "body.mcap") as bag:
        found = next(samples(bag, find_topics(bag))).boxes
    np.testing.assert_allclose(found.center, optical.center, atol=1e-9)
    np.testing.assert_allclose(found.yaw, optical.yaw, atol=1e-9)
    assert found.axes is Axes.OPTICAL


def test_truth_in_a_frame_that_nothing_ties_to_the_camera_is_refused(tmp_path):
    boxes = Boxes3D([[9.0, 0, 0]], [[4, 2, 2]], [0], [0], [1], [[0, 0, 1, 1]], ("Car",), Axes.BODY)
    truth_bag(tmp_path / "b.mcap", "map", boxes)
    with Bag(tmp_path / "b.mcap") as bag, pytest.raises(InputError, match="frame of /truth is 'map'"):
        next(samples(bag, find_topics(bag)))


def test_truth_out_of_the_image_is_left_out(tmp_path):
    centers = [[0, 0, 10], [0, 0, -10], [40, 0, 10], [5.0, 0, 10]]
    boxes = Boxes3D(centers, [[4, 2, 2]] * 4, [0] * 4, [0] * 4, [1] * 4, np.zeros((4, 4)), ("Car",))
    truth_bag(tmp_path / "b.mcap", "camera", boxes)
    with Bag(tmp_path / "b.mcap") as bag:
        sample = next(samples(bag, find_topics(bag)))
    assert sample.boxes.center[:, 0].tolist() == [0, 5]
    assert sample.truncation[0] == 0
    assert 0.3 < sample.truncation[1] < 0.9


def test_a_projected_box_holds_its_corners_that_are_in_the_image():
    boxes = Boxes3D([[0.2, 0.1, 8.0]], [[2.0, 1, 1]], [0.5], [0], [1], [[0, 0, 0, 0]], ("Car",))
    box2d, truncation = projected(boxes, CAMERA)
    pixels, _ = CAMERA.project(boxes.corners()[0])
    np.testing.assert_allclose(box2d[0], [*pixels.min(0), *pixels.max(0)])
    assert truncation[0] == 0


def test_without_camera_info_the_remedy_is_said(tmp_path):
    with new_bag(tmp_path / "b.mcap") as bag:
        bag.write("/image", IMAGE, 1, messages.image(1, "camera", np.zeros((4, 4, 3), np.uint8)))
    with Bag(tmp_path / "b.mcap") as bag, pytest.raises(InputError, match="camera_info for /image .* is absent"):
        next(samples(bag, find_topics(bag)))


def test_static_transforms_chain_and_follow_time(tmp_path):
    def shift(x):
        return np.array([[1.0, 0, 0, x], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])

    with new_bag(tmp_path / "b.mcap") as bag:
        bag.write("/image", IMAGE, 1, messages.image(1, "camera", np.zeros((4, 4, 3), np.uint8)))
        bag.write("/tf_static", TF, 1, messages.transform(1, "base", "camera", shift(1.0)))
        bag.write("/tf_static", TF, 1, messages.transform(1, "base", "lidar", shift(3.0)))
        bag.write("/tf_static", TF, 9, messages.transform(9, "base", "lidar", shift(4.0)))
    with Bag(tmp_path / "b.mcap") as bag:
        transforms = StaticTransforms(bag, find_topics(bag))
    assert transforms.between("lidar", "camera", 5)[0, 3] == pytest.approx(2.0)
    assert transforms.between("lidar", "camera", 9)[0, 3] == pytest.approx(3.0)
    assert transforms.between("lidar", "moon", 9) is None


def test_labels_that_were_damaged_name_topic_and_frame(kitti, tmp_path):
    from voxbox_core.datasets.bag.types import STRING

    sample = KittiFolder(kitti)[0]
    with new_bag(tmp_path / "b.mcap") as bag:
        now = 10**9
        bag.write("/i/info", CAMERA_INFO, now, messages.camera_info(now, "camera", sample.camera))
        bag.write("/i/image", IMAGE, now, messages.image(now, "camera", sample.image))
        bag.write("/truth/kitti_labels", STRING, now, messages.text("Car 0 0 zero\n"))
    with Bag(tmp_path / "b.mcap") as bag, pytest.raises(InputError, match="/truth/kitti_labels, frame 0, line 1"):
        next(samples(bag, find_topics(bag)))


def test_info_says_what_the_demo_would_take(kitti, tmp_path, capsys):
    folder = KittiFolder(kitti)
    out = tmp_path / "drive.mcap"
    write_drive(out, (replace(folder[i], stamp=50 + 0.1 * i) for i in range(3)), "jpeg")
    assert cli.main(["bag", "info", str(out), "--json", str(tmp_path / "info.json")]) == 0
    said = capsys.readouterr().out
    assert "/camera/image/compressed" in said
    assert "10.0 Hz" in said
    assert (tmp_path / "info.json").read_text().count("sensor_msgs/msg/CompressedImage") == 1


def test_a_foreign_bag_is_one_line_on_stderr(tmp_path, capsys):
    (tmp_path / "x.mcap").write_text("hello")
    assert cli.main(["bag", "info", str(tmp_path / "x.mcap")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "x.mcap is unreadable" in error
