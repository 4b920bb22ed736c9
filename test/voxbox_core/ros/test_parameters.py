"""One dataclass: ROS descriptors, checks at start and at run time, and the documentation's table."""

from dataclasses import dataclass

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter

from voxbox_core.errors import InputError
from voxbox_core.ros.parameters import NodeParameters, changed, declare, parameter, table, verdict


@dataclass(frozen=True)
class Some(NodeParameters):
    threshold: float = parameter(0.25, "least score", low=0.0, high=1.0, live=True)
    engine: str = parameter("fast", "which engine", choices=("fast", "exact"))
    threads: int = parameter(0, "threads", low=0, high=8)


def declared(*given: Parameter) -> tuple[Node, Some]:
    node = Node("some", parameter_overrides=list(given), automatically_declare_parameters_from_overrides=True)
    return node, declare(node, Some)


@pytest.mark.usefixtures("ros")
def test_descriptors_tell_meaning_and_limits() -> None:
    node, _ = declared()
    threshold, engine = node.describe_parameter("threshold"), node.describe_parameter("engine")
    assert threshold.description == "least score"
    assert (threshold.floating_point_range[0].from_value, threshold.floating_point_range[0].to_value) == (0.0, 1.0)
    assert engine.additional_constraints == "fast, exact"
    assert node.describe_parameter("threads").integer_range[0].to_value == 8


@pytest.mark.usefixtures("ros")
def test_given_values_win_and_integers_become_floats() -> None:
    node, values = declared(Parameter("threshold", value=1), Parameter("engine", value="exact"))
    assert values == Some(threshold=1.0, engine="exact")
    assert node.get_parameter("threshold").value == 1.0
    assert node.get_parameter("threads").value == 0


@pytest.mark.usefixtures("ros")
@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("treshold", 0.3, "parameter treshold is unknown; expected one of .*Did you mean threshold?"),
        ("zzz", 0.3, "parameter zzz is unknown; .* Remove it."),
        ("threshold", 1.5, "parameter threshold is 1.5; expected float of 0 to 1. Correct it: least score."),
        ("threshold", float("nan"), "parameter threshold is nan; expected float of 0 to 1"),
        ("threshold", "high", "parameter threshold is 'high'; expected float of 0 to 1"),
        ("engine", "slow", "parameter engine is 'slow'; expected str of fast, exact"),
        ("threads", 2.5, "parameter threads is 2.5; expected int of 0 to 8"),
        ("autostart", "yes", "parameter autostart is 'yes'; expected bool"),
    ],
)
def test_bad_parameters_make_no_node(name: str, value: object, text: str) -> None:
    with pytest.raises(InputError, match=text):
        declared(Parameter(name, value=value))


@pytest.mark.usefixtures("ros")
def test_rclpys_own_parameters_are_known() -> None:
    declared(Parameter("use_sim_time", value=True))


def test_live_parameters_change_while_configured_and_others_do_not() -> None:
    assert changed(Some(), {"threshold": 0.5}, configured=True).threshold == 0.5
    assert changed(Some(), {"engine": "exact"}, configured=False).engine == "exact"
    with pytest.raises(InputError, match="parameter engine is fixed while the node is configured; .* clean up"):
        changed(Some(), {"engine": "exact"}, configured=True)


def test_verdict_gives_the_reason() -> None:
    answer = verdict(Some(), [Parameter("threshold", value=7.0)], configured=True)
    assert not answer.successful
    assert answer.reason.startswith("parameter threshold is 7.0; expected float of 0 to 1.")
    assert verdict(Some(), [Parameter("use_sim_time", value=True)], configured=True).successful


def test_table_has_a_row_for_every_parameter() -> None:
    rows = table(Some).splitlines()
    assert "| `threshold` | `0.25` | 0 to 1 | yes | least score |" in rows
    assert "| `engine` | `fast` | fast, exact |  | which engine |" in rows
    assert "| `target_frame` | (empty) | str | yes |" in table(Some)
