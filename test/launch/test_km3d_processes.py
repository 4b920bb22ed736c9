"""The real node, in its own process, started and ended by `ros2 launch`: the real command, or the bare machine's."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

STARTED, ENDED = "process started with pid", "process has finished cleanly"
PATIENCE = 90  # s; nobody waits that long unless the machine is busy with something else


class Launched:
    """`ros2 launch voxbox km3d.launch.py …`; `output` is what it has said so far."""

    def __init__(self, log: Path, *arguments: str):
        ros2 = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
        if not Path(ros2).is_file():
            pytest.skip("no ros2 command: neither ROS 2 nor the environment of make setup")
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [ros2, "launch", "voxbox", "km3d.launch.py", *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_LOGGING_USE_STDOUT": "1"},
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def interrupt(self) -> int:
        """Ctrl-c on its terminal; -> exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)

    def wait_for(self, *words: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not all(word in self.output for word in words):
            assert time.monotonic() < deadline, self.output
            assert self.process.poll() is None, self.output
            time.sleep(0.1)


@pytest.fixture
def launched(tmp_path):
    running = []

    def start(*arguments):
        running.append(Launched(tmp_path / f"{len(running)}.log", *arguments))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()


def test_a_model_that_is_not_there_is_named_and_the_node_lives(launched):
    launch = launched("model:=nowhere.onnx")
    launch.wait_for("model is 'nowhere.onnx'")
    assert "process has died" not in launch.output
    launch.interrupt()
    assert ENDED in launch.output


def test_a_parameter_out_of_its_limits_ends_the_launch(launched):
    launch = launched("score_threshold:=7.0")
    launch.process.wait(PATIENCE)
    assert "parameter score_threshold is 7.0; expected float of 0 to 1" in launch.output
    assert "process has died" in launch.output


def test_an_argument_of_the_wrong_type_starts_nothing(launched):
    launch = launched("score_threshold:=high")
    assert launch.process.wait(PATIENCE) == 1
    assert STARTED not in launch.output


def test_the_arguments_are_listed_with_their_meaning(launched):
    launch = launched("--show-args")
    assert launch.process.wait(PATIENCE) == 0
    for word in ("'model':", "'bag':", "'rviz':", "lowest score of a published box"):
        assert word in launch.output
