"""Frames of a rig go into a folder and come back; what is damaged is named."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import Prompts, RigSample, View
from voxbox_core.datasets.rig_folder import RigFolder, RigWriter
from voxbox_core.errors import InputError

CLASSES = ("Car", "Bus")


def _sample(name: str = "000000", seed: int = 0) -> RigSample:
    rng = np.random.default_rng(seed)
    camera = Camera(np.array([[30.0, 0, 20], [0, 31, 12], [0, 0, 1]]), 40, 24)
    ramp = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, :, None] * 5, (24, 40, 3)).copy()
    views = tuple(View(n, ramp, camera, rng.normal(size=(4, 4))) for n in ("CAM_FRONT", "CAM_BACK"))
    boxes = Boxes3D(
        rng.normal(size=(3, 3)),
        rng.uniform(1, 5, (3, 3)),
        rng.uniform(-3, 3, 3),
        np.array([0, 1, 0]),
        np.ones(3),
        np.full((3, 4), np.nan),
        CLASSES,
        Axes.BODY,
    )
    points = rng.normal(size=(50, 5)).astype(np.float32)
    prompts = Prompts(rng.normal(size=(2, 3)), np.array([1, 0]), CLASSES)
    hits = np.array([4, 1, 9])
    return RigSample(name, points, 1.7, views, boxes, hits, prompts, 12.5, rng.normal(size=(4, 4)))


def _assert_same_truth(found: RigSample, sample: RigSample) -> None:
    assert found.boxes is not None and sample.boxes is not None
    assert found.boxes.classes == CLASSES and found.boxes.axes is Axes.BODY
    for column in ("center", "size", "yaw", "label", "score"):
        np.testing.assert_array_equal(getattr(found.boxes, column), getattr(sample.boxes, column))
    np.testing.assert_array_equal(found.hits, sample.hits)
    assert found.prompts is not None and sample.prompts is not None
    np.testing.assert_array_equal(found.prompts.points, sample.prompts.points)
    np.testing.assert_array_equal(found.prompts.label, sample.prompts.label)
    assert (found.name, found.height, found.stamp) == (sample.name, sample.height, sample.stamp)
    np.testing.assert_array_equal(found.world_from_lidar, sample.world_from_lidar)


def test_a_frame_comes_back(tmp_path: Path) -> None:
    sample = _sample()
    RigWriter(tmp_path).write(sample)
    found = RigFolder(tmp_path)[0]
    _assert_same_truth(found, sample)
    assert found.points.dtype == np.float32
    np.testing.assert_array_equal(found.points, sample.points)
    assert [v.name for v in found.views] == ["CAM_FRONT", "CAM_BACK"]
    for view, original in zip(found.views, sample.views, strict=True):
        assert np.abs(view.image.astype(int) - original.image).max() < 8  # jpeg
        np.testing.assert_array_equal(view.camera.intrinsics, original.camera.intrinsics)
        np.testing.assert_array_equal(view.camera_from_lidar, original.camera_from_lidar)


def test_what_nobody_knows_stays_unknown(tmp_path: Path) -> None:
    RigWriter(tmp_path).write(RigSample("a", np.zeros((2, 5), np.float32), 1.5))
    found = RigFolder(tmp_path)[0]
    assert (found.boxes, found.prompts, found.stamp, found.world_from_lidar, found.views) == (None,) * 4 + ((),)


def test_a_frame_without_objects_is_labelled(tmp_path: Path) -> None:
    empty = replace(_sample(), boxes=Boxes3D.empty(CLASSES, Axes.BODY), hits=np.zeros(0, np.int64))
    RigWriter(tmp_path).write(empty)
    boxes = RigFolder(tmp_path)[0].boxes
    assert boxes is not None and len(boxes) == 0 and boxes.classes == CLASSES


def test_truth_and_clouds_are_read_without_the_rest(tmp_path: Path) -> None:
    """Bytes of what is not asked for may be anything."""
    sample = _sample()
    RigWriter(tmp_path).write(sample)
    path = tmp_path / "000000.npz"
    path.write_bytes(_spoiled(path.read_bytes(), b"view_0_jpeg.npy"))
    folder = RigFolder(tmp_path)
    np.testing.assert_array_equal(folder.read(0, points=True, views=False).points, sample.points)
    with pytest.raises(InputError, match=r"000000\.npz"):
        folder[0]
    path.write_bytes(_spoiled(path.read_bytes(), b"\0points.npy"))  # not prompt_points.npy
    header = folder.header(0)
    _assert_same_truth(header, sample)
    assert len(header.points) == 0 and header.views == ()
    with pytest.raises(InputError, match=r"000000\.npz"):
        folder.read(0, points=True, views=False)


def _spoiled(content: bytes, member: bytes) -> bytes:
    """With bytes inside of a member changed, which its checksum tells."""
    start = content.index(member) + 300
    return content[:start] + bytes(255 - b for b in content[start : start + 20]) + content[start + 20 :]


def test_frames_stand_in_order_of_their_names_and_travel(tmp_path: Path) -> None:
    writer = pickle.loads(pickle.dumps(RigWriter(tmp_path)))
    for name in ("000002", "000000", "000001"):
        assert not writer.has(name)
        assert writer.write(_sample(name, int(name))) == name
        assert writer.has(name)
    folder = pickle.loads(pickle.dumps(RigFolder(tmp_path)))
    assert folder.names == ("000000", "000001", "000002") and len(folder) == 3
    assert sorted(os.listdir(tmp_path)) == ["000000.npz", "000001.npz", "000002.npz"]  # nothing half done
    np.testing.assert_array_equal(folder[1].points, _sample(seed=1).points)


@pytest.mark.parametrize("name", ["cut", "empty", "text", "array", "foreign", "pickled", "old", "short"])
def test_damaged_and_foreign_files_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.npz"
    RigWriter(tmp_path).write(_sample(name))
    whole = path.read_bytes()
    if name == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif name in ("empty", "text"):
        path.write_bytes(b"" if name == "empty" else b"no zip at all")
    elif name == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif name == "foreign":
        np.savez(path, x=np.zeros(3))
    else:
        arrays = dict(np.load(path))
        changed = {"pickled": ("points", np.array([{}])), "old": ("format", "x"), "short": ("hits", np.zeros(1))}
        np.savez(path, **{**arrays, changed[name][0]: changed[name][1]})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"{name}\.npz"):
        RigFolder(tmp_path)[0]


def test_a_folder_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        RigFolder(tmp_path)
    with pytest.raises(InputError, match="absent"):
        RigFolder(tmp_path / "nowhere")
