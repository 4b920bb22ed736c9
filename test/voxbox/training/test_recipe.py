"""A recipe is checked, comes from the command line as well as from a preset, and survives its file."""

import argparse
import json
from dataclasses import fields

import pytest

from km3d_ros.contract import Contract
from km3d_ros.losses import LossWeights
from voxbox.training.options import add_options, make
from voxbox.training.recipe import PRESETS, Plan, Recipe
from voxbox_core.datasets.augment import Augmentation
from voxbox_core.errors import InputError


def parse(line):
    parser = argparse.ArgumentParser()
    add_options(parser, Recipe, "recipe")
    return parser.parse_args(line.split())


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_makes_a_plan(name):
    preset = PRESETS[name]
    Contract(**preset["contract"])
    LossWeights(**preset.get("losses", {}))
    Augmentation(**preset["augmentation"])
    Recipe(data=("d",), **preset["recipe"])


def test_the_command_line_overrules_the_preset_and_the_preset_the_default():
    args = parse("--data a b --batch 3 --compile")
    recipe = make(Recipe, {"batch": 9, "clip": 7.0, "steps": 10}, args)
    assert (recipe.data, recipe.batch, recipe.clip, recipe.compile) == (("a", "b"), 3, 7.0, True)
    assert recipe.learning_rate == Recipe(data=("a",), steps=1).learning_rate


def test_every_field_has_a_help_text():
    assert all(f.metadata["help"] for cls in (Recipe, Augmentation) for f in fields(cls))


def test_a_plan_survives_its_file(tmp_path):
    recipe = Recipe(data=("d",), minutes=3, drops=(0.4, 0.6))
    plan = Plan(Contract(input_width=320, input_height=96), recipe, LossWeights(hm=2), Augmentation(flip=0))
    plan.save(tmp_path / "recipe.json")
    assert Plan.load(tmp_path / "recipe.json") == plan


def test_what_an_older_recipe_lacks_is_not_guessed(tmp_path):
    plan = Plan(Contract(), Recipe(data=("d",), minutes=3), LossWeights(), Augmentation())
    plan.save(tmp_path / "recipe.json")
    content = json.loads((tmp_path / "recipe.json").read_text())
    del content["augmentation"]["shade"]
    (tmp_path / "recipe.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="unusable .augmentation without shade"):
        Plan.load(tmp_path / "recipe.json")


@pytest.mark.parametrize("content", ["{", "[]", '{"contract": {}}', '{"contract": {}, "recipe": {"batsh": 1}}'])
def test_an_unusable_recipe_file_is_named(tmp_path, content):
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(InputError, match="recipe.json is unusable.*expected"):
        Plan.load(tmp_path / "recipe.json")


@pytest.mark.parametrize(
    "bad",
    [
        {"data": ()},
        {"steps": 0},
        {"minutes": 5.0},
        {"batch": 0},
        {"learning_rate": -1.0},
        {"ema": 1.0},
        {"precision": "fp8"},
        {"drops": (1.5,)},
        {"validate_every": 0.0},
        {"workers": -1},
    ],
)
def test_a_value_that_cannot_be_is_named(bad):
    with pytest.raises(InputError, match="expected"):
        Recipe(**({"data": ("d",), "steps": 5} | bad))
