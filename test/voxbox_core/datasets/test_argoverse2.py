"""Argoverse 2: the real sweeps' own counts of returns are met, and sweeps stand still in the world."""

import sys
from pathlib import Path

import numpy as np
import pytest

from voxbox_core.datasets.argoverse2 import GROUND, MOUNT, Argoverse2
from voxbox_core.datasets.rig import UNCOUNTED
from voxbox_core.errors import InputError

LOGS = {"7fab2350": 2, "adcf7d18": 1}


def test_without_its_reader_or_its_files_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="without sweeps"):
        Argoverse2(tmp_path)
    (tmp_path / "sensors" / "lidar").mkdir(parents=True)
    (tmp_path / "sensors" / "lidar" / "7.feather").write_bytes(b"")
    (tmp_path / "annotations.feather").write_bytes(b"ARROW")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="pip install pyarrow"):
        Argoverse2(tmp_path)


def test_a_log_written_by_hand(tmp_path: Path) -> None:
    """Two sweeps of one point that stands in the world, while the vehicle drives 1 m forward in 0.1 s."""
    pytest.importorskip("pyarrow")
    from pyarrow import feather, table

    (tmp_path / "sensors" / "lidar").mkdir(parents=True)
    upright = {"qw": [1.0, 1.0], "qx": [0.0, 0.0], "qy": [0.0, 0.0], "qz": [0.0, 0.0]}
    stamps = [1_000_000_000, 1_100_000_000]
    for stamp, x in zip(stamps, (11.0, 10.0)):
        cloud = {"x": [x], "y": [2.0], "z": [0.5], "intensity": np.array([51], np.uint8)}
        feather.write_feather(table(cloud), tmp_path / "sensors" / "lidar" / f"{stamp}.feather")
    poses = {"timestamp_ns": stamps, **upright, "tx_m": [100.0, 101.0], "ty_m": [0.0, 0.0], "tz_m": [5.0, 5.0]}
    feather.write_feather(table(poses), tmp_path / "city_SE3_egovehicle.feather")
    boxes = {"category": ["BUS", "SIGN"], "length_m": [4.0, 1.0], "width_m": [2.0, 1.0], "height_m": [1.5, 1.0]}
    place = {"tx_m": [10.0, 0.0], "ty_m": [2.0, 0.0], "tz_m": [0.5, 0.0]}
    rows = {"timestamp_ns": [stamps[1]] * 2, **boxes, **upright, **place}
    feather.write_feather(table(rows), tmp_path / "annotations.feather")

    frames = Argoverse2(tmp_path, sweeps=5)
    assert len(frames) == 1  # the one with annotations
    assert frames.scenes == (tmp_path.name,)
    sample = frames[0]
    place_of_point = np.array([10.0, 2.0, 0.5]) - MOUNT
    np.testing.assert_allclose(sample.points[:, :3], [place_of_point] * 2, atol=1e-5)
    np.testing.assert_allclose(sample.points[:, 3:], [[0.2, 0.0], [0.2, 0.1]], atol=1e-6)
    assert sample.boxes is not None and sample.boxes.names() == ["Bus"] and sample.hits.tolist() == [1]
    np.testing.assert_allclose(sample.boxes.center, [place_of_point])
    assert sample.world_from_lidar is not None
    np.testing.assert_allclose(sample.world_from_lidar[:3, 3], np.add([101.0, 0, 5], MOUNT))
    assert sample.height == pytest.approx(MOUNT[2] - GROUND)

    for path in (tmp_path / "sensors" / "lidar").iterdir():
        path.unlink()
    header = frames.header(0)
    assert len(header.points) == 0 and header.hits.tolist() == [UNCOUNTED]  # the annotations tell no counts
    assert header.boxes is not None and (header.name, header.stamp, header.height) == (
        sample.name,
        sample.stamp,
        sample.height,
    )
    np.testing.assert_array_equal(header.boxes.corners(), sample.boxes.corners())
    np.testing.assert_array_equal(header.world_from_lidar, sample.world_from_lidar)


@pytest.mark.data
@pytest.mark.parametrize("log", LOGS)
def test_the_real_sweeps_count_the_returns_that_their_makers_counted(shared_data: Path, log: str) -> None:
    feather = pytest.importorskip("pyarrow.feather")
    table = feather.read_table(shared_data / "argoverse2" / log / "annotations.feather").to_pydict()
    every = {name: name for name in sorted(set(table["category"]))}
    frames = Argoverse2(shared_data / "argoverse2" / log, every)
    assert len(frames) == LOGS[log]
    for index in range(len(frames)):
        sample = frames[index]
        stamp = int(frames.names[index].split("_")[1])
        rows = [i for i, t in enumerate(table["timestamp_ns"]) if t == stamp]
        expected = [table["num_interior_pts"][i] for i in rows]
        assert sample.boxes is not None and sample.boxes.names() == [table["category"][i] for i in rows]
        np.testing.assert_array_equal(sample.hits, expected)
        np.testing.assert_array_equal(frames.header(index).hits, expected)
        assert len(rows) > 40 and 0 <= sample.points[:, 3].min() <= sample.points[:, 3].max() <= 1
        low = sample.points[np.abs(sample.points[:, 2] + sample.height) < 0.4]
        low = low[np.hypot(low[:, 0], low[:, 1]) < 20]
        assert abs(np.median(low[:, 2]) + sample.height) < 0.1


@pytest.mark.data
def test_real_sweeps_fall_onto_each_other(shared_data: Path) -> None:
    """The vehicle stands nearly still; parked cars are hit by both sweeps alike."""
    pytest.importorskip("pyarrow")
    one, two = (Argoverse2(shared_data / "argoverse2" / "7fab2350", sweeps=n)[1] for n in (1, 2))
    assert len(two.points) == len(one.points) + 99229
    assert two.points[:, 4].max() == pytest.approx(0.1, abs=0.001)
    np.testing.assert_array_equal(one.hits, two.hits)
    assert len(Argoverse2(shared_data / "argoverse2")) == 3
