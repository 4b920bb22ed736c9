"""KITTI's and nuScenes' frames as voxels: real ones agree with their own returns; lidarseg is read where it lies."""

import json
from pathlib import Path

import numpy as np
import pytest

from voxbox_core.datasets import nuscenes_voxels
from voxbox_core.datasets.kitti_rig import HEIGHT
from voxbox_core.datasets.kitti_voxels import SEMANTIC, KittiFrames, kitti_scene
from voxbox_core.datasets.lidar_voxels import inside
from voxbox_core.datasets.nuscenes_voxels import NuScenesFrames, rig_scene
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.fruxel import STREET
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN

CAR, GROUND = CLASSES.index("car"), CLASSES.index("ground")


@pytest.mark.data
def test_a_real_kitti_frame(shared_data: Path) -> None:
    frames = KittiFrames(shared_data / "kitti" / "full")
    frame = frames[frames.names.index("000107")]
    scene, sample = frame.scene, frame.sample(STREET)
    labels = sample.voxels.labels
    assert scene.ground.plane[2] == pytest.approx(HEIGHT - 0.08, abs=0.1)
    assert abs(scene.ground.plane[:2]).max() < 0.06
    cells, within = STREET.locate(scene.returns.points)
    assert (labels[tuple(cells[within].T)] != AIR).all()
    on_car = inside(scene.returns.points, scene.boxes[scene.label == CAR]).any(0) & within
    assert on_car.sum() > 1500
    assert (labels[tuple(cells[on_car].T)] == CAR).mean() > 0.95
    on_ground = scene.on_ground & within
    near_ground = labels[
        np.clip(cells[on_ground, 0], 1, 62), np.clip(cells[on_ground, 1] + 1, 0, 47), cells[on_ground, 2]
    ]
    assert (near_ground == GROUND).mean() > 0.95
    known = labels != UNKNOWN
    assert 0.4 < known.mean() < 0.7 and (labels[known] == AIR).mean() > 0.5
    assert sample.poses is not None and (sample.poses.label == CAR).sum() >= 5
    np.testing.assert_allclose(np.linalg.norm(sample.poses.rotation, axis=1), 1)
    assert sample.image.shape == (frame.camera.height, frame.camera.width, 3)


@pytest.mark.data
def test_a_real_nuscenes_key_frame(shared_data: Path) -> None:
    frames = NuScenesFrames(shared_data / "nuscenes" / "sample_ca9a282c", ("CAM_FRONT", "CAM_BACK"))
    assert [name.split("_", 1)[1] for name in frames.names] == ["CAM_FRONT", "CAM_BACK"]
    front = frames[0]
    assert front.scene.ground.plane[2] == pytest.approx(front.scene.height, abs=0.15)
    sample = front.sample(STREET)
    assert sample.poses is not None and {"person", "truck"} <= {CLASSES[i] for i in sample.poses.label}
    assert front.world_from_camera is not None
    up = front.world_from_camera[:3, :3] @ [0, -1, 0]
    assert up[2] == pytest.approx(1, abs=0.01)
    assert front.drive == frames[1].drive and front.stamp == frames[1].stamp
    with pytest.raises(InputError, match=r"cameras is \['CAM_UP'\]"):
        NuScenesFrames(shared_data / "nuscenes" / "sample_ca9a282c", ("CAM_UP",))


def test_frames_without_clouds_are_refused(tmp_path: Path) -> None:
    for name in ("image_2", "calib"):
        (tmp_path / name).mkdir()
    (tmp_path / "image_2" / "000000.png").touch()
    with pytest.raises(InputError, match="velodyne is without clouds"):
        KittiFrames(tmp_path)


def test_kittis_types_are_classes_or_nothing() -> None:
    assert set(SEMANTIC.values()) <= set(CLASSES)
    assert "Misc" not in SEMANTIC and "DontCare" not in SEMANTIC
    assert set(nuscenes_voxels.SEMANTIC.values()) | set(nuscenes_voxels.LIDARSEG.values()) <= set(CLASSES)


def test_a_sample_without_cloud_is_refused(frame_of: Sample) -> None:
    with pytest.raises(InputError, match="points of f"):
        kitti_scene(frame_of)


@pytest.fixture
def frame_of() -> Sample:
    from voxbox_core.camera import Camera

    return Sample("f", np.zeros((4, 6, 3), np.uint8), Camera(np.diag([5.0, 5.0, 1.0]), 6, 4))


def _seg(root: Path, kinds: bytes) -> None:
    tables = {
        "sample_data": [{"token": "d0", "sample_token": "s0"}, {"token": "d1", "sample_token": "s0"}],
        "category": [
            {"name": "flat.driveable_surface", "index": 24},
            {"name": "vehicle.car", "index": 17},
            {"name": "static.vegetation", "index": 30},
            {"name": "movable_object.barrier", "index": 9},
            {"name": "vehicle.ego", "index": 31},
        ],
        "lidarseg": [{"token": "d0", "sample_data_token": "d0", "filename": "seg.bin"}],
    }
    (root / "v1.0-mini").mkdir()
    for name, rows in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows))
    (root / "seg.bin").write_bytes(kinds)


def test_lidarseg_tells_what_returns_hit(tmp_path: Path) -> None:
    _seg(tmp_path, bytes([24, 17, 30, 9, 31, 0]))
    kinds = nuscenes_voxels.Kinds.of(tmp_path)
    assert kinds is not None
    found = kinds.read("s0", 6)
    assert found is not None
    names = ["ground", "car", "tree"]
    assert found[:4].tolist() == [*(CLASSES.index(name) for name in names), UNKNOWN]
    assert found[4] == nuscenes_voxels.OWN and found[5] == UNKNOWN
    assert kinds.read("another", 6) is None
    with pytest.raises(InputError, match="seg.bin is 6 bytes; expected 7 bytes"):
        kinds.read("s0", 7)
    assert nuscenes_voxels.Kinds.of(tmp_path / "elsewhere") is None


@pytest.mark.data
def test_returns_on_the_own_vehicle_go(shared_data: Path) -> None:
    moment = NuScenesFrames(shared_data / "nuscenes" / "sample_ca9a282c")._moments[0]
    kinds = np.full(len(moment.points), GROUND, np.uint8)
    kinds[:100] = nuscenes_voxels.OWN
    scene = rig_scene(moment, moment.views[0], kinds)
    assert len(scene.returns.points) == len(moment.points) - 100
