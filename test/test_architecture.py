"""The house's floors: imports go down only, and each optional library has one door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ({"voxbox_core"}, {"msgs"}, {"km3d_ros", "point_detr3d_ros", "ssz_ros"}, {"voxbox"})
MESSAGES = {
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "nav_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "vision_msgs",
    "visualization_msgs",
}
ROS = {"rclpy", "tf2_ros", "message_filters", "lifecycle_msgs", "rcl_interfaces", "launch", "launch_ros"}
ONE_DOOR = {
    "tensorrt": "voxbox_core/runtime/tensorrt.py",
    "tensorrt_rtx": "voxbox_core/runtime/tensorrt.py",
    "openvino": "voxbox_core/runtime/openvino.py",
    "onnxruntime": "voxbox_core/runtime/onnxruntime.py",
}


def sources(*folders: str) -> list[Path]:
    return [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Top-level names of all packages a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_imports_go_down_only(floor):
    above = set().union(*FLOORS[floor + 1 :])
    for path in sources(*FLOORS[floor]):
        assert not above & set(imported(path)), f"{path.relative_to(ROOT)} imports from a floor above"


def test_rooms_do_not_know_one_another():
    rooms = FLOORS[2]
    for room in rooms:
        for path in sources(room):
            assert not (rooms - {room}) & set(imported(path)), path


@pytest.mark.parametrize("library", ONE_DOOR)
def test_an_engine_is_imported_in_one_file(library):
    found = {str(p.relative_to(ROOT)) for f in FLOORS for p in sources(*f) if library in set(imported(p))}
    assert found <= {ONE_DOOR[library]}


def test_only_nodes_and_the_node_base_import_ros():
    for path in sources(*FLOORS[2]):
        assert path.name == "node.py" or not (ROS | MESSAGES) & set(imported(path)), path
    for path in sources("voxbox_core"):
        inside = path.is_relative_to(ROOT / "voxbox_core" / "ros")
        assert inside or not (ROS | MESSAGES) & set(imported(path)), path
    for path in sources("msgs"):
        assert not ROS & set(imported(path)), path


def test_no_file_is_named_after_nothing():
    names = {"utils.py", "util.py", "misc.py", "helpers.py", "common.py"}
    assert not [p for f in FLOORS for p in sources(*f) if p.name in names]


def test_no_two_test_files_have_one_name():
    """Where ROS is sourced, launch_testing's plugin imports test files by their names alone."""
    names = [p.name for p in (ROOT / "test").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
