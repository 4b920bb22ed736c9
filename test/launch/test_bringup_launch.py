"""What launch/bringup.launch.py starts, for which arguments."""

from pathlib import Path

import pytest
from launch_records import Prefix, parameters

from voxbox.bringup import NODES


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


@pytest.mark.parametrize("arguments", [{"ssz": "perhaps"}, dict.fromkeys(NODES, "false"), {"threads": "few"}])
def test_what_cannot_be_started_is_not(prefix: Prefix, arguments: dict[str, str]) -> None:
    assert prefix.launch(**arguments) == (1, {})


def test_topics_parameters_and_the_bag_are_given_to_all(prefix: Prefix) -> None:
    _, started = prefix.launch(image="/left/image_raw", points="/top/points", threads="2", bag="drive.mcap")
    assert {"image:=/left/image_raw", "points:=/top/points"} <= set(started["bringup"]["argv"])
    assert parameters(started["bringup"]) == {"autostart": True, "use_sim_time": True, "threads": 2}
    assert {"drive.mcap", "--clock"} <= set(started["ros2"]["argv"])
