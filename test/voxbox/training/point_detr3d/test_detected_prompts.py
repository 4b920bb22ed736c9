"""Prompts as a detector gives them: near the objects, some backwards, as many among the clicks as the recipe says."""

import json
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.losses import LossWeights
from point_detr3d_ros.teacher_losses import TeacherLossWeights
from voxbox.training.plans import planned
from voxbox.training.point_detr3d.asking import NOTHING, as_detected
from voxbox.training.point_detr3d.clouds import collate, student_item, teacher_item
from voxbox.training.point_detr3d.recipe import PARTS, Plan, Recipe
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.augment_cloud import CloudAugmentation
from voxbox_core.datasets.prompts import PromptSettings
from voxbox_core.datasets.rig import RigSample
from voxbox_core.errors import InputError

HEIGHT = 1.7


def boxes(count):
    rng = np.random.default_rng(0)
    center = np.column_stack([rng.uniform(-9, 9, count), rng.uniform(-5, 5, count), np.full(count, -0.9)])
    size, yaw, label = np.tile([4.0, 1.7, 1.5], (count, 1)), rng.uniform(-3, 3, count), rng.integers(0, 6, count)
    blank = np.full((count, 4), np.nan)
    return Boxes3D(center, size, yaw, label, np.ones(count), blank, Contract().classes, Axes.BODY)


def plan(rois, wrong=0.0):
    contract = Contract(x=(-12.8, 12.8), y=(-6.4, 6.4), cameras=False)
    still = CloudAugmentation.weak()
    recipe = Recipe(data=("somewhere",), rois=rois, wrong=wrong)
    return Plan(contract, recipe, LossWeights(), TeacherLossWeights(), still, PromptSettings.paper(0.0))


def item(rois, count=200, seed=0):
    truth = boxes(count)
    sample = RigSample("a", np.zeros((1, 5), np.float32), HEIGHT, boxes=truth, hits=np.full(count, 9))
    return teacher_item(plan(rois))(sample, np.random.default_rng(seed)), truth


def sparse(wrong, seed=0):
    """Prompts on four objects in a cloud that is full of things."""
    rng = np.random.default_rng(seed)
    things = np.column_stack([rng.uniform((-12, -6, -1.7), (12, 6, 1), (4000, 3)), np.zeros((4000, 2))])
    sample = RigSample("a", things.astype(np.float32), HEIGHT, boxes=boxes(4), hits=np.full(4, 9))
    return teacher_item(plan(0.0, wrong))(sample, rng)


def test_a_detector_is_a_little_off() -> None:
    truth = boxes(20000)
    found = as_detected(truth, np.random.default_rng(1))
    assert (found.center - truth.center).std(0) == pytest.approx([0.3] * 3, rel=0.05)
    assert np.log(found.size / truth.size).std(0) == pytest.approx([0.1] * 3, rel=0.05)
    turn = found.yaw - truth.yaw
    backwards = np.cos(turn) < 0
    assert backwards.mean() == pytest.approx(0.1, abs=0.01)
    assert turn[~backwards].std() == pytest.approx(0.15, rel=0.05)
    assert (turn[backwards] - np.pi).std() == pytest.approx(0.15, rel=0.1)
    assert (found.label == truth.label).all()


def test_clicks_have_no_box() -> None:
    found, truth = item(0.0)
    assert not found["roi"].any()
    np.testing.assert_allclose(found["points"], truth.center + np.array([0, 0, HEIGHT]), atol=1e-5)


@pytest.mark.parametrize("rois", [0.5, 1.0])
def test_so_many_are_boxes_and_belong_to_their_objects(rois) -> None:
    found, _ = item(rois)
    boxed = found["roi"][:, 0] > 0
    assert boxed.mean() == pytest.approx(rois, abs=0.1)
    assert not found["roi"][~boxed].any()
    away = np.linalg.norm(found["points"] - found["center"], axis=1)
    assert (away[boxed] > 0).all() and away[boxed].mean() < 1 and not away[~boxed].any()
    size, heading = found["roi"][boxed, :3], found["roi"][boxed, 3:]
    assert np.abs(np.log(size / found["size"][boxed])).max() < 0.6
    along = heading * np.column_stack([np.sin(found["yaw"]), np.cos(found["yaw"])])[boxed]
    assert np.abs(along.sum(1)).mean() > 0.97  # the right way or backwards
    np.testing.assert_allclose(np.linalg.norm(heading, axis=1), 1, atol=1e-6)


