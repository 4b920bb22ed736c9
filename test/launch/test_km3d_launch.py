"""What launch/km3d.launch.py starts, for which arguments: the processes write down how they were started."""

import argparse
import time
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_packages_with_prefixes
from launch_records import PROFILE, ROOT, Prefix, parameters, parameters_of

from km3d_ros.node import Parameters
from voxbox.bag.command import configure


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    return Prefix(tmp_path, "km3d", monkeypatch)


def test_without_arguments_the_node_keeps_its_own_defaults(prefix):
    status, started = prefix.launch()
    assert status == 0
    assert set(started) == {"km3d"}
    given = parameters(started["km3d"])
    assert given.pop("use_sim_time") is False
    assert given == parameters({"parameters": [(ROOT / "config/km3d.yaml").read_text()]})


def test_arguments_become_parameters_of_the_right_type(prefix):
    _, started = prefix.launch(model="7", backend="torch", score_threshold="1", target_frame="base_link")
    given = parameters(started["km3d"])
    assert given["model"] == "7"
    assert isinstance(given["score_threshold"], float)
    assert (given["backend"], given["target_frame"]) == ("torch", "base_link")


def test_a_threshold_that_is_no_number_starts_nothing(prefix):
    assert prefix.launch(score_threshold="high") == (1, {})


def test_topics_are_remapped(prefix):
    _, started = prefix.launch(image="/left/image_raw", camera_info="/left/camera_info", namespace="front")
    assert {"image:=/left/image_raw", "camera_info:=/left/camera_info", "__ns:=/front", "__node:=km3d"} <= set(
        started["km3d"]["argv"]
    )


def test_parameter_files_of_the_user_replace_the_shipped_one(prefix, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("km3d:\n  ros__parameters:\n    max_age: 0.2\n")
    _, started = prefix.launch(params_file=str(own))
    assert parameters(started["km3d"]) == {"max_age": 0.2, "use_sim_time": False}


def test_a_bag_is_played_on_its_own_clock_once_the_node_is_up(prefix):
    _, started = prefix.launch(bag="drive.mcap")
    argv = started["ros2"]["argv"]
    assert argv[:2] == ["bag", "play"]
    assert "drive.mcap" in argv
    assert "--clock" in argv
    assert float(argv[argv.index("--delay") + 1]) >= 1
    assert parameters(started["km3d"])["use_sim_time"] is True


def test_a_bag_may_be_played_on_the_wall_clock(prefix):
    _, started = prefix.launch(bag="drive.mcap", use_sim_time="false")
    assert "--clock" not in started["ros2"]["argv"]
    assert parameters(started["km3d"])["use_sim_time"] is False


def test_without_rosbag2_the_bag_is_played_by_voxbox(prefix, monkeypatch):
    prefix.without("ros2bag")
    package = prefix.folder / "voxbox"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(prefix.program.replace(".json", "_play.json"))
    monkeypatch.chdir(prefix.folder)
    _, started = prefix.launch(bag="drive.mcap")
    if "ros2" in started:
        pytest.skip("rosbag2 is installed here")
    parser = argparse.ArgumentParser()
    configure(parser)
    verb, *rest = started["cli.py_play"]["argv"]
    assert verb == "bag"
    args = parser.parse_args(rest)
    assert (args.sub, args.bag, args.clock) == ("play", Path("drive.mcap"), True)


def test_rviz_opens_the_shipped_layout_in_the_target_frame(prefix):
    _, started = prefix.launch(rviz="true", target_frame="base_link")
    argv = started["rviz2"]["argv"]
    layout = Path(argv[argv.index("-d") + 1])
    assert yaml.safe_load(layout.read_text())["Visualization Manager"]
    assert argv[argv.index("-f") + 1] == "base_link"


def test_rviz_may_have_a_frame_of_its_own(prefix):
    _, started = prefix.launch(rviz="true", target_frame="base_link", rviz_frame="map")
    argv = started["rviz2"]["argv"]
    assert argv[argv.index("-f") + 1] == "map"


def test_a_boolean_that_is_none_starts_nothing(prefix):
    assert prefix.launch(rviz="perhaps") == (1, {})


def test_processes_get_the_shipped_dds_profile(prefix):
    _, started = prefix.launch()
    assert Path(started["km3d"]["profile"]).name == "fastdds_shm_big.xml"
    assert Path(started["km3d"]["profile"]).is_file()


def test_a_dds_profile_of_the_user_stays(prefix, monkeypatch):
    monkeypatch.setenv(PROFILE, "/etc/own.xml")
    _, started = prefix.launch()
    assert started["km3d"]["profile"] == "/etc/own.xml"


def test_every_parameter_argument_is_one_of_the_node():
    assert parameters_of("km3d") <= {f.name for f in fields(Parameters)}


def test_rviz_that_is_not_installed_starts_nothing(prefix, monkeypatch):
    prefix.without("rviz2")
    if "rviz2" in get_packages_with_prefixes():
        pytest.skip("rviz2 is installed here")
    status, _ = prefix.launch(rviz="true")
    time.sleep(1)  # a node that launch has left behind would have recorded its start by then
    assert (status, list(prefix.folder.glob("*.json"))) == (1, [])


def test_a_parameter_file_that_is_not_there_starts_nothing(prefix):
    assert prefix.launch(params_file="/nowhere.yaml") == (1, {})
