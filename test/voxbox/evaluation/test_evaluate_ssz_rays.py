"""`voxbox evaluate ssz-rays`: who knows the road and the car agrees with the LiDAR, and better than who does not."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssz_ros.contract import Contract
from voxbox.cli import main
from voxbox.evaluation import ssz_rays
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import Calibration, from_boxes, write_calib, write_labels
from voxbox_core.datasets.kitti_voxels import KittiFrames
from voxbox_core.datasets.lidar_voxels import fill, inside
from voxbox_core.fruxel_file import save
from voxbox_core.voxels import AIR, UNKNOWN, Voxels

CONTRACT = Contract(slices=32, rows=32, columns=64)
K = np.array([[110.0, 0, 95.5], [0, 110, 47.5], [0, 0, 1]])
CAMERA_FROM_LIDAR = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1]])
CAR = Boxes3D(
    np.array([[1.0, 0.9, 12.0]]), np.array([[4.0, 1.8, 1.5]]), np.array([1.2]), np.zeros(1), np.ones(1),
    np.array([[0.0, 0, 50, 50]]), ("Car",),
)  # fmt: skip


def _cloud() -> np.ndarray:
    """(P, 4) in the LiDAR's frame: a road 1.65 m below the camera, a car on it."""
    origin = CAMERA_FROM_LIDAR[:3, 3]
    yaw, pitch = np.meshgrid(np.radians(np.linspace(-32, 32, 120)), np.radians(np.linspace(2.5, 15, 70)))
    ways = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1).reshape(-1, 3)
    length = (1.65 - origin[1]) / ways[:, 1]
    steps = np.arange(8.0, 16.0, 0.05)
    met = inside((origin + steps[:, None, None] * ways).reshape(-1, 3), CAR)[0].reshape(len(steps), -1)
    length = np.where(met.any(0), np.minimum(length, steps[met.argmax(0)]), length)
    there = origin + length[:, None] * ways
    points = (there - origin) @ CAMERA_FROM_LIDAR[:3, :3]
    return np.column_stack([points, np.zeros(len(points))]).astype(np.float32)


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """Two frames of one scene."""
    root = tmp_path / "kitti"
    calibration = Calibration.of_camera(K, CAMERA_FROM_LIDAR)
    for part in ("image_2", "calib", "label_2", "velodyne"):
        (root / part).mkdir(parents=True)
    for name in ("000000", "000001"):
        cv2.imwrite(str(root / "image_2" / f"{name}.png"), np.full((96, 192, 3), 90, np.uint8))
        write_calib(root / "calib" / f"{name}.txt", calibration)
        write_labels(root / "label_2" / f"{name}.txt", from_boxes(CAR, calibration, np.zeros(1), np.zeros(1)))
        _cloud().tofile(root / "velodyne" / f"{name}.bin")
    return root


class _Oracle:
    """In place of a trained model: the road and the car of the scene; what is unknown there is air."""

    contract, backend, precision = CONTRACT, "oracle", "exact"

    def __init__(self, root: Path) -> None:
        labels = fill(KittiFrames(root)[0].scene, CONTRACT.fruxel).labels
        self._labels = np.where(labels == UNKNOWN, np.uint8(AIR), labels)
        self._labels[:, :, 0] = UNKNOWN  # a column beyond the image

    def __call__(self, image: np.ndarray, camera: Camera) -> Voxels:
        assert image.shape == (camera.height, camera.width, 3)
        return Voxels(self._labels, CONTRACT.fruxel)


@pytest.fixture
def oracle(kitti: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Opened:
        open = staticmethod(lambda *_: _Oracle(kitti))

    monkeypatch.setattr(ssz_rays, "SSZ", Opened)
    monkeypatch.setattr(ssz_rays, "model_path", Path)


def _evaluate(tmp_path: Path, kitti: Path, *more: str) -> dict:
    assert main(["evaluate", "ssz-rays", "--data", str(kitti), "--json", str(tmp_path / "r.json"), *more]) == 0
    return json.loads((tmp_path / "r.json").read_text())


@pytest.mark.usefixtures("oracle")
def test_who_knows_agrees_better_than_who_does_not(tmp_path: Path, kitti: Path) -> None:
    prior = tmp_path / "prior.npz"
    save(prior, Voxels(np.full(CONTRACT.fruxel.shape, 9, np.uint8), CONTRACT.fruxel))
    out = tmp_path / "out"
    result = _evaluate(tmp_path, kitti, "--prior", str(prior), "--out", str(out), "--examples", "1")
    model, flat, air, solid = (result[name] for name in ("model", "flat ground", "air alone", "prior"))
    assert (
        model["cars in"] > 0.8
        and model["cars near"] > 0.95
        and model["obstacles near"] > 0.95
        and model["returns near"] > 0.95
    )
    assert model["free occupied"] == 0
    assert result["boxes, ground"] == model  # which knows no more
    assert flat["returns near"] > 0.7 and flat["obstacles near"] < 0.3 and flat["cars in"] == 0
    assert flat["free occupied"] < 0.02
    assert {v for v in air.values() if v is not None} == {0.0}
    assert solid["returns in"] == solid["free occupied"] == 1 and solid["cars near"] == 0
    assert result["frames"] == 2 and result["count"]["cars"] > 100 and result["count"]["free"] > 1000
    assert [p.name for p in (out / "examples").iterdir()] == ["000000.jpg"]
    picture = cv2.imread(str(out / "examples" / "000000.jpg"))
    assert picture is not None and picture.shape[1] == 1600
    assert json.loads((out / "metrics.json").read_text())["model"] == model


@pytest.mark.usefixtures("oracle")
def test_frames_are_picked_by_name_and_by_number(tmp_path: Path, kitti: Path) -> None:
    listed = tmp_path / "frames.txt"
    listed.write_text("000001\n")
    assert _evaluate(tmp_path, kitti, "--names", str(listed))["frames"] == 1
    assert _evaluate(tmp_path, kitti, "--limit", "1")["frames"] == 1


@pytest.mark.usefixtures("oracle")
def test_bad_input_is_told(tmp_path: Path, kitti: Path, capsys: pytest.CaptureFixture) -> None:
    listed = tmp_path / "frames.txt"
    listed.write_text("000009\n")
    for more, message in (
        (("--names", str(listed)), "frame 000009 is absent"),
        (("--limit", "0"), "--limit is 0"),
        (("--prior", str(tmp_path / "none.npz")), "none.npz is absent"),
    ):
        assert main(["evaluate", "ssz-rays", "--data", str(kitti), *more]) == 2
        assert message in capsys.readouterr().err
