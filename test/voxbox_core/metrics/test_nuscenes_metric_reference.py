"""The nuScenes metrics against nuscenes-devkit's numbers: make_nuscenes_devkit.py says how they are made."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.metrics.nuscenes import RULES, Evaluation, Frame, Motion, evaluate

NAMES = {"ATE": "trans_err", "ASE": "scale_err", "AOE": "orient_err", "AVE": "vel_err", "AAE": "attr_err"}
RULE_SET = RULES["nuscenes_cvpr2019"]
EXACT = 1e-9


def _boxes(rows: list[list], classes: tuple[str, ...]) -> Boxes3D:
    """Rows that begin with class, x, y, z, l, w, h, yaw; the score, if any, is the last."""
    numbers = np.array([row[1:8] for row in rows], dtype=float).reshape(-1, 7)
    return Boxes3D(
        center=numbers[:, :3],
        size=numbers[:, 3:6],
        yaw=numbers[:, 6],
        label=np.array([classes.index(row[0]) for row in rows], dtype=np.int64),
        score=np.array([row[-1] for row in rows], dtype=float),
        box2d=np.full((len(rows), 4), np.nan),
        classes=classes,
        axes=Axes.BODY,
    )


def _motion(rows: list[list]) -> Motion:
    velocity = np.array([[math.nan if v is None else v for v in row[8:10]] for row in rows])
    return Motion(velocity, np.array([row[10] for row in rows], np.str_))


def _frame(frame: dict) -> Frame:
    classes = tuple(RULE_SET.ranges)
    return Frame(
        truth=_boxes(frame["truth"], classes),
        found=_boxes(frame["found"], classes[::-1]),  # names count, not their numbers
        hits=np.array([row[-1] for row in frame["truth"]]),
        origin=np.array(frame["origin"]),
        truth_motion=_motion(frame["truth"]),
        found_motion=_motion(frame["found"]),
        racks=_boxes([["rack", *rack] for rack in frame["racks"]], ("rack",)),
    )


@pytest.fixture(scope="module")
def fixture() -> dict:
    return json.loads(Path(__file__).with_name("nuscenes_devkit.json").read_text())


@pytest.fixture(scope="module")
def expected(fixture) -> dict:
    return fixture["expected"]


@pytest.fixture(scope="module")
def result(fixture) -> Evaluation:
    return evaluate([_frame(frame) for frame in fixture["frames"]], RULE_SET)


def test_the_same_objects_count(result, expected) -> None:
    assert result.objects == expected["objects"]
    assert sum(result.objects.values()) > 100


def test_average_precision_by_class_and_distance(result, expected) -> None:
    assert result.average_precision.keys() == expected["label_aps"].keys()
    for name, by_distance in expected["label_aps"].items():
        ours = {str(threshold): value for threshold, value in result.average_precision[name].items()}
        assert ours == pytest.approx(by_distance, abs=EXACT), name
    assert result.class_ap == pytest.approx(expected["mean_dist_aps"], abs=EXACT)
    assert result.mean_ap == pytest.approx(expected["mean_ap"], abs=EXACT)


def test_errors_by_class(result, expected) -> None:
    for name, errors in expected["label_tp_errors"].items():
        for error, devkit in NAMES.items():
            value = math.nan if errors[devkit] is None else errors[devkit]
            assert result.errors[name][error] == pytest.approx(value, abs=EXACT, nan_ok=True), (name, error)
    means = {error: expected["tp_errors"][devkit] for error, devkit in NAMES.items()}
    assert result.mean_errors == pytest.approx(means, abs=EXACT)


def test_detection_scores(result, expected) -> None:
    """SPNDS is not the devkit's: its definition, from the devkit's parts."""
    assert result.nds == pytest.approx(expected["nd_score"], abs=EXACT)
    merits = [1 - min(1.0, expected["tp_errors"][NAMES[error]]) for error in ("ATE", "ASE", "AOE")]
    assert result.spnds == pytest.approx((5 * expected["mean_ap"] + sum(merits)) / 8, abs=EXACT)
