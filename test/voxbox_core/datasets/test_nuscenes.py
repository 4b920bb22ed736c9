"""nuScenes: tables written by hand come back as one world, and the real sample's own numbers are met."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxbox_core.boxes import Axes
from voxbox_core.datasets.nuscenes import NUSCENES, NuScenes
from voxbox_core.datasets.rig import points_in_boxes
from voxbox_core.errors import InputError

TEN = {name: name for name in NUSCENES}
EGO_FROM_LIDAR = (Rotation.from_euler("zx", [-90, 1.4], degrees=True), np.array([0.9, 0.0, 1.84]))
EGO_FROM_CAMERA = (Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([1.7, 0.0, 1.5]))
# Where the vehicle was when the camera shot, at the sweep before, and at the key frame: x, y, yaw.
PLACES = {"camera": (102.6, 50.9, 0.30), "before": (100.0, 50.0, 0.25), "key": (103.0, 51.0, 0.31)}
STAMPS = {"camera": 1_000_060_000, "before": 1_000_000_000, "key": 1_000_100_000}
K = [[500.0, 0, 200], [0, 500, 100], [0, 0, 1]]
OBJECT = np.array([118.0, 57.0, 0.8])  # in the world, m


def _row(token: str, turn: Rotation, place: np.ndarray, **more: object) -> dict:
    return {"token": token, "rotation": np.roll(turn.as_quat(), 1).tolist(), "translation": list(place), **more}


def _ego(which: str) -> tuple[Rotation, np.ndarray]:
    x, y, yaw = PLACES[which]
    return Rotation.from_euler("z", yaw), np.array([x, y, 0.0])


def _cloud(which: str) -> np.ndarray:
    """Five points about the object, seen from there, and one on the vehicle's own roof."""
    turn, place = _ego(which)
    world = OBJECT + np.array([[0, 0, 0], [0.5, 0.2, 0.1], [-0.5, 0, 0.3], [0, 0.3, -0.3], [0.2, -0.2, 0]])
    ego = turn.inv().apply(world - place)
    lidar = EGO_FROM_LIDAR[0].inv().apply(ego - EGO_FROM_LIDAR[1])
    points = np.vstack([lidar, [[0.3, 0.4, -0.5]]])
    return np.column_stack([points, np.full(6, 51.0), np.zeros(6)]).astype(np.float32)


def _reading(token: str, which: str, sensor: str, name: str, **more: object) -> dict:
    row = {"token": token, "sample_token": "s0", "ego_pose_token": which, "calibrated_sensor_token": sensor}
    return {**row, "timestamp": STAMPS[which], "filename": name, "is_key_frame": True, "prev": "", **more}


def _tables() -> dict[str, list[dict]]:
    box = {"sample_token": "s0", "size": [1.9, 4.4, 1.6], "num_lidar_pts": 7}
    upright = Rotation.from_euler("z", 1.0)
    return {
        "sample": [{"token": "s0", "timestamp": STAMPS["key"], "scene_token": "drive"}],
        "sensor": [{"token": "t0", "channel": "LIDAR_TOP"}, {"token": "t1", "channel": "CAM_FRONT"}],
        "calibrated_sensor": [
            _row("c0", *EGO_FROM_LIDAR, sensor_token="t0", camera_intrinsic=[]),
            _row("c1", *EGO_FROM_CAMERA, sensor_token="t1", camera_intrinsic=K),
        ],
        "ego_pose": [_row(which, *_ego(which)) for which in PLACES],
        "sample_data": [
            _reading("d0", "key", "c0", "samples/key.pcd.bin", prev="d1"),
            _reading("d1", "before", "c0", "sweeps/before.pcd.bin", is_key_frame=False),
            _reading("d2", "camera", "c1", "samples/front.jpg"),
        ],
        "category": [{"token": "g0", "name": "vehicle.car"}, {"token": "g1", "name": "animal"}],
        "instance": [{"token": "i0", "category_token": "g0"}, {"token": "i1", "category_token": "g1"}],
        "sample_annotation": [
            _row("a0", upright, OBJECT, instance_token="i0", **box),
            _row("a1", upright, OBJECT, instance_token="i1", **box),
        ],
    }


@pytest.fixture
def tables() -> dict[str, list[dict]]:
    return _tables()


@pytest.fixture
def root(tmp_path: Path, tables) -> Path:
    for part in ("v1.0-mini", "samples", "sweeps"):
        (tmp_path / part).mkdir()
    for name, rows in tables.items():
        (tmp_path / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows))
    _cloud("key").tofile(tmp_path / "samples" / "key.pcd.bin")
    _cloud("before").tofile(tmp_path / "sweeps" / "before.pcd.bin")
    cv2.imwrite(str(tmp_path / "samples" / "front.jpg"), np.zeros((200, 400, 3), np.uint8))
    return tmp_path


