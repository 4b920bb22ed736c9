"""Parameters that are set while a transition is made in another thread: adopted before it, or after it, and whole."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from voxbox_core.ros.inputs import Input
from voxbox_core.ros.lifecycle import PerceptionNode
from voxbox_core.ros.parameters import NodeParameters

SUCCESS = TransitionCallbackReturn.SUCCESS
WHILE = 0.3  # s in which what must wait would have happened
LIMIT = 10.0  # s that anything may take on a busy machine


class Plain(PerceptionNode[NodeParameters]):
    """Writes down what it is asked to do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.adopting = threading.Event()
        self.pause = 0.0
        super().__init__("plain", NodeParameters, parameter_overrides=[Parameter("autostart", value=False)])

    def load(self) -> None:
        self.done.append(f"load with a queue of {self.parameters.queue_depth}")

    def unload(self) -> None:
        self.done.append("unload")

    def inputs(self) -> list[Input]:
        return []

    def on_parameters(self) -> None:
        self.adopting.set()
        time.sleep(self.pause)
        self.done.append("adopt")


@pytest.fixture
def node(ros: None) -> Iterator[Plain]:
    made = Plain()
    yield made
    made.destroy_node()


def put(node: Plain, name: str, value: object) -> bool:
    return bool(node.set_parameters_atomically([Parameter(name, value=value)]).successful)


def meanwhile(step: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=step)
    thread.start()
    return thread


@pytest.mark.parametrize("end", ["cleanup", "shutdown"])
def test_what_is_loaded_stays_until_parameters_are_adopted_into_it(node: Plain, end: str) -> None:
    assert node.trigger_configure() is SUCCESS
    node.done.clear()
    node.pause = WHILE
    setting = meanwhile(lambda: put(node, "max_age", 2.0))
    assert node.adopting.wait(LIMIT)
    assert getattr(node, f"trigger_{end}")() is SUCCESS
    setting.join()
    assert node.done == ["adopt", "unload"]


@pytest.mark.parametrize("put_in", ["set_parameters", "set_parameters_atomically"])
def test_what_was_accepted_before_the_model_is_loaded_is_there_when_it_is(node: Plain, put_in: str) -> None:
    configuring = []

    def configure_meanwhile(accepted: list[Parameter]) -> SetParametersResult:
        configuring.append(meanwhile(node.trigger_configure))
        time.sleep(WHILE)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(configure_meanwhile)
    getattr(node, put_in)([Parameter("queue_depth", value=7)])
    configuring[0].join()
    assert node.done == ["load with a queue of 7"]


def test_nothing_is_adopted_into_what_goes(node: Plain) -> None:
    accepted = []

    def unload() -> None:
        accepted.append(put(node, "max_age", 3.0))

    node.unload = unload  # type: ignore[method-assign]
    assert node.trigger_configure() is SUCCESS
    node.done.clear()
    assert node.trigger_cleanup() is SUCCESS
    assert accepted == [True]
    assert not node.done
    assert node.parameters.max_age == 3.0


def test_tf_is_listened_to_once_whoever_asks_at_once_and_not_at_all_afterwards(
    node: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    tf2_ros = pytest.importorskip("tf2_ros")
    begin, begun = tf2_ros.TransformListener.__init__, []

    def slowly(self: Any, *arguments: Any, **options: Any) -> None:
        begun.append(self)
        time.sleep(WHILE)  # the other comes meanwhile
        begin(self, *arguments, **options)

    monkeypatch.setattr(tf2_ros.TransformListener, "__init__", slowly)
    assert node.trigger_configure() is SUCCESS
    assert node.trigger_activate() is SUCCESS
    threads = [meanwhile(lambda: put(node, "target_frame", "base_link")) for _ in range(2)]
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert node.trigger_deactivate() is SUCCESS
    assert put(node, "target_frame", "map")
    assert len(begun) == 1
    assert node.count_subscribers("/tf") == 0
