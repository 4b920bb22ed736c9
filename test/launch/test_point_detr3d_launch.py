"""What launch/point_detr3d.launch.py starts, for which arguments: the processes write down how they were started."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from launch_records import Prefix, parameters, parameters_of

from point_detr3d_ros.parameters import Parameters


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    return Prefix(tmp_path, "point_detr3d", monkeypatch)


@pytest.mark.parametrize("mode", ["", "detect", "assist", "both"])
def test_the_mode_is_the_nodes(prefix, mode):
    status, started = prefix.launch(**({"mode": mode} if mode else {}))
    assert status == 0
    assert set(started) == {"point_detr3d"}
    assert parameters(started["point_detr3d"]).get("mode", "") == mode


def test_arguments_become_parameters_of_the_right_type(prefix):
    _, started = prefix.launch(sensor_height="2", sweeps="3", images="/a/image, /b/image", label_file="7")
    given = parameters(started["point_detr3d"])
    assert (given["sweeps"], given["images"], given["label_file"]) == (3, "/a/image, /b/image", "7")
    assert isinstance(given["sensor_height"], float)


def test_topics_are_remapped(prefix):
    _, started = prefix.launch(points="/top/points", odometry="/odom", namespace="front")
    expected = {"points:=/top/points", "odometry:=/odom", "clicked_point:=/clicked_point", "__ns:=/front"}
    assert expected <= set(started["point_detr3d"]["argv"])


def test_a_bag_is_played_on_its_own_clock(prefix):
    _, started = prefix.launch(bag="drive.mcap")
    assert {"drive.mcap", "--clock"} <= set(started["ros2"]["argv"])
    assert parameters(started["point_detr3d"])["use_sim_time"] is True


def test_rviz_opens_the_layout_with_the_tool_to_click_again_and_again(prefix):
    _, started = prefix.launch(rviz="true", rviz_frame="velodyne", points="/top/points")
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
    assert prefix.launch(sensor_height="high") == (1, {})


def test_every_parameter_argument_is_one_of_the_node():
    assert parameters_of("point_detr3d") <= {f.name for f in fields(Parameters)}
