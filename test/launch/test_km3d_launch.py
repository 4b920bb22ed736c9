"""What launch/km3d.launch.py starts, for which arguments: the processes write down how they were started."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_packages_with_prefixes
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from voxbox.bag.command import configure

ROOT = Path(__file__).resolve().parents[2]
PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
RECORD = """#!{python}
import json, os, pathlib, sys
argv = sys.argv[1:]
files = [a for a, before in zip(argv, sys.argv) if before == "--params-file"]
seen = dict(argv=argv, parameters=[pathlib.Path(f).read_text() for f in files], profile=os.environ.get({profile!r}))
pathlib.Path({folder!r}, pathlib.Path(sys.argv[0]).name + ".json").write_text(json.dumps(seen))
"""


def install(prefix, package, executable):
    """A package whose executable records its start."""
    index = prefix / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True, exist_ok=True)
    (index / package).touch()
    script = prefix / "lib" / package / executable
    script.parent.mkdir(parents=True)
    script.write_text(RECORD.format(python=sys.executable, folder=str(prefix), profile=PROFILE))
    script.chmod(0o755)
    return script


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An ament prefix with a voxbox whose node, player and RViz only record."""
    install(tmp_path, "voxbox", "km3d")
    install(tmp_path, "rviz2", "rviz2")
    ros2 = install(tmp_path, "ros2bag", "ros2")
    share = tmp_path / "share/voxbox"
    share.mkdir()
    for name in ("launch", "config"):
        (share / name).symlink_to(ROOT / name)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}:{os.environ.get('AMENT_PREFIX_PATH', '')}")
    monkeypatch.setenv("PATH", f"{ros2.parent}:{os.environ['PATH']}")
    monkeypatch.delenv(PROFILE, raising=False)
    return tmp_path


def launch(prefix, **arguments):
    """Run the launch file; -> (status, {executable: how it was started})."""
    source = PythonLaunchDescriptionSource(str(prefix / "share/voxbox/launch/km3d.launch.py"))
    include = IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))
    service = LaunchService()
    service.include_launch_description(LaunchDescription([include]))
    status = service.run()
    return status, {p.stem: json.loads(p.read_text()) for p in prefix.glob("*.json")}


def parameters(started):
    """All parameters of a node, later files over earlier ones."""
    merged = {}
    for text in started["parameters"]:
        for section in yaml.safe_load(text).values():
            merged |= section["ros__parameters"]
    return merged


def test_without_arguments_the_node_keeps_its_own_defaults(prefix):
    status, started = launch(prefix)
    assert status == 0
    assert set(started) == {"km3d"}
    given = parameters(started["km3d"])
    assert given.pop("use_sim_time") is False
    assert given == parameters({"parameters": [(ROOT / "config/km3d.yaml").read_text()]})


def test_arguments_become_parameters_of_the_right_type(prefix):
    _, started = launch(prefix, model="7", backend="torch", score_threshold="1", target_frame="base_link")
    given = parameters(started["km3d"])
    assert given["model"] == "7"
    assert isinstance(given["score_threshold"], float)
    assert (given["backend"], given["target_frame"]) == ("torch", "base_link")


def test_a_threshold_that_is_no_number_starts_nothing(prefix):
    assert launch(prefix, score_threshold="high") == (1, {})


def test_topics_are_remapped(prefix):
    _, started = launch(prefix, image="/left/image_raw", camera_info="/left/camera_info", namespace="front")
    assert {"image:=/left/image_raw", "camera_info:=/left/camera_info", "__ns:=/front", "__node:=km3d"} <= set(
        started["km3d"]["argv"]
    )


