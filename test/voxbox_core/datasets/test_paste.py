"""Pasted objects are where they were recorded, whole, and in nobody's way."""

from dataclasses import replace

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D, iou_bev
from voxbox_core.datasets.paste import ObjectBank, paste
from voxbox_core.datasets.rig import Prompts, RigSample, points_in_boxes
from voxbox_core.errors import InputError

CLASSES = ("Car", "Bus", "Pedestrian")
SIZES = np.array([[4.0, 1.7, 1.5], [11.0, 2.5, 3.0], [0.7, 0.6, 1.8]])


def sample_of(seed, count=12, height=1.7, returns=8):
    """Random boxes, each with its returns in two sweeps, and clutter everywhere."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, count)
    size = SIZES[label]
    center = np.stack([rng.uniform(-40, 40, count), rng.uniform(-40, 40, count), size[:, 2] / 2 - height], -1)
    nan = np.full((count, 4), np.nan)
    boxes = Boxes3D(center, size, rng.uniform(-3, 3, count), label, np.ones(count), nan, CLASSES, Axes.BODY)
    inside = rng.uniform(-0.49, 0.49, (count, 2 * returns, 3)) * size[:, None]
    points = np.concatenate([(inside @ boxes.rotation().transpose(0, 2, 1) + center[:, None]).reshape(-1, 3),
                             rng.uniform(-45, 45, (3000, 3)) * (1, 1, 0.05)])  # fmt: skip
    more = np.stack([rng.random(len(points)), np.arange(len(points)) % 2 * 0.1], -1)
    points = np.concatenate([points, more], -1).astype(np.float32)
    newest = points[points[:, 4] == 0]
    return RigSample(f"frame-{seed}", points, height, boxes=boxes, hits=points_in_boxes(newest, boxes).sum(1))


@pytest.fixture(scope="module")
def bank():
    return ObjectBank.build([sample_of(seed) for seed in range(10)], CLASSES)


FULL = {"Car": 15, "Bus": 8, "Pedestrian": 20}


def test_the_bank_has_the_points_of_its_boxes(bank):
    assert len(bank) == 120 and set(bank.frame) == {f"frame-{i}" for i in range(10)}
    for i in (0, 50, 119):
        points = bank.object_points(i, 1.7)
        assert points_in_boxes(points, bank.boxes[[i]]).all() and (points[:, 4] == 0).sum() >= 8


def test_objects_with_few_returns_stay_out():
    sample = sample_of(0)
    hits = np.where(np.arange(12) < 5, 4, 5)
    assert len(ObjectBank.build([replace(sample, hits=hits)], CLASSES)) == 7


def test_pasting_fills_up_to_the_counts_where_there_is_room(bank):
    sample = sample_of(99, count=4)
    result, pasted = paste(sample, bank, FULL, np.random.default_rng(0))
    found = np.bincount(result.boxes.label, minlength=3)
    assert pasted.sum() > 15 and (found <= list(FULL.values())).all() and found[2] > 15
    assert np.array_equal(pasted, np.arange(len(pasted)) >= 4)
    overlap = iou_bev(result.boxes, result.boxes)
    assert (overlap[pasted] > 0).sum() == pasted.sum()  # each with itself alone
    unchanged, none = paste(sample, bank, {"Car": 0}, np.random.default_rng(0))
    assert unchanged is sample and not none.any()


def test_pasted_points_are_where_they_were_recorded_and_the_scene_makes_room(bank):
    sample = sample_of(99, count=4)
    result, pasted = paste(sample, bank, FULL, np.random.default_rng(1))
    pasted_boxes = result.boxes[pasted]
    inside = points_in_boxes(result.points, pasted_boxes)
    recorded = {tuple(row) for row in bank.points.tolist()}
    assert all(tuple(row) in recorded for row in result.points[inside.any(0)].tolist())
    newest = result.points[result.points[:, 4] == 0]
    assert np.array_equal(points_in_boxes(newest, result.boxes).sum(1), result.hits)
    gone = points_in_boxes(sample.points, pasted_boxes).any(0)
    assert gone.any() and np.array_equal(result.points[: (~gone).sum()], sample.points[~gone])


def test_an_object_stands_on_the_ground_of_a_lidar_mounted_elsewhere(bank):
    sample = sample_of(99, count=2, height=2.4)
    result, pasted = paste(sample, bank, FULL, np.random.default_rng(2))
    bottom = result.boxes.vertical()[:, 0] + sample.height
    assert pasted.any() and np.allclose(bottom, 0)
    assert points_in_boxes(result.points, result.boxes[pasted]).sum(1).min() >= 16


def test_prompts_get_the_pasted_centres(bank):
    sample = sample_of(99, count=3)
    clicked = replace(sample, prompts=Prompts(sample.boxes.center + 0.2, sample.boxes.label, CLASSES))
    result, pasted = paste(clicked, bank, FULL, np.random.default_rng(0))
    assert np.array_equal(result.prompts.label, result.boxes.label)
    assert np.array_equal(result.prompts.points[pasted], result.boxes.center[pasted])
    assert np.array_equal(result.prompts.points[:3], clicked.prompts.points)


def test_the_same_seed_pastes_the_same(bank):
    results = [paste(sample_of(99), bank, FULL, np.random.default_rng(seed))[0] for seed in (3, 3, 4)]
    assert np.array_equal(results[0].points, results[1].points)
    assert len(results[0].points) != len(results[2].points)


def test_a_bank_is_saved_and_read(bank, tmp_path):
    bank.save(tmp_path / "bank.npz")
    read = ObjectBank.load(tmp_path / "bank.npz")
    assert read.boxes.classes == CLASSES and np.array_equal(read.frame, bank.frame)
    for name in ("center", "size", "yaw", "label"):
        assert np.array_equal(getattr(read.boxes, name), getattr(bank.boxes, name))
    assert np.array_equal(read.object_points(7, 1.0), bank.object_points(7, 1.0))
    assert [p.name for p in tmp_path.iterdir()] == ["bank.npz"]


def test_an_empty_bank_pastes_nothing(tmp_path):
    ObjectBank.build([], CLASSES).save(tmp_path / "bank.npz")
    sample = sample_of(0)
    assert paste(sample, ObjectBank.load(tmp_path / "bank.npz"), FULL, np.random.default_rng(0))[0] is sample


@pytest.mark.parametrize("damage", ["absent", "empty", "truncated", "flipped", "other"])
def test_a_damaged_bank_is_refused(bank, tmp_path, damage):
    path = tmp_path / "bank.npz"
    bank.save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    contents = {"empty": b"", "truncated": bytes(data[: len(data) // 2]), "flipped": bytes(data)}
    if damage == "absent":
        path.unlink()
    elif damage == "other":
        np.savez(path, something=np.zeros(3))
    else:
        path.write_bytes(contents[damage])
    with pytest.raises(InputError, match=r"bank.npz is unreadable .*Delete it"):
        ObjectBank.load(path)


def test_samples_that_do_not_fit_are_refused(bank):
    sample = sample_of(0)
    rng = np.random.default_rng(0)
    weak = RigSample("weak", sample.points, 1.7)
    with pytest.raises(InputError, match="boxes of weak is absent"):
        paste(weak, bank, FULL, rng)
    with pytest.raises(InputError, match="boxes of weak is absent"):
        ObjectBank.build([weak], CLASSES)
    other = replace(sample, boxes=replace(sample.boxes, classes=("a", "b", "c")))
    with pytest.raises(InputError, match="classes of frame-0"):
        paste(other, bank, FULL, rng)
    with pytest.raises(InputError, match="class to paste is Tram"):
        paste(sample, bank, {"Tram": 1}, rng)
