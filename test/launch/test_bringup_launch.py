"""What launch/bringup.launch.py starts, for which arguments."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from launch_records import ROOT, Prefix, parameters, parameters_of

from km3d_ros.node import Parameters as Km3dParameters
from point_detr3d_ros.parameters import Parameters as PointDetr3dParameters
from ssz_ros.parameters import Parameters as SszParameters
from voxbox.bringup import NODES, SEPARATE


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prefix:
    return Prefix(tmp_path, "bringup", monkeypatch)


def _positional(argv: list[str]) -> list[str]:
    return argv[: argv.index("--ros-args")]


def test_all_nodes_run_with_their_own_names_and_defaults(prefix: Prefix) -> None:
    status, started = prefix.launch()
    assert status == 0
    assert set(started) == {"bringup"}
    assert _positional(started["bringup"]["argv"]) == list(NODES)
    assert not [word for word in started["bringup"]["argv"] if word.startswith("__node:=")]
    assert parameters(started["bringup"]) == {"autostart": True, "use_sim_time": False}
    assert "fastdds_shm_big.xml" in started["bringup"]["profile"]


def test_nodes_can_be_switched_off(prefix: Prefix) -> None:
    _, started = prefix.launch(point_detr3d="false")
    assert _positional(started["bringup"]["argv"]) == ["km3d", "ssz"]


@pytest.mark.parametrize(
    "arguments", [{"ssz": "perhaps"}, dict.fromkeys(NODES, "false"), {"threads": "few"}, {"rviz": "perhaps"}]
)
def test_what_cannot_be_started_is_not(prefix: Prefix, arguments: dict[str, str]) -> None:
    assert prefix.launch(**arguments) == (1, {})


def test_topics_parameters_and_the_bag_are_given_to_all(prefix: Prefix) -> None:
    _, started = prefix.launch(image="/left/image_raw", points="/top/points", threads="2", bag="drive.mcap")
    assert {"image:=/left/image_raw", "points:=/top/points"} <= set(started["bringup"]["argv"])
    assert parameters(started["bringup"]) == {"autostart": True, "use_sim_time": True, "threads": 2}
    assert {"drive.mcap", "--clock"} <= set(started["ros2"]["argv"])


def _shown(layout: Path) -> dict[str, str]:
    """Topics that a layout shows, each once, and their durability."""
    displays = yaml.safe_load(layout.read_text())["Visualization Manager"]["Displays"]
    topics = [(d["Topic"]["Value"], d["Topic"]["Durability Policy"]) for d in displays if "Topic" in d]
    assert len(dict(topics)) == len(topics)
    return dict(topics)


def test_rviz_opens_in_the_frame_that_all_publish_in(prefix: Prefix) -> None:
    _, started = prefix.launch(rviz="true", target_frame="base_link", image="/left/image_raw", points="/top/points")
    argv = started["rviz2"]["argv"]
    assert argv[argv.index("-f") + 1] == "base_link"
    assert {"image:=/left/image_raw", "points:=/top/points"} <= set(argv)
    assert parameters(started["bringup"])["target_frame"] == "base_link"


def test_rviz_shows_what_the_three_layouts_show_by_the_names_that_topics_have_here(prefix: Prefix) -> None:
    _, started = prefix.launch(rviz="true")
    argv = started["rviz2"]["argv"]
    layout = Path(argv[argv.index("-d") + 1])
    expected = {
        f"{name}/{topic}" if topic in SEPARATE else topic: durability
        for name in NODES
        for topic, durability in _shown(ROOT / f"config/rviz/{name}.rviz").items()
    }
    assert _shown(layout) == expected
    tools = yaml.safe_load(layout.read_text())["Visualization Manager"]["Tools"]
    (tool,) = [tool for tool in tools if tool["Class"] == "rviz_default_plugins/PublishPoint"]
    assert (tool["Single click"], tool["Topic"]["Value"]) == (False, "/clicked_point")


@pytest.mark.parametrize("kind", [Km3dParameters, PointDetr3dParameters, SszParameters], ids=NODES)
def test_every_parameter_argument_is_one_of_each_node(kind: Any) -> None:
    assert parameters_of("bringup") <= {f.name for f in fields(kind)}
