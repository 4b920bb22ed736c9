"""The real node, in its own process, started and ended by `ros2 launch`: the real command, or the bare machine's."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launched import ENDED, STARTED, Launched, launching, shared_memory

pytestmark = pytest.mark.processes


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    with launching("km3d", tmp_path) as start:
        yield start


def test_a_model_that_is_not_there_is_named_and_the_node_lives(launched):
    before = shared_memory()
    launch = launched("model:=nowhere.onnx")
    launch.wait_to_say("model is 'nowhere.onnx'")
    assert "process has died" not in launch.output
    held = shared_memory(launch.started[0]) - before
    assert held
    launch.interrupt()
    assert ENDED in launch.output
    assert not [path for path in held if path.exists()]


def test_a_parameter_out_of_its_limits_ends_the_launch(launched):
    launch = launched("score_threshold:=7.0")
    launch.wait()
    assert "parameter score_threshold is 7.0; expected float of 0 to 1" in launch.output
    assert "process has died" in launch.output


def test_an_argument_of_the_wrong_type_starts_nothing(launched):
    launch = launched("score_threshold:=high")
    assert launch.wait() == 1
    assert STARTED not in launch.output


def test_the_arguments_are_listed_with_their_meaning(launched):
    launch = launched("--show-args")
    assert launch.wait() == 0
    for word in ("'model':", "'bag':", "'rviz':", "lowest score of a published box"):
        assert word in launch.output
