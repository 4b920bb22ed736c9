"""Limits of a recipe's values: where they begin and end, and how a value beyond is told."""

import math
from dataclasses import dataclass

import pytest

from voxbox.training.limits import Limits, settle
from voxbox.training.options import option
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class Toy:
    data: tuple[str, ...] = option(("d",), "folders")
    steps: int = option(5, "steps", above=0)
    part: float = option(0.5, "a part", least=0, below=1)
    drops: tuple[float, ...] = option((), "fractions", above=0, most=1)
    kind: str = option("a", "of two", among=("a", "b"))

    def __post_init__(self) -> None:
        settle(self)


@pytest.mark.parametrize(
    ("limits", "within", "beyond"),
    [
        (Limits(above=0), [1e-9, 5], [0, -1, math.nan, "5", None]),
        (Limits(least=0), [0, 5], [-1e-9, math.nan]),
        (Limits(least=0, most=1), [0, 1], [-0.1, 1.1, math.nan]),
        (Limits(least=0, below=1), [0, 0.999], [1]),
        (Limits(among=("a", "b")), ["a", "b"], ["", "c"]),
        (Limits(above=0, below=1), [(), (0.5, 0.6)], [(0.5, 1.0)]),
        (Limits(), [0, math.nan, "x", ()], []),
    ],
)
def test_where_limits_begin_and_end(limits: Limits, within: list, beyond: list) -> None:
    assert all(limits.hold(value) for value in within)
    assert not any(limits.hold(value) for value in beyond)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"steps": 0}, "recipe value steps is 0; expected above 0."),
        ({"part": 1.0}, "recipe value part is 1.0; expected at least 0 and below 1."),
        ({"drops": [0.5, 2]}, r"recipe value drops is \(0.5, 2\); expected above 0 and at most 1."),
        ({"kind": "c"}, "recipe value kind is c; expected one of a, b."),
        ({"data": []}, r"recipe value data is \(\); expected at least one folder. Give --data DIR."),
    ],
)
def test_a_value_beyond_its_limits_is_told_with_them(wrong: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Toy(**wrong)


def test_lists_of_json_become_tuples() -> None:
    assert Toy(data=["x"], drops=[0.5]) == Toy(data=("x",), drops=(0.5,))