def test_tables_become_one_world(root: Path) -> None:
    sample = NuScenes(root)[0]
    assert sample.name == "s0" and sample.height == pytest.approx(1.84) and sample.stamp == pytest.approx(1000.1)
    assert sample.boxes is not None and sample.boxes.names() == ["Car"]  # the animal has no box
    np.testing.assert_array_equal(sample.hits, [5])
    np.testing.assert_allclose(sample.points[:, 3], 0.2)
    np.testing.assert_allclose(sample.boxes.size, [[4.4, 1.9, 1.6]])
    pose = sample.world_from_lidar
    assert pose is not None
    np.testing.assert_allclose(pose[:3, :3] @ sample.boxes.center[0] + pose[:3, 3], OBJECT, atol=1e-9)
    heading = pose[:3, :3] @ sample.boxes.rotation()[0][:, 0]
    np.testing.assert_allclose(np.arctan2(heading[1], heading[0]), 1.0, atol=1e-9)
    turn, place = _ego("key")
    forward = turn.inv().apply(OBJECT - place) - EGO_FROM_LIDAR[1]
    np.testing.assert_allclose(sample.boxes.center[0], forward, atol=1e-9)  # the vehicle's axes: x forward, z up


def test_a_header_is_the_frame_without_what_its_sensors_saw(root: Path) -> None:
    frames = NuScenes(root)
    whole = frames[0]
    for path in [*root.glob("samples/*"), *root.glob("sweeps/*")]:
        path.unlink()
    header = frames.header(0)
    assert len(header.points) == 0 and header.views == () and header.hits.tolist() == [7]  # as annotated
    assert (header.name, header.stamp, header.height) == (whole.name, whole.stamp, whole.height)
    assert header.boxes is not None and whole.boxes is not None
    np.testing.assert_array_equal(header.boxes.corners(), whole.boxes.corners())
    np.testing.assert_array_equal(header.world_from_lidar, whole.world_from_lidar)


def test_a_camera_sees_the_object_from_where_it_was_then(root: Path) -> None:
    sample = NuScenes(root)[0]
    assert sample.boxes is not None
    pixel = sample.views[0].image_from_lidar @ np.append(sample.boxes.center[0], 1)
    turn, place = _ego("camera")
    seen = EGO_FROM_CAMERA[0].inv().apply(turn.inv().apply(OBJECT - place) - EGO_FROM_CAMERA[1])
    np.testing.assert_allclose(pixel, np.array(K) @ seen, atol=1e-9)
    assert NuScenes(root).read(0, views=False).views == ()


def test_earlier_sweeps_lie_where_the_world_stands_still(root: Path) -> None:
    sample = NuScenes(root, sweeps=10)[0]
    key, before = sample.points[sample.points[:, 4] == 0], sample.points[sample.points[:, 4] > 0]
    assert len(key) == 6 and len(before) == 5  # without the own roof
    np.testing.assert_allclose(before[:, :3], key[:5, :3], atol=2e-5)
    np.testing.assert_allclose(before[:, 4], 0.1)
    np.testing.assert_array_equal(sample.hits, [5])  # of the newest sweep


def test_without_annotations_nothing_is_known(root: Path) -> None:
    (root / "v1.0-mini" / "sample_annotation.json").write_text("[]")
    assert NuScenes(root)[0].boxes is None and NuScenes(root).header(0).boxes is None


def test_a_street_without_objects_is_known_to_be_empty(root: Path, tables) -> None:
    elsewhere = [{**row, "sample_token": "s1"} for row in tables["sample_annotation"]]
    (root / "v1.0-mini" / "sample_annotation.json").write_text(json.dumps(elsewhere))
    sample = NuScenes(root)[0]
    header = NuScenes(root).header(0)
    assert sample.boxes is not None and len(sample.boxes) == len(sample.hits) == 0
    assert header.boxes is not None and len(header.boxes) == len(header.hits) == 0


def test_frames_know_their_drive(root: Path) -> None:
    assert NuScenes(root).scenes == ("drive",)


def test_what_is_missing_is_said(root: Path, tables) -> None:
    with pytest.raises(InputError, match="one folder v1.0"):
        NuScenes(root / "samples")
    with pytest.raises(InputError, match="some of"):
        NuScenes(root, {"Car": "car"})[0]
    (root / "samples" / "key.pcd.bin").write_bytes(b"123")
    with pytest.raises(InputError, match="20 bytes per point"):
        NuScenes(root)[0]
    (root / "v1.0-mini" / "ego_pose.json").write_text("[]")
    with pytest.raises(InputError, match="row key of table ego_pose"):
        NuScenes(root)[0]
    (root / "v1.0-mini" / "sensor.json").write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        NuScenes(root)
    (root / "info.json").write_text('{"data_list": 3}')
    with pytest.raises(InputError, match="metainfo"):
        NuScenes(root)


