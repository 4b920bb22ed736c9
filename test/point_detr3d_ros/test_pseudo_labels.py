"""Pseudo labels come back as they were written, or with a message that says what to do."""

from dataclasses import replace

import numpy as np
import pytest

from point_detr3d_ros.pseudo_labels import PseudoLabel, read_pseudo_labels, write_pseudo_labels
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.rig import Prompts, RigSample, points_in_boxes
from voxbox_core.errors import InputError

CLASSES = ("Car", "Pedestrian")


def sample_of(name, count, clicks=None):
    rng = np.random.default_rng(len(name) + count)
    points = np.concatenate([rng.uniform(-20, 20, (2000, 3)) * (1, 1, 0.05), np.zeros((2000, 2))], -1)
    clicks = count if clicks is None else clicks
    prompts = Prompts(rng.uniform(-20, 20, (clicks, 3)) * (1, 1, 0.02), rng.integers(0, 2, clicks), CLASSES)
    sample = RigSample(name, points.astype(np.float32), 1.7, prompts=prompts)
    size = rng.uniform(0.5, 5, (count, 3))
    nan = np.full((count, 4), np.nan)
    label, score, yaw = prompts.label[:count], rng.random(count), rng.uniform(-3, 3, count)
    return sample, Boxes3D(prompts.points[:count], size, yaw, label, score, nan, CLASSES, Axes.BODY)


SAMPLES = {name: sample_of(name, *counts) for name, counts in {"a": (3,), "b": (0,), "c": (4, 6), "d": (1,)}.items()}
LABELS = {name: PseudoLabel.of(*pair) for name, pair in SAMPLES.items()}


@pytest.fixture
def path(tmp_path):
    write_pseudo_labels(tmp_path / "labels.npz", LABELS, CLASSES, "teacher 1")
    return tmp_path / "labels.npz"


def read(path, frames=tuple(LABELS), classes=CLASSES, origin="teacher 1"):
    return read_pseudo_labels(path, frames, classes, origin)


def same(found, expected):
    boxes = all(np.array_equal(getattr(found.boxes, n), getattr(expected.boxes, n)) for n in ("center", "size", "yaw"))
    prompts = np.array_equal(found.prompts.points, expected.prompts.points)
    labels = np.array_equal(found.prompts.label, expected.prompts.label)
    scores = np.array_equal(found.boxes.score, expected.boxes.score)
    return boxes and prompts and labels and scores and np.array_equal(found.hits, expected.hits)


def test_labels_come_back(path):
    found = read(path)
    assert list(found) == list(LABELS) and all(same(found[name], LABELS[name]) for name in LABELS)
    assert found["c"].boxes.axes is Axes.BODY and found["c"].boxes.classes == CLASSES
    assert [p.name for p in path.parent.iterdir()] == ["labels.npz"]


def test_merging_replaces_boxes_and_keeps_every_click(path):
    sample, boxes = SAMPLES["c"]
    label = read(path)["c"]
    merged = label.merged(sample)
    assert np.array_equal(merged.boxes.center, boxes.center) and len(merged.prompts) == 6
    assert np.array_equal(merged.hits, points_in_boxes(sample.points, boxes).sum(1)) and merged.hits.any()
    assert merged.points is sample.points and merged.name == "c"
    middle = float(np.median(boxes.score))
    few = label.merged(sample, least_score=middle)
    assert 0 < len(few.boxes) < 4 and (few.boxes.score >= middle).all() and len(few.prompts) == 6


def test_no_frames_are_fine(tmp_path):
    write_pseudo_labels(tmp_path / "none.npz", {}, CLASSES, "t")
    assert read_pseudo_labels(tmp_path / "none.npz", [], CLASSES, "t") == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"frames": ("a", "b", "c", "d", "e")}, r"without \['e'\]"),
        ({"frames": ("a", "b")}, r"with \['c', 'd'\]"),
        ({"classes": ("Car", "Bus")}, "classes of pseudo labels"),
        ({"origin": "teacher 2"}, "origin of pseudo labels .*'teacher 1'; expected 'teacher 2'"),
    ],
)
def test_labels_of_something_else_are_refused(path, given, message):
    with pytest.raises(InputError, match=f"{message}.*Run stage S2 again"):
        read(path, **given)


def test_a_damaged_file_is_refused_or_harmless(path):
    """Every length of the file, and every tenth byte turned: never wrong labels, never another exception."""
    whole = path.read_bytes()
    assert same(read(path)["a"], LABELS["a"])
    remedies = []
    damages = [whole[:n] for n in range(0, len(whole), 97)]
    for at in range(0, len(whole), 10):
        turned = bytearray(whole)
        turned[at] ^= 0x55
        damages.append(bytes(turned))
    for damage in damages:
        path.write_bytes(damage)
        try:
            found = read(path)
        except InputError as error:
            remedies.append(error.remedy)
        else:
            assert all(same(found[name], LABELS[name]) for name in LABELS)
    assert len(remedies) > 0.8 * len(damages) and set(remedies) == {"Run stage S2 again."}


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"labels.npz is unreadable .*No such file.*Run stage S2 again"):
        read(tmp_path / "labels.npz")


@pytest.mark.parametrize("column", ["score", "hits", "click", "boxes", "origin"])
def test_columns_that_do_not_agree_are_refused(path, column):
    with np.load(path) as file:
        columns = dict(file)
    for changed in ({column: np.atleast_1d(columns[column])[1:]}, {}):
        rest = {name: value for name, value in columns.items() if name != column}
        np.savez(path, **rest, **changed)
        with pytest.raises(InputError, match="Run stage S2 again"):
            read(path)


@pytest.mark.parametrize(("column", "value"), [("yaw", np.nan), ("size", -1.0), ("score", 1.5), ("label", 7)])
def test_boxes_that_are_none_are_refused(path, column, value):
    with np.load(path) as file:
        columns = dict(file)
    columns[column].reshape(-1)[0] = value
    np.savez(path, **columns)
    with pytest.raises(InputError, match=r"pseudo labels .* is unsound .*Run stage S2 again"):
        read(path)


def test_a_teacher_that_diverged_is_found_when_it_labels():
    sample, boxes = SAMPLES["a"]
    with pytest.raises(InputError, match="pseudo box"):
        PseudoLabel.of(sample, replace(boxes, center=boxes.center * np.nan))


def test_frames_without_clicks_and_other_classes_are_refused(tmp_path):
    sample, boxes = SAMPLES["a"]
    with pytest.raises(InputError, match="prompts of a is absent"):
        PseudoLabel.of(replace(sample, prompts=None), boxes)
    with pytest.raises(InputError, match="classes of a's boxes and clicks"):
        write_pseudo_labels(tmp_path / "x.npz", LABELS, ("Car", "Bus"), "t")
