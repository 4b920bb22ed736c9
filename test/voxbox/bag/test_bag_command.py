"""What the verbs that need ROS say without one."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from voxbox import cli
from voxbox.bag import command
from voxbox_core.datasets.bag import Bag

DRIVE = Path(cli.__file__).parent / "demo" / "street_rig_drive.mcap"


@pytest.mark.parametrize("verb", [["bag", "play"], ["demo"]], ids=["play", "demo"])
def test_without_ros_one_line_says_so(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main([*verb, str(tmp_path / "drive.mcap")]) == 2
    assert "ROS 2 (rclpy) is absent; expected a sourced ROS 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("topic", "waits"), [("/lidar/points", False), ("/cam_front/image/compressed", False), ("/tf_static", True)]
)
def test_a_bag_waits_until_somebody_listens_to_a_camera_or_a_lidar(topic, waits, monkeypatch):
    monkeypatch.setattr(command, "_SETTLING", 0.0)
    ticks = []
    player = SimpleNamespace(subscribers=lambda name: int(name == topic), tick=ticks.append)
    with Bag(DRIVE) as bag:
        command._wait_for_subscriber(bag, player, 0.2)
        assert set(ticks) == ({bag.start} if waits else set())
