"""Voxel samples go into a folder and come back; what is half-written or damaged never passes for whole."""

import errno
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxbox_core import fruxel_file
from voxbox_core.coarsen import coarsened
from voxbox_core.datasets import voxel_folder
from voxbox_core.datasets.voxel_folder import SPLITS, VoxelFolder, VoxelWriter, split_of
from voxbox_core.datasets.voxel_sample import Poses, VoxelSample
from voxbox_core.datasets.voxel_tables import write_tables
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import CLASSES, UNKNOWN, Voxels

GRID = Fruxel(near=1.0, far=20.0, slices=6, rows=4, columns=8, alpha=60.0, spacing="log")


def _sample(name: str = "000000", seed: int = 0, grid: Fruxel = GRID, scene: str = "s") -> VoxelSample:
    rng = np.random.default_rng(seed)
    camera = grid.camera(4)
    image = np.broadcast_to(
        np.arange(camera.width, dtype=np.uint8)[None, :, None] * 4, (camera.height, camera.width, 3)
    )
    labels = rng.integers(0, len(CLASSES), grid.shape).astype(np.uint8)
    labels[0, 0, 0] = UNKNOWN
    depth = rng.uniform(1, 60, image.shape[:2]).astype(np.float32)
    depth[0] = np.inf
    turns = Rotation.random(3, rng=rng)
    poses = Poses(
        np.array([1, 2, 5]),
        rng.normal(size=(3, 3)),
        turns.as_quat(canonical=True, scalar_first=True),
        rng.uniform(1, 5, (3, 3)),
    )
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(rng=rng).as_matrix()
    pose[:3, 3] = rng.normal(size=3)
    return VoxelSample(name, image.copy(), camera, Voxels(labels, grid), depth, poses, pose, scene, 12.5)


def test_a_sample_comes_back(tmp_path: Path) -> None:
    sample = _sample()
    VoxelWriter(tmp_path, ".png").write(sample)
    found = pickle.loads(pickle.dumps(VoxelFolder(tmp_path)))[0]
    np.testing.assert_array_equal(found.image, sample.image)
    np.testing.assert_array_equal(found.voxels.labels, sample.voxels.labels)
    np.testing.assert_array_equal(found.world_from_camera, sample.world_from_camera)
    np.testing.assert_array_equal(found.camera.intrinsics, sample.camera.intrinsics)
    assert found.depth is not None and sample.depth is not None
    np.testing.assert_allclose(found.depth, sample.depth, atol=0.00051)
    assert found.voxels.fruxel == GRID
    assert (found.name, found.scene, found.stamp) == (sample.name, sample.scene, sample.stamp)
    for column in ("label", "translation", "rotation", "size"):
        np.testing.assert_array_equal(getattr(found.poses, column), getattr(sample.poses, column))


def test_a_jpeg_is_nearly_the_image(tmp_path: Path) -> None:
    sample = _sample()
    VoxelWriter(tmp_path).write(sample)
    assert np.abs(VoxelFolder(tmp_path)[0].image.astype(int) - sample.image).max() < 8


def test_unknown_parts_stay_unknown(tmp_path: Path) -> None:
    bare = replace(_sample(), depth=None, poses=None, world_from_camera=None, stamp=None)
    VoxelWriter(tmp_path).write(bare)
    found = VoxelFolder(tmp_path)[0]
    assert (found.depth, found.poses, found.world_from_camera, found.stamp) == (None, None, None, None)


def test_depth_of_a_far_grid_is_in_centimetres(tmp_path: Path) -> None:
    far = replace(GRID, far=100.0)
    sample = _sample(grid=far)
    depth = np.full_like(sample.depth, 90.0)
    depth[:, 0] = 700.0
    VoxelWriter(tmp_path).write(replace(sample, depth=depth))
    data = VoxelFolder(tmp_path)
    assert data.record(0)["depth_unit"] == 0.01
    found = data[0].depth
    assert found is not None
    np.testing.assert_allclose(found[:, 1:], 90.0, atol=0.0051)
    assert np.isinf(found[:, 0]).all()  # further than 16 bits tell


def test_depth_is_left_out_when_not_asked_for(tmp_path: Path) -> None:
    VoxelWriter(tmp_path).write(_sample())
    (tmp_path / "depth" / "000000.png").unlink()
    assert VoxelFolder(tmp_path, depth=False)[0].depth is None


def test_poses_of_nobody(tmp_path: Path) -> None:
    nobody = Poses(np.zeros(0), np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 3)))
    VoxelWriter(tmp_path).write(replace(_sample(), poses=nobody))
    found = VoxelFolder(tmp_path)[0].poses
    assert found is not None and len(found) == 0


@pytest.mark.parametrize("file", ["image", "voxels", "depth", "record"])
def test_a_full_disk_leaves_nothing_of_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    writer = VoxelWriter(tmp_path)
    writer.write(_sample("before"))
    whole = voxel_folder.whole_file
    folders = {"image": voxel_folder.CHANNEL, "voxels": "fruxels", "depth": "depth", "record": "records"}

    def full(path: Path) -> object:
        if path.parent.name == folders[file]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path)

    for module in (voxel_folder, fruxel_file):
        monkeypatch.setattr(module, "whole_file", full)
    with pytest.raises(InputError, match="full|No space left"):
        writer.write(_sample("after"))
    assert not writer.has("after") and writer.has("before")
    assert {path.stem for path in tmp_path.rglob("*") if path.is_file()} == {"before"}


