"""The nuScenes metrics: what is perfect, what is missed, what is left out."""

import math
from dataclasses import replace

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.errors import InputError
from voxbox_core.metrics.nuscenes import RULES, STATIC_ERRORS, Frame, Motion, evaluate

STREET, NUSCENES = RULES["street"], RULES["nuscenes_cvpr2019"]
CLASSES = tuple(STREET.ranges)


def _boxes(xy: np.ndarray, name: str = "Car", **changes: object) -> Boxes3D:
    count = len(xy)
    boxes = Boxes3D(
        center=np.column_stack([xy, np.zeros(count)]),
        size=np.tile([4.0, 2.0, 1.5], (count, 1)),
        yaw=np.linspace(-3, 3, count),
        label=np.full(count, CLASSES.index(name)),
        score=np.linspace(0.9, 0.1, count),
        box2d=np.full((count, 4), np.nan),
        classes=CLASSES,
        axes=Axes.BODY,
    )
    return replace(boxes, **changes)


def _row(count: int, y: float = 5.0) -> np.ndarray:
    """Places 8 m apart, in range."""
    return np.column_stack([8.0 * np.arange(count) - 30, np.full(count, y)])


def _frame(truth: Boxes3D, found: Boxes3D, hits: int = 5, **changes: object) -> Frame:
    return Frame(truth, found, np.full(len(truth), hits), **changes)


def _all_classes() -> Boxes3D:
    return Boxes3D.concatenate([_boxes(_row(7, y=5.0 * i), name) for i, name in enumerate(CLASSES)])


def test_the_truth_itself_is_perfect() -> None:
    boxes = _all_classes()
    result = evaluate([_frame(boxes, boxes)] * 3, STREET)
    assert result.mean_ap == pytest.approx(1.0, abs=1e-12)
    assert result.spnds == pytest.approx(1.0, abs=1e-12)
    assert max(result.mean_errors[error] for error in STATIC_ERRORS) < 1e-12
    assert math.isnan(result.nds) and math.isnan(result.mean_errors["AVE"])  # velocities were not given


def test_with_motion_there_is_nds() -> None:
    boxes = _all_classes()
    still = Motion(np.zeros((len(boxes), 2)), np.full(len(boxes), "vehicle.parked"))
    fast = Motion(np.full((len(boxes), 2), 3.0), np.full(len(boxes), "vehicle.moving"))
    assert evaluate([_frame(boxes, boxes, truth_motion=still, found_motion=still)], STREET).nds == pytest.approx(1.0)
    result = evaluate([_frame(boxes, boxes, truth_motion=still, found_motion=fast)], STREET)
    assert result.nds == pytest.approx(0.8)  # (5 + 3 + 0 + 0) / 10
    assert result.mean_errors["AVE"] == pytest.approx(3 * math.sqrt(2)) and result.mean_errors["AAE"] == 1.0


@pytest.mark.parametrize("found", [np.zeros((0, 2)), _row(5, y=20.0)], ids=["nothing found", "all elsewhere"])
def test_what_misses_everything_scores_0(found: np.ndarray) -> None:
    result = evaluate([_frame(_boxes(_row(5)), _boxes(found))], STREET)
    assert result.mean_ap == 0 and result.spnds == 0
    assert result.errors["Car"]["ATE"] == 1.0


def test_the_best_score_is_that_of_the_best_f1() -> None:
    """Of five objects four are found by the four best boxes; then come boxes of nothing, the first as sure as a hit."""
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.2, 0.1])
    found = _boxes(np.concatenate([_row(4), _row(3, y=30.0)]), score=score)
    result = evaluate([_frame(_boxes(_row(5)), found)], STREET)
    f1 = {0.7: 2 * 3 / (5 + 3), 0.6: 2 * 4 / (5 + 5), 0.1: 2 * 4 / (5 + 7)}  # 0.75, 0.8, 0.67
    assert result.best_score["Car"] == max(f1, key=lambda cut: f1[cut]) and math.isnan(result.best_score["Bus"])


def test_nothing_at_all() -> None:
    none = _boxes(np.zeros((0, 2)))
    result = evaluate([_frame(none, none)], STREET)
    assert math.isnan(result.mean_ap) and math.isnan(result.spnds)
    with pytest.raises(InputError, match="at least 1"):
        evaluate([], STREET)


def test_a_hit_1_5_m_off_counts_from_2_m_on() -> None:
    truth = _boxes(np.array([[10.0, 0.0]]))
    result = evaluate([_frame(truth, _boxes(np.array([[10.0, 1.5]])))], STREET)
    assert result.average_precision["Car"] == pytest.approx({0.5: 0.0, 1.0: 0.0, 2.0: 1.0, 4.0: 1.0})
    assert result.class_ap["Car"] == pytest.approx(0.5)
    assert result.errors["Car"]["ATE"] == pytest.approx(1.5)


