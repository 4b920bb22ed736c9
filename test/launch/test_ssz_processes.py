"""The real node and a real player, in their own processes, started and ended by `ros2 launch`."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import known_voxels
import pytest
from launched import ENDED, Launched, launching
from listening import listening
from sensor_msgs.msg import PointCloud2

pytestmark = pytest.mark.processes

DRIVE = Path(__file__).resolve().parents[2] / "voxbox" / "demo" / "street_drive.mcap"


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    with launching("ssz", tmp_path) as start:
        yield start


@pytest.fixture
def heard() -> Iterator[Callable[[], list[Any]]]:
    with listening(PointCloud2, "/voxels") as messages:
        yield messages


def test_a_bag_becomes_voxels_and_ctrl_c_ends_all_processes(
    launched: Callable[..., Launched], tmp_path: Path, heard: Callable[[], list[Any]]
) -> None:
    given = {"model": known_voxels.write(tmp_path / "known.onnx"), "backend": "onnxruntime", "bag": DRIVE}
    given |= {"image": "/camera/image", "camera_info": "/camera/camera_info"}
    launch = launched(*(f"{name}:={value}" for name, value in given.items()))
    launch.wait_for(heard)
    assert heard()[0].point_step == 20
    assert len(launch.alive) == 2  # the node and the player
    launch.interrupt()
    assert launch.alive == set()
    assert re.search(rf"ssz-1\]?: {ENDED}", launch.output)


def test_cells_that_are_none_end_the_launch(launched: Callable[..., Launched]) -> None:
    launch = launched("cells:=inside")
    launch.wait()
    assert "parameter cells is 'inside'; expected str of surface, occupied" in launch.output
    assert "process has died" in launch.output