def test_a_frame_without_record_is_not_there(tmp_path: Path) -> None:
    writer = VoxelWriter(tmp_path)
    for name in ("a", "b"):
        writer.write(_sample(name))
    (tmp_path / "records" / "b.json").unlink()
    assert not writer.has("b")
    assert VoxelFolder(tmp_path).names == ("a",)


@pytest.mark.parametrize("file", ["samples/CAM_FRONT/a.jpg", "fruxels/a.npz", "depth/a.png", "records/a.json"])
def test_damage_is_named(tmp_path: Path, file: str) -> None:
    VoxelWriter(tmp_path).write(_sample("a"))
    (tmp_path / file).write_bytes(b"no such thing")
    with pytest.raises(InputError, match="unreadable|not a|no "):
        VoxelFolder(tmp_path)[0]


def test_grids_are_kept_apart(tmp_path: Path) -> None:
    writer = VoxelWriter(tmp_path)
    writer.write(_sample("a"))
    writer.write(_sample("b", grid=replace(GRID, far=21.0)))
    with pytest.raises(InputError, match="b"):
        VoxelFolder(tmp_path)[1]


def test_samples_come_on_a_grid_of_larger_cells_of_the_same_frustum(tmp_path: Path) -> None:
    sample = _sample()
    VoxelWriter(tmp_path, ".png").write(sample)
    larger = replace(GRID, slices=3, rows=2, columns=4, principal=())
    folder = VoxelFolder(tmp_path, grid=larger)
    assert folder.fruxel == larger
    np.testing.assert_array_equal(folder[0].voxels.labels, coarsened(sample.voxels, larger).labels)
    np.testing.assert_array_equal(folder[0].image, sample.image)


def test_a_grid_that_the_files_cannot_give_is_refused_before_a_frame_is_read(tmp_path: Path) -> None:
    VoxelWriter(tmp_path).write(_sample())
    with pytest.raises(InputError, match="grid of .* is one of near = 1.0; expected near = 2.0"):
        VoxelFolder(tmp_path, grid=replace(GRID, near=2.0))


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        VoxelFolder(tmp_path)


def test_splits_part_the_scenes_and_keep_them_whole(tmp_path: Path) -> None:
    parts = [split_of(f"scene {k}") for k in range(4000)]
    for name, share in SPLITS.items():
        assert abs(parts.count(name) / 4000 - share) < 0.02
    writer = VoxelWriter(tmp_path)
    for k in range(40):
        writer.write(_sample(f"{k:02d}", scene=f"scene {k // 2}"))
    found = {split: VoxelFolder(tmp_path, split) for split in SPLITS}
    assert sorted(name for data in found.values() for name in data.names) == list(VoxelFolder(tmp_path).names)
    scenes = [set(data.scenes) for data in found.values()]
    assert sum(map(len, scenes)) == len(set().union(*scenes)) == 20


def test_tables_link_and_place_objects_in_the_world(tmp_path: Path) -> None:
    writer = VoxelWriter(tmp_path)
    samples = [_sample(f"{k}", seed=k, scene=f"scene {k // 2}") for k in range(4)]
    for sample in samples:
        writer.write(sample)
    out = write_tables(tmp_path)
    assert write_tables(tmp_path) == out == tmp_path / "v1.0-all"  # again, over the former ones
    tables = {path.stem: json.loads(path.read_text()) for path in out.iterdir()}
    rows = {row["token"]: row for table in tables.values() for row in table}
    assert sum(map(len, tables.values())) == len(rows)
    for table in tables.values():
        for row in table:
            linked = [value for key, value in row.items() if key.endswith("_token") or key in ("prev", "next")]
            assert all(value in rows for value in linked if value)
    first = next(row for row in tables["sample_data"] if row["filename"].endswith("/0.jpg"))
    assert (tmp_path / first["filename"]).is_file()
    mine = [row for row in tables["sample_annotation"] if row["sample_token"] == first["sample_token"]]
    poses, world = samples[0].poses, samples[0].world_from_camera
    assert poses is not None and world is not None
    found = np.array([row["translation"] for row in mine])
    np.testing.assert_allclose(found, poses.translation @ world[:3, :3].T + world[:3, 3], atol=1e-9)
    np.testing.assert_allclose([row["size"] for row in mine], poses.size[:, [1, 0, 2]])
    fruxel = next(row for row in tables["fruxel"] if row["sample_data_token"] == first["token"])
    np.testing.assert_allclose(fruxel["crop"], [0, 0, 32, 16], atol=1e-9)


def test_bad_samples_are_refused() -> None:
    sample = _sample()
    assert sample.depth is not None and sample.poses is not None
    with pytest.raises(InputError, match="image"):
        replace(sample, image=sample.image[1:])
    with pytest.raises(InputError, match="depth"):
        replace(sample, depth=sample.depth[1:])
    with pytest.raises(InputError, match="rotation"):
        replace(sample.poses, rotation=-sample.poses.rotation)
    with pytest.raises(InputError, match="label"):
        replace(sample.poses, label=np.array([0, 1, len(CLASSES)]))
