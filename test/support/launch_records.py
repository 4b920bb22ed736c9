"""Runs a launch file whose node, player and RViz only write down how they were started."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

ROOT = Path(__file__).resolve().parents[2]
PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_RECORD = """#!{python}
import json, os, pathlib, sys
argv = sys.argv[1:]
files = [a for a, before in zip(argv, sys.argv) if before == "--params-file"]
seen = dict(argv=argv, parameters=[pathlib.Path(f).read_text() for f in files], profile=os.environ.get({profile!r}))
pathlib.Path({folder!r}, pathlib.Path(sys.argv[0]).name + ".json").write_text(json.dumps(seen))
"""


class Prefix:
    """An ament prefix with a voxbox whose executable `system` records its start, as rosbag2's and RViz do."""

    def __init__(self, folder: Path, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.system = folder, system
        self._install("voxbox", system)
        self._install("rviz2", "rviz2")
        ros2 = self._install("ros2bag", "ros2")
        share = folder / "share/voxbox"
        share.mkdir()
        for name in ("launch", "config"):
            (share / name).symlink_to(ROOT / name)
        monkeypatch.setenv("AMENT_PREFIX_PATH", f"{folder}:{os.environ.get('AMENT_PREFIX_PATH', '')}")
        monkeypatch.setenv("PATH", f"{ros2.parent}:{os.environ['PATH']}")
        monkeypatch.delenv(PROFILE, raising=False)

    @property
    def program(self) -> str:
        """A Python program that records its start."""
        return _RECORD.format(python=sys.executable, folder=str(self.folder), profile=PROFILE)

    def without(self, package: str) -> None:
        """Take a package out of the ament index."""
        (self.folder / "share/ament_index/resource_index/packages" / package).unlink()

    def _install(self, package: str, executable: str) -> Path:
        index = self.folder / "share/ament_index/resource_index/packages"
        index.mkdir(parents=True, exist_ok=True)
        (index / package).touch()
        script = self.folder / "lib" / package / executable
        script.parent.mkdir(parents=True)
        script.write_text(self.program)
        script.chmod(0o755)
        return script

    def launch(self, **arguments: str) -> tuple[int, dict[str, Any]]:
        """Run the launch file; -> (status, {executable: how it was started})."""
        source = PythonLaunchDescriptionSource(str(self.folder / f"share/voxbox/launch/{self.system}.launch.py"))
        include = IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))
        service = LaunchService()
        service.include_launch_description(LaunchDescription([include]))
        status = service.run()
        return status, {p.stem: json.loads(p.read_text()) for p in self.folder.glob("*.json")}


def parameters(started: dict[str, Any]) -> dict[str, Any]:
    """All parameters of a node, later files over earlier ones."""
    merged: dict[str, Any] = {}
    for text in started["parameters"]:
        for section in yaml.safe_load(text).values():
            merged |= section["ros__parameters"]
    return merged


def parameters_of(system: str) -> set[str]:
    """All that the launch file and the shipped configuration of a system set."""
    file = ROOT / f"launch/{system}.launch.py"
    namespace: dict[str, Any] = {"__name__": f"{system}_launch"}
    exec(compile(file.read_text(), file.name, "exec"), namespace)
    shipped = parameters({"parameters": [(ROOT / f"config/{system}.yaml").read_text()]})
    return {*namespace["PARAMETERS"], *shipped}
