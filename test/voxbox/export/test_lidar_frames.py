"""LiDAR frames of every kind of file, and of the street world."""

import numpy as np
import pytest

from voxbox.export.lidar_frames import lidar_frames, street_frame
from voxbox_core.datasets.bag import write_rig_drive
from voxbox_core.datasets.kitti_rig import HEIGHT
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_folder import RigWriter
from voxbox_core.errors import InputError


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-20, 20, (2, 3, 2000)).astype(np.float32)
    flat = np.stack([x, y, np.full_like(x, -1.6), np.full_like(x, 0.5), np.zeros_like(x)], 2)
    return [RigSample(f"{i:03d}", points, 1.6, stamp=0.1 * i) for i, points in enumerate(flat)]


def test_a_folder_of_rig_frames_and_one_of_them(samples, tmp_path):
    for sample in samples:
        RigWriter(tmp_path).write(sample)
    assert [frame.name for frame in lidar_frames(tmp_path, 2)] == ["000", "001"]
    (frame,) = lidar_frames(tmp_path / "001.npz", 5)
    assert np.array_equal(frame.points, samples[1].points)
    with pytest.raises(InputError, match="LiDAR frames in .* is none"):
        lidar_frames(tmp_path / "009.npz", 1)


def test_clouds_of_kitti(samples, tmp_path):
    for sample in samples:
        sample.points[:, :4].tofile(tmp_path / f"{sample.name}.bin")
    for data in (tmp_path, tmp_path / "000.bin"):
        frame = lidar_frames(data, 3)[0]
        assert np.array_equal(frame.points, samples[0].points)
        assert frame.height == HEIGHT
    with pytest.raises(InputError, match="absent"):
        lidar_frames(tmp_path / "7.bin", 1)


def test_clouds_of_a_bag(samples, tmp_path):
    write_rig_drive(tmp_path / "drive.mcap", samples)
    frames = lidar_frames(tmp_path / "drive.mcap", 2)
    assert [len(frame.points) for frame in frames] == [2000, 2000]
    assert frames[0].height == pytest.approx(1.6, abs=0.05)


def test_the_street_world_has_clouds_of_several_sizes():
    dense, thinner = street_frame(0), street_frame(1)
    assert len(dense.points) > 100_000 > len(thinner.points) > 10_000
    assert len(dense.views) == 6
    again = street_frame(0)
    assert np.array_equal(dense.points, again.points)
    assert np.array_equal(dense.views[0].image, again.views[0].image)