def test_parameter_files_of_the_user_replace_the_shipped_one(prefix, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("km3d:\n  ros__parameters:\n    max_age: 0.2\n")
    _, started = launch(prefix, params_file=str(own))
    assert parameters(started["km3d"]) == {"max_age": 0.2, "use_sim_time": False}


def test_a_bag_is_played_on_its_own_clock_once_the_node_is_up(prefix):
    _, started = launch(prefix, bag="drive.mcap")
    argv = started["ros2"]["argv"]
    assert argv[:2] == ["bag", "play"]
    assert "drive.mcap" in argv
    assert "--clock" in argv
    assert float(argv[argv.index("--delay") + 1]) >= 1
    assert parameters(started["km3d"])["use_sim_time"] is True


def test_a_bag_may_be_played_on_the_wall_clock(prefix):
    _, started = launch(prefix, bag="drive.mcap", use_sim_time="false")
    assert "--clock" not in started["ros2"]["argv"]
    assert parameters(started["km3d"])["use_sim_time"] is False


def test_without_rosbag2_the_bag_is_played_by_voxbox(prefix, monkeypatch):
    (prefix / "share/ament_index/resource_index/packages/ros2bag").unlink()
    (prefix / "voxbox").mkdir()
    (prefix / "voxbox" / "__init__.py").touch()
    (prefix / "voxbox" / "cli.py").write_text(
        RECORD.format(python=sys.executable, folder=str(prefix), profile=PROFILE).replace(".json", "_play.json")
    )
    monkeypatch.chdir(prefix)
    _, started = launch(prefix, bag="drive.mcap")
    if "ros2" in started:
        pytest.skip("rosbag2 is installed here")
    parser = argparse.ArgumentParser()
    configure(parser)
    verb, *rest = started["cli.py_play"]["argv"]
    assert verb == "bag"
    args = parser.parse_args(rest)
    assert (args.sub, args.bag, args.clock) == ("play", Path("drive.mcap"), True)


def test_rviz_opens_the_shipped_layout_in_the_target_frame(prefix):
    _, started = launch(prefix, rviz="true", target_frame="base_link")
    argv = started["rviz2"]["argv"]
    layout = Path(argv[argv.index("-d") + 1])
    assert yaml.safe_load(layout.read_text())["Visualization Manager"]
    assert argv[argv.index("-f") + 1] == "base_link"


def test_rviz_may_have_a_frame_of_its_own(prefix):
    _, started = launch(prefix, rviz="true", target_frame="base_link", rviz_frame="map")
    argv = started["rviz2"]["argv"]
    assert argv[argv.index("-f") + 1] == "map"


def test_a_boolean_that_is_none_starts_nothing(prefix):
    assert launch(prefix, rviz="perhaps") == (1, {})


def test_processes_get_the_shipped_dds_profile(prefix):
    _, started = launch(prefix)
    assert Path(started["km3d"]["profile"]).name == "fastdds_shm_big.xml"
    assert Path(started["km3d"]["profile"]).is_file()


def test_a_dds_profile_of_the_user_stays(prefix, monkeypatch):
    monkeypatch.setenv(PROFILE, "/etc/own.xml")
    _, started = launch(prefix)
    assert started["km3d"]["profile"] == "/etc/own.xml"


def test_every_parameter_argument_is_one_of_the_node():
    from dataclasses import fields

    from km3d_ros.node import Parameters

    named = {f.name for f in fields(Parameters)}
    code = (ROOT / "launch/km3d.launch.py").read_text()
    namespace: dict = {"__name__": "km3d_launch"}
    exec(compile(code, "km3d.launch.py", "exec"), namespace)
    assert set(namespace["PARAMETERS"]) <= named
    assert set(parameters({"parameters": [(ROOT / "config/km3d.yaml").read_text()]})) <= named


def test_rviz_that_is_not_installed_starts_nothing(prefix, monkeypatch):
    (prefix / "share/ament_index/resource_index/packages/rviz2").unlink()
    if "rviz2" in get_packages_with_prefixes():
        pytest.skip("rviz2 is installed here")
    status, _ = launch(prefix, rviz="true")
    time.sleep(1)  # a node that launch has left behind would have recorded its start by then
    assert (status, list(prefix.glob("*.json"))) == (1, [])


def test_a_parameter_file_that_is_not_there_starts_nothing(prefix):
    assert launch(prefix, params_file="/nowhere.yaml") == (1, {})
