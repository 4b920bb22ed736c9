"""What launch/point_detr3d.launch.py starts, for which arguments: the processes write down how they were started."""

import json
import os
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

ROOT = Path(__file__).resolve().parents[2]
RECORD = """#!{python}
import json, pathlib, sys
argv = sys.argv[1:]
files = [a for a, before in zip(argv, sys.argv) if before == "--params-file"]
seen = dict(argv=argv, parameters=[pathlib.Path(f).read_text() for f in files])
pathlib.Path({folder!r}, pathlib.Path(sys.argv[0]).name + ".json").write_text(json.dumps(seen))
"""


def install(prefix, package, executable):
    """A package whose executable records its start."""
    index = prefix / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True, exist_ok=True)
    (index / package).touch()
    script = prefix / "lib" / package / executable
    script.parent.mkdir(parents=True)
    script.write_text(RECORD.format(python=sys.executable, folder=str(prefix)))
    script.chmod(0o755)
    return script


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An ament prefix with a voxbox whose node, player and RViz only record."""
    install(tmp_path, "voxbox", "point_detr3d")
    install(tmp_path, "rviz2", "rviz2")
    ros2 = install(tmp_path, "ros2bag", "ros2")
    share = tmp_path / "share/voxbox"
    share.mkdir()
    for name in ("launch", "config"):
        (share / name).symlink_to(ROOT / name)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}:{os.environ.get('AMENT_PREFIX_PATH', '')}")
    monkeypatch.setenv("PATH", f"{ros2.parent}:{os.environ['PATH']}")
    return tmp_path


def launch(prefix, **arguments):
    """Run the launch file; -> (status, {executable: how it was started})."""
    source = PythonLaunchDescriptionSource(str(prefix / "share/voxbox/launch/point_detr3d.launch.py"))
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


@pytest.mark.parametrize("mode", ["", "detect", "assist", "both"])
def test_the_mode_is_the_nodes(prefix, mode):
    status, started = launch(prefix, **({"mode": mode} if mode else {}))
    assert status == 0
    assert set(started) == {"point_detr3d"}
    assert parameters(started["point_detr3d"]).get("mode", "") == mode


def test_arguments_become_parameters_of_the_right_type(prefix):
    _, started = launch(prefix, sensor_height="2", sweeps="3", images="/a/image, /b/image", label_file="7")
    given = parameters(started["point_detr3d"])
    assert (given["sweeps"], given["images"], given["label_file"]) == (3, "/a/image, /b/image", "7")
    assert isinstance(given["sensor_height"], float)


def test_topics_are_remapped(prefix):
    _, started = launch(prefix, points="/top/points", odometry="/odom", namespace="front")
    expected = {"points:=/top/points", "odometry:=/odom", "clicked_point:=/clicked_point", "__ns:=/front"}
    assert expected <= set(started["point_detr3d"]["argv"])


def test_a_bag_is_played_on_its_own_clock(prefix):
    _, started = launch(prefix, bag="drive.mcap")
    assert {"drive.mcap", "--clock"} <= set(started["ros2"]["argv"])
    assert parameters(started["point_detr3d"])["use_sim_time"] is True


def test_rviz_opens_the_layout_with_the_tool_to_click_again_and_again(prefix):
    _, started = launch(prefix, rviz="true", rviz_frame="velodyne", points="/top/points")
    argv = started["rviz2"]["argv"]
    assert argv[argv.index("-f") + 1] == "velodyne"
    assert "points:=/top/points" in argv
    layout = yaml.safe_load(Path(argv[argv.index("-d") + 1]).read_text())["Visualization Manager"]
    (tool,) = [tool for tool in layout["Tools"] if tool["Class"] == "rviz_default_plugins/PublishPoint"]
    assert tool["Single click"] is False
    assert tool["Topic"]["Value"] == "/clicked_point"
    clouds = [d for d in layout["Displays"] if d["Class"] == "rviz_default_plugins/PointCloud2"]
    assert {d["Topic"]["Value"] for d in clouds} == {"points", "assist/points"}
    assert all(d["Size (Pixels)"] >= 3 and d["Style"] == "Points" for d in clouds)


def test_a_height_that_is_no_number_starts_nothing(prefix):
    assert launch(prefix, sensor_height="high") == (1, {})


def test_every_parameter_argument_is_one_of_the_node():
    from point_detr3d_ros.parameters import Parameters

    named = {f.name for f in fields(Parameters)}
    namespace: dict = {"__name__": "point_detr3d_launch"}
    exec(compile((ROOT / "launch/point_detr3d.launch.py").read_text(), "point_detr3d.launch.py", "exec"), namespace)
    assert set(namespace["PARAMETERS"]) <= named
    assert set(parameters({"parameters": [(ROOT / "config/point_detr3d.yaml").read_text()]})) <= named
