"""The set-up script: what it decides, and what it says when something is missing."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup_venv():
    """The script as a module; a fresh one for each test."""
    spec = importlib.util.spec_from_file_location("setup_venv", ROOT / "scripts" / "setup_venv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def without_rights(monkeypatch, setup_venv):
    """A user who is neither root nor allowed to sudo, on a machine where nothing may be installed."""
    monkeypatch.setattr(setup_venv.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(setup_venv.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))


def test_a_sourced_ros_is_taken(setup_venv, monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(setup_venv.importlib.util, "find_spec", lambda name: object())
    assert setup_venv.which_ros() == setup_venv.SOURCED


def test_without_one_the_wheels_are_taken(setup_venv, monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(setup_venv.platform, "machine", lambda: "x86_64")
    assert setup_venv.which_ros() == setup_venv.WHEELS


def test_where_there_are_no_wheels_one_line_says_so(setup_venv, monkeypatch, capsys):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(setup_venv.platform, "machine", lambda: "aarch64")
    assert setup_venv.which_ros() == setup_venv.ABSENT
    (line,) = capsys.readouterr().out.splitlines()
    assert "aarch64" in line
    assert "source ROS 2 Jazzy" in line


def test_a_missing_compiler_is_named_where_it_cannot_be_installed(setup_venv, monkeypatch, without_rights):
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"system packages are missing: g\+\+"):
        setup_venv.install_system_packages(setup_venv.WHEELS)


def test_a_missing_egl_is_named_and_set_up_goes_on(setup_venv, monkeypatch, without_rights, capsys):
    monkeypatch.setattr(setup_venv, "loads", lambda library: False)
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: f"/usr/bin/{name}")
    setup_venv.install_system_packages(setup_venv.SOURCED)
    assert "libegl1" in capsys.readouterr().out


def test_as_root_what_is_missing_is_installed_by_apt(setup_venv, monkeypatch):
    commands = []

    def record(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(setup_venv.os, "geteuid", lambda: 0)
    monkeypatch.setattr(setup_venv.subprocess, "run", record)
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(setup_venv, "loads", lambda library: True)
    setup_venv.install_system_packages(setup_venv.WHEELS)
    assert commands[-1][-1] == "g++"
    assert "install" in commands[-1]


def test_the_stamp_tells_when_anything_has_changed(setup_venv, monkeypatch, tmp_path):
    for name in ("requirements", "bare", "scripts", "launch"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(setup_venv, "ROOT", tmp_path)
    first = setup_venv.fingerprint(setup_venv.WHEELS)
    assert setup_venv.fingerprint(setup_venv.WHEELS) == first
    assert setup_venv.fingerprint(setup_venv.SOURCED) != first
    (tmp_path / "requirements" / "run.txt").write_text("torch\n")
    assert setup_venv.fingerprint(setup_venv.WHEELS) != first


def test_beside_a_sourced_ros_numpy_stays_below_2(setup_venv, monkeypatch, tmp_path):
    monkeypatch.setattr(setup_venv, "VENV", tmp_path)

    def pins(ros):
        lines = setup_venv.constraints(ros).read_text().splitlines()
        return {line for line in lines if not line.startswith("#")}

    general, sourced = pins(setup_venv.WHEELS), pins(setup_venv.SOURCED)
    changed = ("numpy==", "ml-dtypes==", "opencv-python-headless==")
    assert {line for line in sourced if line.startswith("numpy==")} == {"numpy==1.26.4"}
    assert all(line.startswith(changed) for line in general ^ sourced)
    assert all(any(line.startswith(name) for line in sourced) for name in changed)


def test_every_executable_is_where_ros2_looks_for_executables(setup_venv, monkeypatch, tmp_path):
    monkeypatch.setattr(setup_venv, "VENV", tmp_path)
    (tmp_path / "bin").mkdir()
    setup_venv.site_packages().mkdir(parents=True)
    setup_venv.join_ament_index(setup_venv.WHEELS)
    commands = set(re.findall(r'"(\w+) = [\w.]+:main"', (ROOT / "setup.py").read_text()))
    assert {path.name for path in (tmp_path / "lib/voxbox").iterdir()} == commands - {"voxbox"}


def test_links_replace_what_was_there(setup_venv, tmp_path):
    (tmp_path / "target").touch()
    place = tmp_path / "deep" / "link"
    for _ in range(2):
        setup_venv.link(place, tmp_path / "target")
        assert place.resolve() == tmp_path / "target"
        assert not place.readlink().is_absolute()