def _flat(shared_data: Path) -> Path:
    return shared_data / "nuscenes" / "sample_ca9a282c"


@pytest.mark.data
def test_the_real_sample_counts_the_returns_that_its_makers_counted(shared_data: Path) -> None:
    """In the world, where boxes stand upright, to the last return; in the LiDAR frame, which leans with the vehicle,
    nearly."""
    sample = NuScenes(_flat(shared_data), TEN)[0]
    frame = json.loads((_flat(shared_data) / "info.json").read_text())["data_list"][0]
    expected = np.array([i["num_lidar_pts"] for i in frame["instances"] if i["bbox_label_3d"] >= 0])
    boxes, pose = sample.boxes, sample.world_from_lidar
    assert boxes is not None and pose is not None and len(boxes) == 68
    world = sample.points[:, :3].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
    upright = boxes.transformed(pose[:3, :3], pose[:3, 3], Axes.BODY)
    np.testing.assert_array_equal(points_in_boxes(world, upright).sum(-1), expected)
    np.testing.assert_array_equal(NuScenes(_flat(shared_data), TEN).header(0).hits, expected)
    assert (sample.hits == expected).mean() > 0.9
    assert (np.abs(sample.hits - expected) <= np.maximum(2, 0.05 * expected)).all()


@pytest.mark.data
def test_the_real_sample_stands_on_level_ground_and_looks_forward(shared_data: Path) -> None:
    sample = NuScenes(_flat(shared_data))[0]
    assert sample.boxes is not None and set(sample.boxes.names()) <= {"Car", "Truck", "Bus", "Cyclist", "Pedestrian"}
    assert sample.points[:, 3].min() >= 0 and sample.points[:, 3].max() == 1
    low = sample.points[np.abs(sample.points[:, 2] + sample.height) < 0.3]
    low = low[np.hypot(low[:, 0], low[:, 1]) < 30]
    slope = np.linalg.lstsq(np.column_stack([low[:, :2], np.ones(len(low))]), low[:, 2], rcond=None)[0]
    assert np.abs(slope[:2]).max() < 0.015 and abs(slope[2] + sample.height) < 0.1
    front = next(view for view in sample.views if view.name == "CAM_FRONT")
    ahead, left = (front.camera_from_lidar @ np.array(v) for v in ([1.0, 0, 0, 0], [0.0, 1, 0, 0]))
    assert ahead[2] > 0.99 and left[0] < -0.99
    assert len(sample.views) == 6


@pytest.mark.data
def test_the_real_samples_boxes_project_into_its_2d_boxes(shared_data: Path) -> None:
    sample = NuScenes(_flat(shared_data), TEN)[0]
    frame = json.loads((_flat(shared_data) / "info.json").read_text())["data_list"][0]
    assert sample.boxes is not None
    checked = 0
    for view in sample.views:
        for seen in frame["cam_instances"][view.name]:
            center = np.array([*seen["center_2d"], seen["depth"]])
            pixels = np.column_stack([sample.boxes.center, np.ones(68)]) @ view.image_from_lidar.T
            ours = np.column_stack([pixels[:, :2] / pixels[:, 2:], pixels[:, 2]])
            assert np.abs(ours - center).max(-1).min() < 1.0, (view.name, center)
            checked += 1
    assert checked > 50


@pytest.mark.data
def test_the_real_tables_and_the_real_info_agree(shared_data: Path, tmp_path: Path) -> None:
    """The tables hold the LiDAR, the front camera and one of the annotations."""
    (tmp_path / "v1.0-mini").symlink_to(shared_data / "nuscenes" / "sample_ca9a282c_v1.0_schema_trimmed")
    for row in json.loads((tmp_path / "v1.0-mini" / "sample_data.json").read_text()):
        link = tmp_path / row["filename"]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(_flat(shared_data) / Path(row["filename"]).name)
    official, flat = NuScenes(tmp_path)[0], NuScenes(_flat(shared_data))[0]
    np.testing.assert_allclose(official.points, flat.points, atol=2e-5)
    assert official.world_from_lidar is not None and flat.world_from_lidar is not None
    np.testing.assert_allclose(official.world_from_lidar, flat.world_from_lidar, atol=2e-3)  # there float32
    np.testing.assert_allclose(official.views[0].image_from_lidar, flat.views[0].image_from_lidar, rtol=1e-3, atol=0.2)
    assert official.boxes is not None and flat.boxes is not None
    nearest = np.abs(flat.boxes.center - official.boxes.center[0]).max(-1).argmin()
    np.testing.assert_allclose(official.boxes.corners()[0], flat.boxes.corners()[nearest], atol=2e-3)
    assert official.boxes.names() == ["Pedestrian"] and official.hits.tolist() == [1]
