"""Fixtures that the whole suite shares."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from voxbox.demo.isolation import free_domain

# Read by rclpy when it is imported: each test process talks to itself alone, in a domain that it holds against other
# test processes and the demos that they start, and a message field of the wrong type raises instead of arriving as
# another number.
_HELD = ExitStack()
os.environ["ROS_DOMAIN_ID"] = str(_HELD.enter_context(free_domain()))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Real recordings beside the project; tests that need them skip where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real data absent: no ../shared/data beside the project")
    return SHARED_DATA


@pytest.fixture(scope="session")
def opengl() -> None:
    """Tests that render skip, visibly, where OpenGL cannot draw without a window."""
    from voxbox_core.datasets.street.render import Renderer
    from voxbox_core.errors import InputError

    try:
        Renderer(32, 32)
    except InputError as error:
        pytest.skip(str(error))
