"""The contract goes through JSON unchanged and refuses what makes no network."""

import json

import pytest

from point_detr3d_ros.contract import Contract
from voxbox_core.errors import InputError


def test_json_brings_back_an_equal_contract(contract):
    for each in (Contract(), contract):
        assert Contract.from_json(each.to_json()) == each


def test_a_model_made_before_sweeps_were_told_learned_from_single_clouds():
    known = json.loads(Contract(sweeps=4).to_json())
    assert known.pop("sweeps") == 4
    assert Contract.from_json(json.dumps(known)) == Contract()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"classes": ("Car", "Car")}, "classes"),
        ({"mean_sizes": ((1, 2, 3),)}, "mean_sizes"),
        ({"groups": (("Car",),)}, "groups"),
        ({"cell": 0.3}, "grid range"),
        ({"x": (-50.0, 50.0)}, "cell"),
        ({"per_pillar": 0}, "per_pillar"),
        ({"sweeps": 0}, "sweeps"),
        ({"stage_layers": (1, 2)}, "stage_layers"),
        ({"heads": 5}, "dim"),
        ({"roi_grid": 1}, "roi_grid"),
        ({"reference": "guessed"}, "reference"),
        ({"image_width": 100}, "image_width"),
        ({"score_thresholds": (0.5,)}, "score_thresholds"),
    ],
)
def test_values_that_make_no_network_are_named(wrong, named):
    with pytest.raises(InputError, match=named):
        Contract(**wrong)


@pytest.mark.parametrize("text", ["", "[]", '{"colour": 1}', '{"classes": 5}', '{"cell": "wide"}'])
def test_text_of_no_contract_is_refused(text):
    with pytest.raises(InputError, match="contract|grid"):
        Contract.from_json(text)
