"""The repository as a package: what colcon installs, what package.xml says, and what the requirements pin."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("voxbox", "voxbox_core", "msgs", "km3d_ros", "point_detr3d_ros", "ssz_ros")
PRODUCT = (*ROOMS, "launch", "config", "resource", "package.xml", "setup.py", "setup.cfg")


def manifest():
    return ET.parse(ROOT / "package.xml").getroot()


def test_every_folder_of_code_is_a_package():
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} would not be installed"


def test_folders_of_other_files_are_none():
    for folder in ("launch", "config", "models", "test"):
        assert not list((ROOT / folder).rglob("__init__.py"))


def test_package_xml_and_setup_agree():
    setup = (ROOT / "setup.py").read_text()
    assert f'version="{manifest().findtext("version")}"' in setup
    assert f'maintainer_email="{manifest().find("maintainer").get("email")}"' in setup


def test_package_xml_names_every_ros_package_that_is_imported():
    depends = {tag.text for tag in manifest() if tag.tag.endswith("depend")}
    ros = {"rclpy", "tf2_ros", "launch", "launch_ros", "ament_index_python"}
    imported = set()
    for folder in (*ROOMS, "launch"):
        for path in (ROOT / folder).rglob("*.py"):
            imported |= set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.M))
    needed = {name for name in imported if name in ros or name.endswith(("_msgs", "_interfaces"))}
    assert needed - depends == set()


def test_every_requirement_is_pinned():
    names = r"^([A-Za-z0-9._-]+)"
    pinned = {normal(n) for n in re.findall(names + "==", (ROOT / "requirements/constraints.txt").read_text(), re.M)}
    for path in (ROOT / "requirements").glob("*.txt"):
        assert {normal(n) for n in re.findall(names, path.read_text(), re.M)} - pinned == set(), path.name


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What colcon installs of a copy of the sources."""
    colcon = shutil.which("colcon", path=str(Path(sys.executable).parent)) or shutil.which("colcon")
    if colcon is None:
        pytest.skip("colcon is not installed")
    workspace = tmp_path_factory.mktemp("workspace")
    source = workspace / "src" / "voxbox"
    source.mkdir(parents=True)
    for name in PRODUCT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    model = source / "models" / "tiny"
    model.mkdir(parents=True)
    (model / "manifest.yaml").write_text("{}\n")
    subprocess.run([colcon, "build"], cwd=workspace, check=True, capture_output=True)
    return workspace / "install" / "voxbox"


def test_colcon_installs_the_resource_index(installed):
    assert (installed / "share/ament_index/resource_index/packages/voxbox").is_file()
    assert (installed / "share/voxbox/package.xml").is_file()


def test_colcon_installs_launch_files_configuration_and_models(installed):
    share = installed / "share/voxbox"
    for folder in ("launch", "config"):
        for path in (p for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix != ".pyc"):
            assert (share / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    assert (share / "models/tiny/manifest.yaml").is_file()


@pytest.mark.parametrize("executable", ["build_engine", "km3d", "point_detr3d", "ssz", "voxbox"])
def test_colcon_installs_the_executables_where_ros2_run_looks(installed, executable):
    script = installed / "lib/voxbox" / executable
    assert script.stat().st_mode & 0o111


def test_colcon_installs_every_module(installed):
    (site_packages,) = installed.glob("lib/python*/site-packages")
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            assert (site_packages / path.relative_to(ROOT)).is_file(), path
