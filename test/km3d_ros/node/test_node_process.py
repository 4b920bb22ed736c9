"""The node as its own process: how it starts, refuses to start, and ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import TransitionEvent
from rclpy.executors import SingleThreadedExecutor

from km3d_ros.node import Km3dNode
from voxbox_core.ros.process import run

LIMIT = 120.0  # s for a process to start or end on a busy machine


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", "from km3d_ros.node import main; main()", "--ros-args", *arguments]
    environment = dict(os.environ, RCUTILS_COLORIZED_OUTPUT="0")
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


class Observer:
    """Collects what the node announces, from when it is discovered: the first transitions may be over by then."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("observer", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.states: list[str] = []
        self.messages: set[str] = set()
        self.node.create_subscription(TransitionEvent, "km3d/transition_event", self._on_transition, 10)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_transition(self, event: TransitionEvent) -> None:
        self.states.append(event.goal_state.label)

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        self.messages |= {pair.value for pair in array.status[0].values if pair.key == "doing"}

    def sees(self, word: str) -> bool:
        """Whether the node comes to say so, as a state or in its diagnostics."""
        end = time.monotonic() + LIMIT
        while word not in {*self.states, *self.messages} and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.1)
        return word in {*self.states, *self.messages}

    def close(self) -> None:
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def observer() -> Iterator[Observer]:
    made = Observer()
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(known_model: Path, observer: Observer, number: signal.Signals) -> None:
    process = start("-p", f"model:={known_model}", "-p", "backend:=onnxruntime")
    started = observer.sees("running")
    process.send_signal(number)
    ended = observer.sees("finalized")
    output, _ = process.communicate(timeout=LIMIT)
    assert started, output
    assert ended, output
    assert observer.states[-2:] == ["shuttingdown", "finalized"]
    assert process.returncode == 0
    assert "Traceback" not in output
    assert "never retrieved" not in output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-p", "score_treshold:=0.3"], "parameter score_treshold is unknown; .* Did you mean score_threshold?"),
        (["-p", "score_threshold:=3"], "parameter score_threshold is 3.0; expected float of 0 to 1"),
        (["-p", "backend:=fastest"], "parameter backend is 'fastest'; expected str of auto, "),
        (["--params-file", "/nowhere.yaml"], "Couldn't parse params file: '--params-file /nowhere.yaml'"),
    ],
)
def test_bad_arguments_make_no_node(
    arguments: list[str], text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    assert run(Km3dNode, ["--ros-args", *arguments]) == 2
    assert re.search(text, capfd.readouterr().err)
    assert not rclpy.ok()