def test_a_hit_is_nearer_than_the_threshold_not_at_it() -> None:
    result = evaluate([_frame(_boxes(np.array([[10.0, 0.0]])), _boxes(np.array([[10.0, 2.0]])))], STREET)
    assert result.average_precision["Car"] == pytest.approx({0.5: 0.0, 1.0: 0.0, 2.0: 0.0, 4.0: 1.0})


def test_an_object_is_found_once_by_the_best_score() -> None:
    """The nearer box comes second and finds the object taken. This false positive is at recall 1, where it counts."""
    truth = _boxes(np.array([[10.0, 0.0]]))
    found = _boxes(np.array([[10.0, 1.0], [10.0, 0.1]]))
    result = evaluate([_frame(truth, found)], STREET)
    assert result.errors["Car"]["ATE"] == pytest.approx(1.0)
    assert result.average_precision["Car"][2.0] == pytest.approx((89 + (0.5 - 0.1) / 0.9) / 90)


def test_boxes_find_no_objects_of_other_frames_or_classes() -> None:
    truth, found = _boxes(_row(4)), _boxes(_row(4), "Van")
    assert evaluate([_frame(truth, found)], STREET).mean_ap == 0
    none = _boxes(np.zeros((0, 2)))
    assert evaluate([_frame(truth, none), _frame(none, _boxes(_row(4)))], STREET).mean_ap == 0


@pytest.mark.parametrize(("turn", "error"), [(0.4, 0.4), (math.pi - 0.1, math.pi - 0.1), (2 * math.pi + 0.2, 0.2)])
def test_the_error_of_a_turn(turn: float, error: float) -> None:
    truth = _boxes(_row(6))
    found = replace(truth, yaw=truth.yaw + turn)
    assert evaluate([_frame(truth, found)], STREET).errors["Car"]["AOE"] == pytest.approx(error)


def test_the_error_of_a_size_is_one_minus_iou() -> None:
    truth = _boxes(_row(6))
    found = replace(truth, size=truth.size * [0.5, 1.0, 1.0])
    assert evaluate([_frame(truth, found)], STREET).errors["Car"]["ASE"] == pytest.approx(0.5)


def test_precision_falls_with_false_positives_before_the_hits() -> None:
    truth = _boxes(_row(8))
    false = _boxes(_row(8, y=30.0), score=np.full(8, 0.95))
    result = evaluate([_frame(truth, Boxes3D.concatenate([truth, false]))], STREET)
    hits = np.arange(9)
    precision = np.interp(np.linspace(0.11, 1, 90), hits / 8, hits / (8 + hits))
    expected = np.maximum(precision - 0.1, 0).mean() / 0.9
    assert result.average_precision["Car"][2.0] == pytest.approx(expected)


def test_far_objects_and_those_that_nothing_has_hit_are_left_out() -> None:
    far = _boxes(np.array([[50.5, 0.0], [10.0, 0.0]]))
    assert evaluate([_frame(far, far)], STREET).objects["Car"] == 1
    walker = _boxes(np.array([[45.0, 0.0]]), "Pedestrian")
    assert evaluate([_frame(walker, walker)], STREET).objects["Pedestrian"] == 0
    assert evaluate([_frame(far, far, hits=0)], STREET).objects["Car"] == 0
    moved = evaluate([_frame(far, far, origin=np.array([40.0, 0.0]))], STREET)
    assert moved.objects["Car"] == 2


def test_a_ring_takes_the_place_of_the_ranges() -> None:
    places = np.array([[5.0, 0.0], [15.0, 0.0], [45.0, 0.0], [51.0, 0.0]])
    boxes = _boxes(places, "Pedestrian")
    counts = [
        evaluate([_frame(boxes, boxes)], STREET, ring).objects["Pedestrian"] for ring in ((0, 10), (10, 20), (40, 52))
    ]
    assert counts == [1, 1, 2]


def test_a_class_without_objects_counts_by_the_rules_of_nuscenes_alone() -> None:
    cars = _boxes(_row(5))
    assert evaluate([_frame(cars, cars)], STREET).mean_ap == pytest.approx(1.0)
    names = replace(cars, classes=("car", "van", "truck", "bus", "bicycle", "pedestrian"))
    result = evaluate([_frame(names, names)], NUSCENES)
    assert result.mean_ap == pytest.approx(0.1) and result.errors["bus"]["ATE"] == 1.0


def test_unsound_frames_are_refused() -> None:
    boxes = _boxes(_row(3))
    with pytest.raises(InputError, match="axes"):
        _frame(boxes, replace(boxes, axes=Axes.OPTICAL))
    with pytest.raises(InputError, match="hits"):
        Frame(boxes, boxes, np.zeros(2))
    with pytest.raises(InputError, match="score"):
        _frame(boxes, replace(boxes, score=np.full(3, np.nan)))
    crowd = _boxes(np.zeros((501, 2)))
    with pytest.raises(InputError, match="at most 500"):
        evaluate([_frame(boxes, boxes), _frame(boxes, crowd)], STREET)
