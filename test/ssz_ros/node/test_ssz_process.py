"""The node's arguments: those that make no node are refused by name."""

import signal

import pytest
import rclpy

from ssz_ros.node import SszNode
from voxbox_core.ros.process import run


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("cells:=inside", "parameter cells is 'inside'; expected str of surface, occupied"),
        ("camera_hight:=2.0", "parameter camera_hight is unknown"),
        ("ground_resolution:=0.0", "parameter ground_resolution is 0.0; expected float of 0.05 to 5"),
    ],
)
def test_bad_arguments_make_no_node(
    argument: str, text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    assert run(SszNode, ["--ros-args", "-p", argument]) == 2
    assert text in capfd.readouterr().err
    assert not rclpy.ok()
