"""The KITTI metric: the official tool's curves, its artefacts, and what is ignored."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from voxbox_core.datasets.kitti import COLUMNS, Labels, read_labels
from voxbox_core.errors import InputError
from voxbox_core.metrics.kitti import RULES, evaluate, score_thresholds

R40, R11 = RULES["kitti_r40"], RULES["kitti_r11"]
Value = float | np.ndarray
LEVELS = ("easy", "moderate", "hard")


def _rows(count: int, kind: str = "Car", height: float = 60.0, score: Value = np.nan, **changes: Value) -> Labels:
    """Cars in a row, 10 m apart in the world and 100 px apart in the image."""
    values = np.zeros((count, len(COLUMNS)))
    left = 100.0 * np.arange(count)
    row: dict[str, Value] = {
        "left": left,
        "right": left + 80,
        "bottom": height,
        "height": 1.5,
        "width": 1.6,
        "length": 4.0,
    }
    row |= {"x": 10.0 * np.arange(count), "y": 1.6, "z": 20.0, "score": score} | changes
    for name, value in row.items():
        values[:, COLUMNS.index(name)] = value
    return Labels.from_rows([kind] * count, values)


def _join(*parts: Labels) -> Labels:
    return Labels(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in Labels.__dataclass_fields__})


@pytest.mark.parametrize("kind", ["Car", "Pedestrian", "Cyclist"])
@pytest.mark.parametrize("rules", [R40, R11], ids=lambda r: r.name)
def test_truth_scores_100_against_itself(kind: str, rules) -> None:
    result = evaluate([_rows(30, kind)] * 2, [_rows(30, kind, score=1.0)] * 2, rules)
    assert result.objects[f"{kind}/moderate"] == 60
    ours = {k: v for k, v in result.average_precision.items() if k.startswith(kind)}
    assert len(ours) == 4 * 2 * 3
    assert set(ours.values()) == {100.0}


def test_classes_without_objects_have_no_score() -> None:
    result = evaluate([_rows(3)], [_rows(3, score=1.0)], R40)
    assert result.average_precision["Cyclist/3d/0.5/easy"] is None
    assert result.objects["Cyclist/easy"] == 0


def test_one_hit_among_many_is_worth_a_ninth_with_11_points_and_nothing_with_40() -> None:
    """The artefact that makes the two numbers incomparable."""
    truth, found = [_rows(100)], [_rows(1, score=0.9)]
    assert evaluate(truth, found, R11).average_precision["Car/3d/0.7/easy"] == pytest.approx(100 / 11)
    assert evaluate(truth, found, R40).average_precision["Car/3d/0.7/easy"] == 0


@pytest.mark.parametrize("count", [1, 7, 40, 41, 42, 500])
def test_thresholds_are_as_many_as_objects_and_at_most_41(count: int) -> None:
    scores = np.linspace(0.1, 0.9, count)
    thresholds = score_thresholds(scores, count)
    assert len(thresholds) == min(count, 41)
    assert (np.diff(thresholds) < 0).all()
    assert thresholds[0] == scores.max() and (count > 41 or thresholds[-1] == scores.min())


def test_precision_falls_with_false_positives_above_the_threshold() -> None:
    """50 hits at score 0.9 and as many false ones at 0.95 or 0.1: half the precision, or all of it."""
    truth = [_rows(50)]
    for score, expected in ((0.95, 50.0), (0.1, 100.0)):
        elsewhere = _rows(50, score=score, z=200.0, top=1000.0, bottom=1060.0)
        result = evaluate(truth, [_join(_rows(50, score=0.9), elsewhere)], R40)
        assert result.average_precision["Car/3d/0.7/easy"] == pytest.approx(expected)
        assert result.average_precision["Car/2d/0.7/easy"] == pytest.approx(expected)


def test_the_best_cut_leaves_out_what_is_mostly_false() -> None:
    """40 of 50 objects found with certainty, 50 false ones at 0.2, the other 10 objects below them."""
    found, false = _rows(50, score=np.r_[np.linspace(0.9, 0.6, 40), np.full(10, 0.1)]), _rows(50, score=0.2, z=200.0)
    false.box2d[:] += 1000.0
    best = evaluate([_rows(50)], [_join(found, false)], R40).operating_points["Car/2d/0.7/moderate"]
    assert best.score == pytest.approx(0.6, abs=0.02)
    assert (best.recall, best.precision) == (pytest.approx(0.8, abs=0.03), 1.0)
    assert not evaluate([_rows(5)], [_rows(0)], R40).operating_points


def test_a_second_detection_of_an_object_is_false() -> None:
    twice = _join(_rows(50, score=0.9), _rows(50, score=0.9))
    assert evaluate([_rows(50)], [twice], R40).average_precision["Car/bev/0.7/easy"] == pytest.approx(50)


def test_orientation_weighs_hits_by_the_cosine() -> None:
    truth = [_rows(50)]
    for turn, expected in ((0.0, 100.0), (np.pi / 2, 50.0), (np.pi, 0.0)):
        result = evaluate(truth, [_rows(50, score=0.9, alpha=turn)], R40)
        assert result.average_precision["Car/aos/0.7/easy"] == pytest.approx(expected, abs=1e-9)
        assert result.average_precision["Car/2d/0.7/easy"] == 100


def test_no_orientation_score_without_alpha() -> None:
    result = evaluate([_rows(50)], [_rows(50, score=0.9, alpha=-10.0)], R40)
    assert not [key for key in result.average_precision if key.startswith("Car/aos")]


def test_overlap_must_exceed_the_threshold() -> None:
    """A box of half the length, inside, overlaps by 0.5."""
    truth = [_rows(50)]
    half_image = _rows(50, score=0.9)
    half_image.box2d[:, 2] -= 40
    assert evaluate(truth, [half_image], R40).average_precision["Car/2d/0.5/easy"] == 0
    for length, expected in ((1.99, 0), (2.01, 100)):
        result = evaluate(truth, [_rows(50, score=0.9, length=length)], R40).average_precision
        assert result["Car/bev/0.5/easy"] == result["Car/3d/0.5/easy"] == expected


def test_height_counts_in_3d_only() -> None:
    above = evaluate([_rows(50)], [_rows(50, score=0.9, y=-5.0)], R40).average_precision
    assert above["Car/bev/0.7/easy"] == 100
    assert above["Car/3d/0.5/easy"] == 0


def test_dont_care_excuses_detections_in_2d_only() -> None:
    elsewhere = _rows(50, score=0.95, z=200.0, top=1000.0, bottom=1060.0)
    found = [_join(_rows(50, score=0.9), elsewhere)]
    region = _rows(1, "DontCare", left=-10.0, right=10_000.0, top=990.0, bottom=1100.0, height=-1.0)
    result = evaluate([_join(_rows(50), region)], found, R40)
    assert result.average_precision["Car/2d/0.7/easy"] == 100
    assert result.average_precision["Car/bev/0.7/easy"] == pytest.approx(50)


@pytest.mark.parametrize(("kind", "neighbour"), [("Car", "Van"), ("Pedestrian", "Person_sitting")])
def test_neighbours_are_neither_hits_nor_misses(kind: str, neighbour: str) -> None:
    others = _rows(10, neighbour, z=200.0, top=1000.0, bottom=1060.0)
    truth = [_join(_rows(50, kind), others)]
    found = [_join(_rows(50, kind, score=0.9), _rows(10, kind, score=0.95, z=200.0, top=1000.0, bottom=1060.0))]
    result = evaluate(truth, found, R40)
    assert result.objects[f"{kind}/easy"] == 50
    assert result.average_precision[f"{kind}/3d/0.5/easy"] == 100
    without_them = evaluate(truth, [_rows(50, kind, score=0.9)], R40)
    assert without_them.average_precision[f"{kind}/3d/0.5/easy"] == 100


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"height_px": 40.5}, (50, 50, 50)),
        ({"height_px": 39.5}, (0, 50, 50)),
        ({"height_px": 25.0}, (0, 0, 0)),
        ({"occluded": 1.0}, (0, 50, 50)),
        ({"occluded": 2.0}, (0, 0, 50)),
        ({"occluded": 3.0}, (0, 0, 0)),
        ({"truncated": 0.15}, (50, 50, 50)),
        ({"truncated": 0.29}, (0, 50, 50)),
        ({"truncated": 0.49}, (0, 0, 50)),
    ],
)
def test_difficulty_decides_which_objects_count(change: dict[str, float], counts: tuple[int, ...]) -> None:
    height = change.pop("height_px", 60.0)
    result = evaluate([_rows(50, height=height, **change)], [Labels.empty()], R40)
    assert tuple(result.objects[f"Car/{level}"] for level in LEVELS) == counts


def test_low_detections_are_no_false_positives() -> None:
    low = _rows(50, score=0.95, z=200.0, top=1000.0, bottom=1024.0)
    result = evaluate([_rows(50)], [_join(_rows(50, score=0.9), low)], R40)
    assert result.average_precision["Car/3d/0.7/moderate"] == 100


def test_detections_in_2d_alone_have_no_score_in_space() -> None:
    flat = _rows(50, score=0.9, height=60, width=-1.0, length=-1.0, x=-1000.0, z=-1000.0)
    result = evaluate([_rows(50)], [flat], R40).average_precision
    assert result["Car/2d/0.7/easy"] == 100
    assert result["Car/bev/0.5/easy"] == result["Car/3d/0.5/easy"] == 0


def test_frames_do_not_mix_and_their_order_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    truth = [_rows(n) for n in (4, 0, 9, 40)]
    found = [
        _rows(n, score=rng.uniform(0.1, 1, n), z=20 + rng.uniform(0, 1, n)) if n else Labels.empty()
        for n in (5, 3, 0, 40)
    ]
    forward, backward, shifted = (
        evaluate(t, f, R40).average_precision
        for t, f in ((truth, found), (truth[::-1], found[::-1]), (truth, found[1:] + found[:1]))
    )
    key = "Car/3d/0.7/easy"
    assert forward == pytest.approx(backward)
    assert 0 < (forward[key] or 0) < 100
    assert (shifted[key] or 0) < (forward[key] or 0)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(InputError, match="frames of detections is 1; expected 2"):
        evaluate([_rows(1)] * 2, [_rows(1, score=1.0)], R40)
    with pytest.raises(InputError, match="score of a detection is absent"):
        evaluate([_rows(1)], [_rows(1)], R40)


@pytest.mark.data
def test_reproduces_the_official_curves(shared_data: Path, tmp_path: Path) -> None:
    """3769 frames, Car, IoU 0.7: every one of the official tool's 41-point curves."""
    fixture = shared_data / "eval_fixtures" / "kitti_car_val"
    for archive in ("gt_label_2_val", "detections_car_val"):
        with tarfile.open(fixture / f"{archive}.tar.gz") as packed:
            packed.extractall(tmp_path, filter="data")
    names = (fixture / "val.txt").read_text().split()
    truth = [read_labels(tmp_path / "label_2" / f"{n}.txt") for n in names]
    paths = [tmp_path / "data" / f"{n}.txt" for n in names]
    found = [read_labels(p) if p.exists() else Labels.empty() for p in paths]
    result = evaluate(truth, found, R40)
    expected = json.loads((fixture / "expected.json").read_text())["expected_AP_percent"]
    for metric, suffix, name in (("2d", "", "2d_bbox"), ("bev", "_ground", "bev"), ("3d", "_3d", "3d")):
        official = np.loadtxt(fixture / f"stats_car_detection{suffix}.txt")
        for level, curve in zip(LEVELS, official, strict=True):
            key = f"Car/{metric}/0.7/{level}"
            np.testing.assert_allclose(result.curves[key], curve, atol=1e-6)
            assert result.objects[f"Car/{level}"] == expected[name][level]["n_gt"]
            assert result.average_precision[key] == pytest.approx(expected[name][level]["R40"], abs=1e-3)
            r11 = 100 * result.curves[key][list(R11.samples)].mean()
            assert r11 == pytest.approx(expected[name][level]["R11"], abs=1e-3)
