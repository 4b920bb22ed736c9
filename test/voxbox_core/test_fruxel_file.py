"""Voxels in files: what is read is what was written, or a message says why not."""

import errno
import pickle
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from voxbox_core import fruxel_file
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.fruxel_file import FORMAT, load, save
from voxbox_core.voxels import CLASSES, UNKNOWN, Voxels

GRID = Fruxel(2.0, 12.0, 5, 4, 6, 40.0, "log", (2.5, 2.25))


@pytest.fixture
def voxels():
    rng = np.random.default_rng(0)
    labels = rng.choice([*range(len(CLASSES)), UNKNOWN], GRID.shape).astype(np.uint8)
    return Voxels(labels, GRID, rng.integers(0, 256, GRID.shape).astype(np.uint8))


def arrays_of(voxels):
    return {
        "format": np.array(FORMAT),
        "labels": voxels.labels,
        "fruxel": np.array(GRID.to_json()),
        "classes": np.array(CLASSES),
        "probability": np.zeros(0, np.uint8),
    }


def same(a, b):
    if a.fruxel != b.fruxel or a.classes != b.classes or not np.array_equal(a.labels, b.labels):
        return False
    return a.probability is b.probability is None or np.array_equal(a.probability, b.probability)


def test_what_is_read_is_what_was_written(tmp_path, voxels):
    for number, written in enumerate((voxels, replace(voxels, probability=None))):
        path = tmp_path / f"{number}.npz"
        save(path, written)
        assert same(load(path), written) and same(load(path, GRID), written)
    own = Voxels(np.minimum(voxels.labels, 2), GRID, classes=("air", "cone", "kerb"))
    save(tmp_path / "own.npz", own)
    assert same(load(tmp_path / "own.npz"), own)


def test_every_damage_is_noticed(tmp_path, voxels):
    """A byte turned over, or the rest cut off: an error, or nothing of the content has changed. The second half, all
    of whose bytes are tried, holds the list of the contents."""
    path = tmp_path / "whole.npz"
    save(path, voxels)
    whole, damaged = path.read_bytes(), tmp_path / "damaged.npz"
    for n in range(0, len(whole), 20):
        damaged.write_bytes(whole[:n])
        with pytest.raises(InputError, match="damaged.npz"):
            load(damaged)
    for n in (*range(0, len(whole) // 2, 10), *range(len(whole) // 2, len(whole))):
        damaged.write_bytes(whole[:n] + bytes([whole[n] ^ 0xFF]) + whole[n + 1 :])
        with suppress(InputError):
            assert same(load(damaged), voxels), n


def test_pickles_are_not_opened(tmp_path):
    path = tmp_path / "pickle.npz"
    path.write_bytes(pickle.dumps({"labels": 1}))
    with pytest.raises(InputError, match="pickle"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "is without labels; expected all of classes, format, fruxel, labels, probability"),
        ({"format": np.array("voxbox fruxel 9")}, "of the format 'voxbox fruxel 9'; expected 'voxbox fruxel 1'"),
        ({"fruxel": np.array("{")}, "grid of .*foreign.npz"),
        ({"fruxel": np.array(GRID.to_json().replace("12.0", "1.0"))}, "grid of .*far of a fruxel grid is 1.0"),
        ({"fruxel": np.array(replace(GRID, slices=4).to_json())}, r"labels of voxels in .*expected uint8 \(4, 4, 6\)"),
        ({"labels": np.zeros(GRID.shape)}, r"labels of voxels in .* is float64 \(5, 4, 6\); expected uint8"),
        ({"labels": np.full(GRID.shape, 17, np.uint8)}, "one with label 17; expected labels below 10, or 255"),
        ({"classes": np.array(["person", "air"])}, "expected distinct classes, 'air' first"),
        ({"classes": np.zeros(0, "U1")}, "expected distinct classes, 'air' first"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, voxels, change, message):
    arrays = {name: array for name, array in (arrays_of(voxels) | change).items() if array is not None}
    np.savez(tmp_path / "foreign.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "foreign.npz")


def test_a_lone_array_and_no_file_at_all_are_refused(tmp_path):
    np.save(tmp_path / "lone.npy", np.zeros(3))
    with pytest.raises(InputError, match="lone.npy is unreadable"):
        load(tmp_path / "lone.npy")
    with pytest.raises(InputError, match="nowhere.npz is absent"):
        load(tmp_path / "nowhere.npz")


def test_a_grid_that_is_not_the_model_s_is_refused_by_name(tmp_path, voxels):
    save(tmp_path / "a.npz", voxels)
    with pytest.raises(InputError, match=r"a.npz is one of alpha = 40.0; expected alpha = 60.0"):
        load(tmp_path / "a.npz", replace(GRID, alpha=60.0))
    other = replace(GRID, far=40.0, spacing="inverse")
    with pytest.raises(InputError, match="one of far = 12.0, spacing = log; expected far = 40.0, spacing = inverse"):
        load(tmp_path / "a.npz", other)
    with pytest.raises(InputError, match=r"principal = \(2.5, 2.25\); expected principal = \(3.0, 2.0\)"):
        load(tmp_path / "a.npz", replace(GRID, principal=()))
    assert same(load(tmp_path / "a.npz", replace(GRID, alpha=40.0 + 1e-9)), voxels)


def test_a_full_disk_leaves_what_was_there(tmp_path, voxels, monkeypatch):
    save(tmp_path / "a.npz", voxels)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fruxel_file.np, "savez_compressed", full)
    with pytest.raises(InputError, match="No space left on device"):
        save(tmp_path / "a.npz", replace(voxels, labels=np.zeros_like(voxels.labels)))
    assert same(load(tmp_path / "a.npz"), voxels)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