def test_a_batch_keeps_them_beside_their_points() -> None:
    contract = plan(0.5).contract
    items = [item(0.5, 7, seed)[0] for seed in range(2)]
    batch = collate(contract, joined=True)(items)
    assert batch["roi"].shape == (len(batch["points"]), 5)
    np.testing.assert_array_equal(batch["roi"], np.concatenate([i["roi"] for i in items]))


def test_a_run_of_another_version_is_refused(tmp_path) -> None:
    place = tmp_path / "recipe.json"
    plan(0.25).save(place)
    assert Plan.load(place).recipe.rois == 0.25
    content = json.loads(place.read_text())
    del content["recipe"]["rois"]
    place.write_text(json.dumps(content))
    with pytest.raises(InputError, match="recipe without rois"):
        planned(Namespace(out=tmp_path, resume=True), Plan, PARTS, {})


def test_what_no_return_has_hit_is_neither_clicked_nor_learned() -> None:
    truth, alone = boxes(4), plan(0.0)
    alone = replace(alone, recipe=replace(alone.recipe, compare="none"))
    sample = RigSample("a", np.zeros((1, 5), np.float32), HEIGHT, boxes=truth, hits=np.array([9, 0, 9, 0]))
    asked = teacher_item(alone)(sample, np.random.default_rng(0))
    learned = student_item(alone)(sample, np.random.default_rng(0))
    assert asked["object"].tolist() == learned["label"][learned["valid"]].tolist() == truth.label[[0, 2]].tolist()


def test_more_than_all_is_refused() -> None:
    with pytest.raises(InputError, match="rois is 1.5"):
        Recipe(data=("somewhere",), rois=1.5)


def test_some_are_asked_for_another_class_and_some_where_nothing_is() -> None:
    found = [sparse(0.3, seed) for seed in range(200)]
    label, there = (np.concatenate([f[name] for f in found]) for name in ("label", "object"))
    real = there != NOTHING
    assert (label[real] != there[real]).mean() == pytest.approx(0.3, abs=0.05)
    assert real.sum() == 800
    assert 0.15 < (~real).sum() / 800 < 0.3  # what falls near an object is left out
    assert set(label) == set(range(6))
    truth = boxes(4)
    for f in found:
        places = f["points"][f["object"] == NOTHING]
        away = np.linalg.norm(places[:, None, :2] - truth.center[:, :2], axis=2)
        assert (away > 2).all()
        assert (places[:, 2] > 0.7).all() and (places[:, 2] < 1.7).all()  # they stand on the ground


def test_without_wrong_prompts_and_without_anything_to_mistake() -> None:
    found = sparse(0.0)
    assert (found["label"] == found["object"]).all() and len(found["label"]) == 4
    flat = RigSample("a", np.zeros((9, 5), np.float32), HEIGHT, boxes=boxes(4), hits=np.full(4, 9))
    flat.points[:, 2] = -HEIGHT
    assert (teacher_item(plan(0.0, 1.0))(flat, np.random.default_rng(0))["object"] != NOTHING).all()


def test_of_one_class_no_prompt_is_of_another() -> None:
    alone = plan(0.0, 1.0)
    one = {"classes": ("Car",), "mean_sizes": ((4.0, 1.7, 1.5),), "groups": (("Car",),), "score_thresholds": (0.1,)}
    contract = replace(alone.contract, **one)
    truth = replace(boxes(4), label=np.zeros(4, np.int64), classes=("Car",))
    sample = RigSample("a", np.zeros((1, 5), np.float32), HEIGHT, boxes=truth, hits=np.full(4, 9))
    found = teacher_item(replace(alone, contract=contract))(sample, np.random.default_rng(0))
    assert found["label"].tolist() == [0] * len(found["label"]) and (found["object"] != NOTHING).sum() == 4
