"""rclpy for tests of nodes within the process; none of them where ROS 2 is absent."""

import importlib.util
from collections.abc import Iterator

import pytest

if importlib.util.find_spec("rclpy") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def ros() -> Iterator[None]:
    import rclpy

    rclpy.init()
    yield
    rclpy.try_shutdown()
