"""Bags with a LiDAR and any number of cameras as RigSamples: our own drives and recorded ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxbox.bag.rig import recorded, rig_samples
from voxbox.bag.transforms import Transforms
from voxbox_core.boxes import Axes, Boxes3D, iou_3d
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, find_topics, messages, new_bag, write_rig_drive
from voxbox_core.datasets.bag.rig import find_rig_topics
from voxbox_core.datasets.bag.types import CAMERA_INFO, COMPRESSED_IMAGE, POINTS, TF
from voxbox_core.datasets.rig import RigSample, View, points_in_boxes
from voxbox_core.errors import InputError

CAMERA = Camera(np.array([[30.0, 0, 20], [0, 30, 12], [0, 0, 1]]), 40, 24)
OPTICAL = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
"""From a body's frame."""


def _pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("ZY", [yaw, pitch]).as_matrix()
    pose[:3, 3] = x, y, z
    return pose


def _sample(i: int) -> RigSample:
    """The car has driven i metres; its LiDAR, 1.8 m above the ground, looks down a little."""
    rng = np.random.default_rng(i)
    world_from_lidar = _pose(x=float(i), y=2.0, z=1.8, yaw=0.3, pitch=0.05)
    ground = np.c_[rng.uniform(-20, 20, (4000, 2)), np.zeros(4000)]
    car = rng.uniform(-0.5, 0.5, (200, 3)) * [4, 1.8, 1.6] + [8, 3, 0.8]
    world = np.r_[ground, car]
    points = (world - world_from_lidar[:3, 3]) @ world_from_lidar[:3, :3]
    cloud = np.c_[points, rng.uniform(0, 0.9, len(points)), np.zeros(len(points))].astype(np.float32)
    older = cloud[:10] + np.float32([0, 0, 0, 0, 0.1])
    size, unknown = np.array([[4, 1.8, 1.6]]), np.full((1, 4), np.nan)
    one = (np.zeros(1), np.array([1]), np.ones(1))
    boxes = Boxes3D(np.array([[8.0, 3, 0.8]]), size, *one, unknown, ("Bus", "Car"), Axes.BODY)
    lidar_from_world = np.linalg.inv(world_from_lidar)
    image = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, :, None] * 4, (24, 40, 3)).copy()
    views = tuple(
        View(name, image, CAMERA, OPTICAL @ _pose(0.2, yaw=yaw))
        for name, yaw in (("CAM_BACK", np.pi), ("CAM_FRONT", 0.0))
    )
    return RigSample(
        f"{i:06d}",
        np.r_[cloud, older],
        1.8,
        views,
        boxes.transformed(lidar_from_world[:3, :3], lidar_from_world[:3, 3], Axes.BODY),
        np.array([200]),
        stamp=100.0 + i / 10,
        world_from_lidar=world_from_lidar,
    )


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rig") / "drive.mcap"
    assert write_rig_drive(path, (_sample(i) for i in range(3)), "png") == 3
    return path


def test_a_drive_comes_back(drive: Path) -> None:
    """Level: the sensor's tilt is in tf."""
    found = list(rig_samples(drive))
    assert [s.name for s in found] == ["000000", "000001", "000002"]
    for i, sample in enumerate(found):
        source = _sample(i)
        assert sample.stamp == pytest.approx(source.stamp)
        assert sample.height == pytest.approx(1.8, abs=0.02)
        newest = source.points[source.points[:, 4] == 0]
        assert len(sample.points) == len(newest)
        assert (sample.points[:, 4] == 0).all()
        assert sample.world_from_lidar is not None and source.world_from_lidar is not None
        np.testing.assert_allclose(sample.world_from_lidar, _pose(float(i), 2.0, 1.8, 0.3), atol=1e-6)
        np.testing.assert_allclose(
            _moved(sample.world_from_lidar, sample), _moved(source.world_from_lidar, source)[: len(newest)], atol=1e-4
        )
        np.testing.assert_allclose(sample.points[:, 3], newest[:, 3], atol=1e-6)


def _moved(pose: np.ndarray, sample: RigSample) -> np.ndarray:
    return sample.points[:, :3] @ pose[:3, :3].T + pose[:3, 3]


