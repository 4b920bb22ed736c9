"""`voxbox street voxels`: frames with their voxels, taken up where they stopped; a drive's are the drive's own."""

import json
from pathlib import Path

import numpy as np
import pytest

from voxbox.cli import main
from voxbox.street.plan import Plan
from voxbox.street.voxels import VoxelPlan
from voxbox.street.workers import Filming
from voxbox_core.datasets.voxel_folder import VoxelFolder


def _run(*arguments: object) -> int:
    return main(["street", "voxels", *map(str, arguments)])


def test_what_was_interrupted_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "voxels"
    common = (out, "--moments", 2, "--seed", 11, "--jobs", 1)
    assert _run(*common, "--frames", 2) == 0
    kept = VoxelFolder(out)[1]
    (out / "records" / "000000.json").unlink()
    assert _run(*common, "--frames", 3) == 0
    assert "2 of 3 frames" in capsys.readouterr().out
    data = VoxelFolder(out)
    assert data.names == ("000000", "000001", "000002")
    assert data.scenes == ("street-11", "street-11", "street-12")
    np.testing.assert_array_equal(data[1].voxels.labels, kept.voxels.labels)
    assert len(json.loads((out / "v1.0-all" / "sample.json").read_text())) == 3


def test_other_frames_are_kept_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "voxels"
    assert _run(out, "--frames", 1, "--seed", 11, "--jobs", 1) == 0
    assert _run(out, "--frames", 1, "--seed", 12, "--jobs", 1) != 0
    assert "seed" in capsys.readouterr().err
    assert _run(out, "--frames", 1, "--seed", 11, "--jobs", 1, "--grid", "paper") != 0


def test_a_drives_voxels_are_of_its_images(tmp_path: Path) -> None:
    out = tmp_path / "drive.voxels"
    size = ("--width", 320, "--height", 96)
    assert _run(out, "--drive", "--frames", 2, "--rate", 5, "--seed", 7, *size, "--jobs", 1, "--image", "png") == 0
    data = VoxelFolder(out)
    capture = Filming(Plan(frames=2, seed=7, drive=True, rate=5, width=320, height=96, beams=None)).frame(1)
    found = data[1]
    np.testing.assert_array_equal(found.image, capture.sample.image)
    np.testing.assert_allclose(found.camera.intrinsics, capture.sample.camera.intrinsics)
    assert found.stamp == capture.sample.stamp
    assert found.camera.width == 320 and data.fruxel == VoxelPlan(1, 0).settings.grid
