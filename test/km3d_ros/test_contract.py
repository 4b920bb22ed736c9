"""The contract survives its JSON and refuses what does not make a network."""

import json
from dataclasses import replace

import numpy as np
import pytest

from km3d_ros.contract import Contract
from voxbox_core.errors import InputError


@pytest.mark.parametrize(
    "contract",
    [
        Contract(),
        Contract(width=0.5, neck="skip", input_width=640, input_height=192, auxiliary_heads=False, keypoints_used=4),
        Contract(backbone="dla34", neck="dla", head_channels=256),
        Contract(classes=("Car",), mean_dims=((1.5, 1.6, 3.9),)),
    ],
)
def test_json_round_trip(contract: Contract) -> None:
    assert Contract.from_json(contract.to_json()) == contract


def test_a_file_may_leave_out_what_has_a_default() -> None:
    assert Contract.from_json('{"input_width": 640}') == replace(Contract(), input_width=640)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("", "expected JSON"),
        ("[1]", "a JSON list; expected a JSON object"),
        ('{"input_widht": 640}', r"unknown keys \['input_widht'\]"),
        ('{"input_width": 650}', "input_width is 650; expected a positive multiple of 32"),
        ('{"input_width": "640"}', "right types"),
        ('{"classes": 3}', "right types"),
        ('{"backbone": "vgg"}', "backbone is vgg; expected one of"),
        ('{"backbone": "dla34"}', "neck is deconv; expected one of"),
        ('{"backbone": "dla34", "neck": "dla", "width": 0.5}', "width is 0.5; expected 1 with dla34"),
        ('{"classes": ["Car", "Car"]}', "distinct"),
        ('{"classes": ["Car"]}', "mean_dims is .*expected 1 rows"),
        ('{"keypoints_used": 3}', "keypoints_used is 3"),
        ('{"max_detections": 0}', "max_detections is 0"),
        ('{"score_thresholds": [0.1]}', r"score_thresholds is \(0.1,\); expected 3 numbers from 0 to 1"),
        ('{"score_thresholds": ["a", "b", "c"]}', "right types"),
        ('{"score_thresholds": [0.1, 2, 0.1]}', "expected 3 numbers from 0 to 1"),
    ],
)
def test_bad_text_is_refused_with_its_value(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Contract.from_json(text)


def test_each_class_has_its_threshold() -> None:
    assert Contract().score_thresholds == (0.3, 0.3, 0.3)
    contract = Contract(score_thresholds=(0.2, 0.02, 0.0))
    label, score = np.array([0, 0, 1, 1, 2]), np.array([0.2, 0.1, 0.03, 0.01, 0.0])
    assert contract.confident(label, score).tolist() == [True, False, True, False, True]


def test_heads() -> None:
    assert Contract().heads == {
        "hm": 3, "hps": 18, "dim": 3, "rot": 8, "prob": 1, "reg": 2, "wh": 2, "hm_hp": 9, "hp_offset": 2,
    }  # fmt: skip
    assert list(Contract(auxiliary_heads=False).heads) == ["hm", "hps", "dim", "rot", "prob"]


def test_every_field_is_in_the_json() -> None:
    assert json.loads(Contract().to_json()).keys() == Contract.__dataclass_fields__.keys()
