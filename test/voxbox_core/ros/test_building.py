"""What a node tells of the engines that are built while it loads."""

import pytest

from voxbox_core.ros.building import Building
from voxbox_core.runtime import progress


class Log:
    """Of a node."""

    def __init__(self):
        self.lines = []

    def info(self, line, throttle_duration_sec=0.0):
        self.lines.append(line)


def test_what_is_built_is_told_until_it_is_done():
    log = Log()
    building = Building(log)
    with building.heard():
        tell = progress.listener()
        assert tell("building the engine of m", 0.25)
        assert building.doing == "building the engine of m: 25%"
        assert tell("built the engine of m in 3 s", 1.0)
        assert not building.doing
    building.sum_up({"model": "m", "backend": "tensorrt", "assist backend": "torch"})
    assert log.lines == [
        "building the engine of m: 25%",
        "built the engine of m in 3 s",
        "build_only: engines built: 1; backend tensorrt, assist backend torch",
    ]


def test_a_failed_load_is_not_told_of_any_more():
    building = Building(Log())
    with pytest.raises(RuntimeError), building.heard():
        progress.listener()("building", 0.5)
        raise RuntimeError
    assert not building.doing


def test_a_node_that_is_asked_to_stop_gives_the_build_up():
    building, asked = Building(Log()), []
    building.asked_to_stop = lambda: bool(asked)
    with building.heard():
        assert progress.listener()("building", 0.5)
        asked.append(True)
        assert not progress.listener()("building", 0.6)
