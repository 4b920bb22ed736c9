"""What launch/ssz.launch.py starts, for which arguments."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from launch_records import Prefix, parameters, parameters_of

from ssz_ros.parameters import Parameters


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prefix:
    return Prefix(tmp_path, "ssz", monkeypatch)


def test_without_arguments_the_node_keeps_its_own_defaults(prefix: Prefix) -> None:
    status, started = prefix.launch()
    assert status == 0
    assert set(started) == {"ssz"}
    assert parameters(started["ssz"]) == {"autostart": True, "use_sim_time": False}


def test_arguments_become_parameters_of_the_right_type(prefix: Prefix) -> None:
    _, started = prefix.launch(model="7", cells="occupied", ground_resolution="1", camera_height="2")
    given = parameters(started["ssz"])
    assert (given["model"], given["cells"]) == ("7", "occupied")
    assert [type(given[name]) for name in ("ground_resolution", "camera_height")] == [float, float]


def test_a_resolution_that_is_no_number_starts_nothing(prefix: Prefix) -> None:
    assert prefix.launch(ground_resolution="fine") == (1, {})


def test_topics_are_remapped(prefix: Prefix) -> None:
    _, started = prefix.launch(image="/left/image_raw", camera_info="/left/camera_info", namespace="front")
    expected = {"image:=/left/image_raw", "camera_info:=/left/camera_info", "__ns:=/front", "__node:=ssz"}
    assert expected <= set(started["ssz"]["argv"])


def test_a_bag_is_played_on_its_own_clock(prefix: Prefix) -> None:
    _, started = prefix.launch(bag="drive.mcap")
    assert {"drive.mcap", "--clock"} <= set(started["ros2"]["argv"])
    assert parameters(started["ssz"])["use_sim_time"] is True


def test_rviz_shows_the_image_the_voxels_and_the_ground(prefix: Prefix) -> None:
    _, started = prefix.launch(rviz="true", target_frame="base_link", image="/left/image_raw")
    argv = started["rviz2"]["argv"]
    assert argv[argv.index("-f") + 1] == "base_link"
    assert "image:=/left/image_raw" in argv
    layout = yaml.safe_load(Path(argv[argv.index("-d") + 1]).read_text())["Visualization Manager"]
    shown = {d["Class"].split("/")[1]: d["Topic"] for d in layout["Displays"] if "Topic" in d}
    topics = {"MarkerArray": "voxel_markers", "Map": "ground", "PointCloud2": "voxels", "Image": "image"}
    assert {kind: topic["Value"] for kind, topic in shown.items()} == topics
    assert shown["Map"]["Durability Policy"] == "Transient Local"


def test_every_parameter_argument_is_one_of_the_node() -> None:
    assert parameters_of("ssz") <= {f.name for f in fields(Parameters)}
