"""What the verbs that need ROS say without one."""

import importlib.util

import pytest

from voxbox import cli


@pytest.mark.parametrize("verb", [["bag", "play"], ["demo"]], ids=["play", "demo"])
def test_without_ros_one_line_says_so(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main([*verb, str(tmp_path / "drive.mcap")]) == 2
    assert "ROS 2 (rclpy) is absent; expected a sourced ROS 2" in capsys.readouterr().err
