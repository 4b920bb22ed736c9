"""`voxbox voxels`: what is written is whole, goes on where it stopped, and can be looked at."""

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from voxbox.cli import main
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import Calibration, write_calib
from voxbox_core.datasets.voxel_folder import VoxelFolder
from voxbox_core.fruxel import STREET, Fruxel
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN

K = np.array([[110.0, 0, 90.5], [0, 110, 50.5], [0, 0, 1]])
CAMERA_FROM_LIDAR = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1]])
GRID = Fruxel(2.0, 30.0, 12, 16, 32, 60.0)


def _write(root: Path, names: list[str], empty: tuple[str, ...] = ()) -> Path:
    """A road; of the empty ones nothing came back."""
    for part in ("image_2", "calib", "velodyne"):
        (root / part).mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.linspace(3, 30, 90), np.linspace(-12, 12, 80))
    road = np.stack([x, y, np.full(x.shape, -1.73), 0 * x], -1).reshape(-1, 4).astype(np.float32)
    for name in names:
        image = np.full((100, 180, 3), 200, np.uint8)
        cv2.imwrite(str(root / "image_2" / f"{name}.png"), image)
        write_calib(root / "calib" / f"{name}.txt", Calibration.of_camera(K, CAMERA_FROM_LIDAR))
        (road[:0] if name in empty else road).tofile(root / "velodyne" / f"{name}.bin")
    return root


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.json"
    path.write_text(GRID.to_json())
    return path


def _convert(kitti: Path, out: Path, *more: str) -> int:
    return main(["voxels", "from-kitti", str(kitti), str(out), *more])


def test_frames_become_samples_aligned_with_their_grid(tmp_path: Path, grid: Path) -> None:
    kitti = _write(tmp_path / "kitti", ["000001", "000002"])
    assert _convert(kitti, tmp_path / "out", "--fruxel", str(grid), "--per-cell", "3") == 0
    samples = VoxelFolder(tmp_path / "out")
    assert samples.names == ("000001", "000002") and samples.fruxel == GRID
    assert samples.scenes == samples.names
    sample = samples[0]
    expected: Camera = GRID.camera(3)
    assert sample.image.shape == (expected.height, expected.width, 3)
    np.testing.assert_allclose(sample.camera.intrinsics, expected.intrinsics)
    assert sample.poses is None
    assert set(np.unique(sample.voxels.labels)) == {AIR, CLASSES.index("ground"), UNKNOWN}
    assert (tmp_path / "out" / "v1.0-all" / "sample.json").is_file()


def test_it_goes_on_where_it_stopped(tmp_path: Path, grid: Path) -> None:
    kitti, out = _write(tmp_path / "kitti", ["000001", "000002", "000003"]), tmp_path / "out"
    result = tmp_path / "r.json"
    assert _convert(kitti, out, "--fruxel", str(grid), "--limit", "2") == 0
    before = (out / "fruxels" / "000001.npz").stat().st_mtime_ns
    assert _convert(kitti, out, "--fruxel", str(grid), "--json", str(result)) == 0
    assert (out / "fruxels" / "000001.npz").stat().st_mtime_ns == before
    found = json.loads(result.read_text())
    assert found["frames"] == 3 and found["written"] == 1
    assert len(json.loads((out / "v1.0-all" / "sample.json").read_text())) == 3


def test_frames_that_tell_no_ground_are_left_out(tmp_path: Path, grid: Path, capsys: pytest.CaptureFixture) -> None:
    kitti = _write(tmp_path / "kitti", ["000001", "000002"], empty=("000001",))
    assert _convert(kitti, tmp_path / "out", "--fruxel", str(grid)) == 0
    assert "left out: 000001: places with ground returns" in capsys.readouterr().out
    assert VoxelFolder(tmp_path / "out").names == ("000002",)
    nothing = _write(tmp_path / "none", ["000001"], empty=("000001",))
    assert _convert(nothing, tmp_path / "other", "--fruxel", str(grid)) == 2


def test_bad_input_is_told(tmp_path: Path, grid: Path, capsys: pytest.CaptureFixture) -> None:
    kitti, out = _write(tmp_path / "kitti", ["000001"]), tmp_path / "out"
    assert _convert(kitti, out, "--fruxel", str(grid)) == 0
    capsys.readouterr()
    other = tmp_path / "other.json"
    other.write_text(json.dumps(asdict(STREET)))
    for call, message in (
        ((kitti, out, "--fruxel", str(other)), "fruxel of the frames"),
        ((_write(tmp_path / "second", ["000001"]), out, "--fruxel", str(grid)), "source of the frames"),
        ((kitti, out, "--fruxel", str(tmp_path / "absent.json")), "absent.json is unreadable"),
        ((kitti, out, "--fruxel", str(grid), "--per-cell", "0"), "--per-cell is 0"),
        ((tmp_path / "nowhere", tmp_path / "new"), "image_2 is absent"),
    ):
        assert _convert(*call) == 2
        assert message in capsys.readouterr().err


def test_a_folder_can_be_looked_at(tmp_path: Path, grid: Path, capsys: pytest.CaptureFixture) -> None:
    kitti, out = _write(tmp_path / "kitti", ["000001", "000002"]), tmp_path / "out"
    assert _convert(kitti, out, "--fruxel", str(grid)) == 0
    assert main(["voxels", "show", str(out), str(tmp_path / "sheet.png"), "--frames", "2"]) == 0
    one = cv2.imread(str(tmp_path / "sheet.png"))
    assert one is not None and one.shape[0] == 2 * 360
    for more, message in (((str(tmp_path / "sheet.gif"),), "sheet.gif"), (("s.png", "--frames", "0"), "--frames is 0")):
        assert main(["voxels", "show", str(out), *more]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.data
def test_the_real_nuscenes_sample(tmp_path: Path, grid: Path, shared_data: Path) -> None:
    folder = shared_data / "nuscenes" / "sample_ca9a282c"
    out = tmp_path / "out"
    call = ["voxels", "from-nuscenes", str(folder), str(out), "--cameras", "CAM_FRONT", "--fruxel", str(grid)]
    assert main(call) == 0
    sample = VoxelFolder(out)[0]
    assert sample.scene and sample.world_from_camera is not None
    assert CLASSES.index("truck") in sample.voxels.labels
