"""The real node and a real player, in their own processes, started and ended by `ros2 launch`: the real command, or the
bare machine's."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import rclpy
from ament_index_python.packages import get_packages_with_prefixes
from onnx import TensorProto, helper
from vision_msgs.msg import Detection3DArray

from point_detr3d_ros.contract import Contract
from voxbox_core.datasets.bag import Bag

pytestmark = pytest.mark.processes

STARTED, ENDED = "process started with pid", "process has finished cleanly"
PATIENCE = 90  # s; nobody waits that long unless the machine is busy with something else
DRIVE = Path(__file__).resolve().parents[2] / "voxbox" / "demo" / "street_rig_drive.mcap"
POINTS = "/lidar/points"


class Launched:
    """`ros2 launch voxbox point_detr3d.launch.py …`; `output` is what it has said so far."""

    def __init__(self, log: Path, *arguments: str) -> None:
        ros2 = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
        if not Path(ros2).is_file():
            pytest.skip("no ros2 command: neither ROS 2 nor the environment of make setup")
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [ros2, "launch", "voxbox", "point_detr3d.launch.py", *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_LOGGING_USE_STDOUT": "1"},
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def interrupt(self) -> None:
        """Ctrl-c on its terminal."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE)

    def wait_for(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, self.output
            assert self.process.poll() is None, self.output
            time.sleep(0.05)


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    running = []

    def start(*arguments: str) -> Launched:
        running.append(Launched(tmp_path / f"{len(running)}.log", *arguments))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Sees one Car, 10 m ahead, in every cloud."""
    contract, path = Contract(), tmp_path / "one_car.onnx"
    found: dict[str, tuple[int, list[int], list[float]]] = {
        "score": (TensorProto.FLOAT, [1, 1], [0.9]),
        "label": (TensorProto.INT64, [1, 1], [0]),
        "center": (TensorProto.FLOAT, [1, 1, 3], [10.0, 0.0, 0.8]),
        "size": (TensorProto.FLOAT, [1, 1, 3], list(contract.mean_sizes[0])),
        "heading": (TensorProto.FLOAT, [1, 1, 2], [0.0, 1.0]),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=helper.make_tensor(name, kind, shape, values))
        for name, (kind, shape, values) in found.items()
    ]
    inputs = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["P", contract.per_pillar, 10]),
        helper.make_tensor_value_info("cell", TensorProto.INT64, ["P"]),
    ]
    outputs = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape, _) in found.items()]
    graph = helper.make_graph(nodes, "one_car", inputs, outputs)
    saved = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(saved, {"system": "point_detr3d", "contract": contract.to_json()})
    onnx.save(saved, path)
    return path


@pytest.fixture
def heard() -> Iterator[Callable[[], list[Any]]]:
    """Listens to the node's boxes: each call gives all that have come."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node, messages = rclpy.create_node("listener", context=context), []
    node.create_subscription(Detection3DArray, "/detections", messages.append, 10)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def listen() -> list[Any]:
        executor.spin_once(timeout_sec=0.05)
        return messages

    yield listen
    node.destroy_node()
    context.try_shutdown()


def alive(launch: Launched) -> set[int]:
    """What still runs of the processes that were started."""
    pids = map(int, re.findall(rf"{STARTED} \[(\d+)\]", launch.output))
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def test_a_bag_becomes_boxes_and_ctrl_c_ends_all_processes(
    launched: Callable[..., Launched], model: Path, heard: Callable[[], list[Any]]
) -> None:
    given = {"model": model, "backend": "onnxruntime", "points": POINTS, "bag": DRIVE, "sensor_height": "1.8"}
    launch = launched(*(f"{name}:={value}" for name, value in given.items()))
    launch.wait_for(heard)
    answer = heard()[0]
    (box,) = answer.detections
    assert box.results[0].hypothesis.class_id == "Car"
    assert box.bbox.center.position.x == pytest.approx(10.0)
    with Bag(DRIVE) as bag:
        sent = {message.stamp for message in bag.messages([POINTS])}
    assert answer.header.stamp.sec * 10**9 + answer.header.stamp.nanosec in sent
    assert len(alive(launch)) == 2  # the node and the player
    launch.interrupt()
    assert alive(launch) == set()
    assert re.search(rf"point_detr3d-1\]?: {ENDED}", launch.output)


def test_an_assist_model_that_is_not_there_is_named_and_the_node_lives(launched: Callable[..., Launched]) -> None:
    launch = launched("mode:=assist", "assist_model:=nowhere")
    launch.wait_for(lambda: "assist_model is 'nowhere'" in launch.output)
    assert "process has died" not in launch.output
    launch.interrupt()
    assert ENDED in launch.output


def test_a_mode_that_is_none_ends_the_launch(launched: Callable[..., Launched]) -> None:
    launch = launched("mode:=guess")
    launch.process.wait(PATIENCE)
    assert "parameter mode is 'guess'; expected str of detect, assist, both" in launch.output
    assert "process has died" in launch.output


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("params_file:=/nowhere.yaml", "params_file is '/nowhere.yaml'; expected a YAML file of parameters"),
        ("use_sim_time:=perhaps", "a launch argument is 'perhaps'; expected true or false"),
        ("sweeps:=2.5", "2.5"),
        ("rviz:=true", "rviz2"),
    ],
)
def test_arguments_that_cannot_be_met_start_nothing(
    launched: Callable[..., Launched], argument: str, text: str
) -> None:
    if argument == "rviz:=true" and "rviz2" in get_packages_with_prefixes():
        pytest.skip("rviz2 is installed here")
    launch = launched(argument)
    assert launch.process.wait(PATIENCE) == 1
    assert text in launch.output
    assert STARTED not in launch.output


def test_the_arguments_are_listed_with_their_meaning(launched: Callable[..., Launched]) -> None:
    launch = launched("--show-args")
    assert launch.process.wait(PATIENCE) == 0
    for word in ("'mode':", "'assist_model':", "'rviz_frame':", "file that accepted boxes are appended to"):
        assert word in launch.output
