"""The real node and a real player, in their own processes, started and ended by `ros2 launch`: the real command, or the
bare machine's."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from ament_index_python.packages import get_packages_with_prefixes
from launched import ENDED, STARTED, Launched, launching
from listening import listening
from onnx import TensorProto, helper
from vision_msgs.msg import Detection3DArray

from point_detr3d_ros.contract import Contract
from voxbox_core.datasets.bag import Bag

pytestmark = pytest.mark.processes

DRIVE = Path(__file__).resolve().parents[2] / "voxbox" / "demo" / "street_rig_drive.mcap"
POINTS = "/lidar/points"


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    with launching("point_detr3d", tmp_path) as start:
        yield start


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
    with listening(Detection3DArray, "/detections") as messages:
        yield messages


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
    assert len(launch.alive) == 2  # the node and the player
    launch.interrupt()
    assert launch.alive == set()
    assert re.search(rf"point_detr3d-1\]?: {ENDED}", launch.output)


def test_an_assist_model_that_is_not_there_is_named_and_the_node_lives(launched: Callable[..., Launched]) -> None:
    launch = launched("mode:=assist", "assist_model:=nowhere")
    launch.wait_to_say("assist_model is 'nowhere'")
    assert "process has died" not in launch.output
    launch.interrupt()
    assert ENDED in launch.output


def test_a_mode_that_is_none_ends_the_launch(launched: Callable[..., Launched]) -> None:
    launch = launched("mode:=guess")
    launch.wait()
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
    assert launch.wait() == 1
    assert text in launch.output
    assert STARTED not in launch.output


def test_the_arguments_are_listed_with_their_meaning(launched: Callable[..., Launched]) -> None:
    launch = launched("--show-args")
    assert launch.wait() == 0
    for word in ("'mode':", "'assist_model':", "'rviz_frame':", "file that accepted boxes are appended to"):
        assert word in launch.output