def test_truth_and_views_come_back(drive: Path) -> None:
    for i, sample in enumerate(rig_samples(drive)):
        assert sample.boxes is not None and sample.world_from_lidar is not None
        assert sample.boxes.names() == ["Car"]
        pose = sample.world_from_lidar
        box = sample.boxes.transformed(pose[:3, :3], pose[:3, 3], Axes.BODY)
        np.testing.assert_allclose(box.center, [[8, 3, 0.8]], atol=1e-6)
        assert iou_3d(box, replace(box, center=np.array([[8.0, 3, 0.8]]), yaw=np.zeros(1)))[0, 0] > 0.99
        assert sample.hits.tolist() == points_in_boxes(sample.points, sample.boxes).sum(1).tolist()
        assert sample.hits[0] > 190
        source = _sample(i)
        assert [v.name for v in sample.views] == ["CAM_BACK", "CAM_FRONT"]
        for view, original in zip(sample.views, source.views, strict=True):
            np.testing.assert_array_equal(view.image, original.image)
            np.testing.assert_allclose(view.camera.intrinsics, CAMERA.intrinsics)
            found = np.c_[sample.points[:, :3], np.ones(len(sample.points))] @ view.image_from_lidar.T
            wanted = np.c_[source.points[:, :3], np.ones(len(source.points))] @ original.image_from_lidar.T
            np.testing.assert_allclose(found, wanted[: len(found)], atol=2e-3)


def test_a_rig_drive_serves_a_single_camera_too(drive: Path) -> None:
    with Bag(drive) as bag:
        topics = find_topics(bag)
        counts = {t.name: (t.count, t.latched) for t in bag.topics}
    assert topics.image.name == "/cam_front/image/compressed"
    assert (topics.camera_info, topics.points) == ("/cam_front/camera_info", "/lidar/points")
    assert counts["/tf_static"] == (1, True)
    assert counts["/tf"] == (3, False)


