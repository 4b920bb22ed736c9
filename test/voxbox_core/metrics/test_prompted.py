"""Boxes judged by index: exact where they agree, known errors where they are moved or turned."""

import math
from dataclasses import replace

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D, iou_bev
from voxbox_core.datasets.rig import Prompts
from voxbox_core.errors import InputError
from voxbox_core.metrics.prompted import boxes_at_clicks, prompted_errors


def _boxes(count: int = 20, seed: int = 0) -> Boxes3D:
    rng = np.random.default_rng(seed)
    return Boxes3D(
        center=rng.uniform(-40, 40, (count, 3)),
        size=rng.uniform(0.5, 5, (count, 3)),
        yaw=rng.uniform(-3.1, 3.1, count),
        label=rng.integers(0, 2, count),
        score=np.ones(count),
        box2d=np.full((count, 4), np.nan),
        classes=("Car", "Cyclist"),
        axes=Axes.BODY,
    )


def test_the_truth_itself_has_no_errors() -> None:
    boxes = _boxes()
    assert prompted_errors(boxes, boxes).means == pytest.approx({"iou": 1.0, "center": 0.0, "yaw": 0.0}, abs=1e-9)


def test_moved_and_turned_boxes_have_the_errors_of_their_move() -> None:
    truth = _boxes()
    found = replace(truth, center=truth.center + np.array([0.3, 0.4, 9.0]), yaw=truth.yaw + np.pi + 0.2)
    errors = prompted_errors(truth, found)
    np.testing.assert_allclose(errors.center, 0.5)  # over the ground: height does not count
    np.testing.assert_allclose(errors.yaw, np.pi - 0.2)
    np.testing.assert_allclose(errors.iou, np.diag(iou_bev(truth, found)))
    assert len(errors[truth.label == 0]) == (truth.label == 0).sum()


def test_clicks_become_boxes_of_mean_size() -> None:
    truth = _boxes()
    sizes = [(4.0, 1.8, 1.5), (1.7, 0.6, 1.7)]
    truth = replace(truth, size=np.array(sizes)[truth.label])
    clicks = Prompts(truth.center, truth.label, truth.classes)
    assert prompted_errors(truth, boxes_at_clicks(clicks, sizes, truth.yaw)).means["iou"] == pytest.approx(1.0)


def test_no_boxes_have_no_mean() -> None:
    none = _boxes(0)
    assert all(math.isnan(value) for value in prompted_errors(none, none).means.values())
    assert len(boxes_at_clicks(Prompts(np.zeros((0, 3)), np.zeros(0), ("Car",)), [(4, 2, 1)], np.zeros(0))) == 0


def test_boxes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(InputError, match="one per object"):
        prompted_errors(_boxes(3), _boxes(4))
    with pytest.raises(InputError, match="axes"):
        prompted_errors(_boxes(3), replace(_boxes(3), axes=Axes.OPTICAL))