def test_a_drive_needs_frames(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        write_rig_drive(tmp_path / "a.mcap", [])
    with pytest.raises(InputError, match="image kind"):
        write_rig_drive(tmp_path / "a.mcap", [_sample(0)], "gif")
    assert not list(tmp_path.iterdir())


MS = 1_000_000
SECOND = 1_000_000_000


def _write_apart(path: Path, skews: dict[str, int], tf: bool = True, base: bool = True) -> None:
    """One cloud at 10 s, an image of each camera `skews` ms off; the car drives 10 m/s along x, tf every 100 ms."""
    source = _sample(0)
    with new_bag(path) as bag:
        mounts = {view.name: np.linalg.inv(view.camera_from_lidar) for view in source.views}
        if base:
            mounts["lidar"] = _pose(z=1.8)
            mounts |= {v.name: mounts["lidar"] @ mounts[v.name] for v in source.views}
        parent = "base_link" if base else "lidar"
        bag.write("/tf_static", TF, 0, messages.transforms(0, parent, mounts), latched=True)
        if tf:
            for k in range(90, 112):
                pose = messages.transform(k * 100 * MS, "odom", "base_link", _pose(x=float(k)))
                bag.write("/tf", TF, k * 100 * MS, pose)
        for view in source.views:
            now = 10 * SECOND + skews[view.name] * MS
            info = messages.camera_info(now, view.name, view.camera)
            bag.write(f"/{view.name}/camera_info", CAMERA_INFO, now, info)
            picture = messages.compressed_image(now, view.name, view.image, "png")
            bag.write(f"/{view.name}/image/compressed", COMPRESSED_IMAGE, now, picture)
        cloud = messages.point_cloud(10 * SECOND, "lidar", source.points[:, :4])
        bag.write("/points", POINTS, 10 * SECOND, cloud)


def test_images_are_tied_to_the_cloud_over_the_way_between(tmp_path: Path) -> None:
    path = tmp_path / "bag.mcap"
    _write_apart(path, {"CAM_BACK": -40, "CAM_FRONT": 25})
    with Bag(path) as bag:
        (moment,) = recorded(bag, find_rig_topics(bag))
    assert moment.skew == pytest.approx({"CAM_BACK": -0.04, "CAM_FRONT": 0.025})
    for view, source in zip(moment.sample.views, _sample(0).views, strict=True):
        way = 10 * moment.skew[view.name]  # m the car has driven from the cloud to the image
        expected = source.camera_from_lidar @ _pose(x=-way)
        np.testing.assert_allclose(view.camera_from_lidar, expected, atol=1e-6)


def test_an_image_too_far_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "bag.mcap"
    _write_apart(path, {"CAM_BACK": -80, "CAM_FRONT": 0})
    (sample,) = rig_samples(path)
    assert [v.name for v in sample.views] == ["CAM_FRONT"]


def test_a_camera_without_a_place_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "bag.mcap"
    source = _sample(0)
    lost = replace(source, views=(replace(source.views[0], name="LOST"),))
    write_rig_drive(path, [lost], "png")
    with Bag(path) as bag, new_bag(tmp_path / "without.mcap") as without:
        for m in bag.messages():
            if "tf" not in m.topic:
                without.write(m.topic, m.msgtype, m.time, m.raw)
    (sample,) = rig_samples(tmp_path / "without.mcap", height=1.5)
    assert sample.views == ()
    assert "LOST" in caplog.text
    assert sample.height == 1.5
    assert sample.world_from_lidar is None


def test_without_a_base_frame_the_lidar_says_what_is_forward(tmp_path: Path) -> None:
    path = tmp_path / "bag.mcap"
    _write_apart(path, {"CAM_BACK": 0, "CAM_FRONT": 0}, tf=False, base=False)
    (sample,) = rig_samples(path)
    np.testing.assert_array_equal(sample.points[:, :3], _sample(0).points[:, :3])
    assert [v.name for v in sample.views] == ["CAM_BACK", "CAM_FRONT"]


def test_a_height_that_nobody_knows_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "bag.mcap"
    with new_bag(path) as bag:
        bag.write("/points", POINTS, SECOND, messages.point_cloud(SECOND, "lidar", np.ones((5, 4), np.float32)))
    with pytest.raises(InputError, match="height of the LiDAR"):
        list(rig_samples(path))
    with pytest.raises(InputError, match="/other"):
        list(rig_samples(path, points="/other"))


def test_moving_transforms_are_interpolated(tmp_path: Path) -> None:
    path = tmp_path / "tf.mcap"
    with new_bag(path) as bag:
        for second, yaw in ((1, 0.0), (2, 1.0)):
            pose = messages.transform(second * SECOND, "odom", "base_link", _pose(x=second, yaw=yaw))
            bag.write("/tf", TF, second * SECOND, pose)
    with Bag(path) as bag:
        transforms = Transforms(bag, ["/tf"])
    for seconds, expected in ((1.0, _pose(1)), (1.5, _pose(1.5, yaw=0.5)), (0.2, _pose(1)), (9.0, _pose(2, yaw=1.0))):
        found = transforms.between("base_link", "odom", int(seconds * SECOND))
        np.testing.assert_allclose(found, expected, atol=1e-9)
        back = transforms.between("odom", "base_link", int(seconds * SECOND))
        np.testing.assert_allclose(back, np.linalg.inv(expected), atol=1e-9)
    assert transforms.between("odom", "nowhere", 0) is None
    assert transforms.frames == {"odom", "base_link"}


@pytest.mark.data
def test_a_recorded_nuscenes_sample_with_six_cameras(shared_data: Path) -> None:
    with Bag(shared_data / "ros2_bags" / "nuscenes_sample_6cam_mcap") as bag:
        (moment,) = recorded(bag, find_rig_topics(bag))
    sample = moment.sample
    assert len(sample.views) == 6 and set(moment.skew) == {v.name for v in sample.views}
    assert all(-0.05 < skew <= 0 for skew in moment.skew.values())
    assert sample.height == pytest.approx(1.84, abs=0.1)
    assert sample.points[:, 3].max() <= 1
    for view in sample.views:
        forward = view.camera_from_lidar[2, :3]  # the optical axis in the LiDAR's frame, x forward
        yaw = np.degrees(np.arctan2(forward[1], forward[0]))
        wanted = {"FRONT": 0, "FRONT_LEFT": 55, "FRONT_RIGHT": -55, "BACK": 180, "BACK_LEFT": 110, "BACK_RIGHT": -110}
        assert abs((yaw - wanted[view.name.removeprefix("CAM_")] + 180) % 360 - 180) < 5


@pytest.mark.data
@pytest.mark.parametrize("name", ["kitti_raw_seq_2f_sqlite3", "kitti_raw_seq_8f_mcap"])
def test_recorded_kitti_sequences(shared_data: Path, name: str) -> None:
    found = list(rig_samples(shared_data / "ros2_bags" / name))
    assert len(found) == int(name.split("_")[3].removesuffix("f"))
    for sample in found[:2]:
        assert sample.height == pytest.approx(1.73, abs=0.12)
        (view,) = sample.views
        ahead = sample.points[(np.abs(sample.points[:, 1]) < 2) & (sample.points[:, 0] > 12)]
        uv = np.c_[ahead[:, :3], np.ones(len(ahead))] @ view.image_from_lidar.T
        uv = uv[:, :2] / uv[:, 2:]
        assert ((uv >= 0) & (uv < [view.camera.width, view.camera.height])).all(1).mean() > 0.9
