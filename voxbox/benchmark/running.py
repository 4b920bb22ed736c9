"""Nodes started by their launch files as a vehicle starts them, with traffic, for as long as a block lasts."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from voxbox.benchmark.setting import SYSTEMS, Setting
from voxbox.benchmark.traffic import Frame, Traffic, cloud_frame, image_frame, traffic
from voxbox.benchmark.usage import Usage, usage
from voxbox.demo.drives import SHIPPED_DRIVE, SHIPPED_RIG_DRIVE
from voxbox.demo.isolation import own_domain
from voxbox.demo.node_process import NodeProcess

BRINGUP = "bringup"
_STARTED = re.compile(r"process started with pid \[(\d+)\]")
_LIDAR_HEIGHT = 1.8  # m above the ground: of the shipped drive, whose tf is not played


@dataclass(frozen=True)
class Running:
    """Running nodes.  pids: of their processes."""

    traffic: Traffic
    processes: tuple[NodeProcess, ...]
    pids: tuple[int, ...]

    def check(self) -> None:
        """Raises InputError when one has ended."""
        for process in self.processes:
            process.check()

    def usage(self) -> list[Usage]:
        """Of each process."""
        return [usage(pid) for pid in self.pids]


@contextmanager
def running(setting: Setting) -> Iterator[Running]:
    """The nodes, active, and in a corner of DDS of their own. Call it in a fresh process: DDS reads its profile once.

    Raises InputError when they do not come to run.
    """
    frames = _frames(setting.systems)
    with own_domain(setting.profile) as domain, tempfile.TemporaryDirectory(prefix="voxbox-nodes-") as name:
        folder, given = Path(name), {name: value for frame in frames for name, value in frame.arguments.items()}
        given["params_file"] = str(_parameters(setting, folder))
        with ExitStack() as stack:
            processes = tuple(stack.enter_context(process) for process in _processes(setting, given, folder))
            talk = stack.enter_context(traffic(setting.systems, frames, setting.together, domain))

            def check() -> None:
                for process in processes:
                    process.check()

            talk.wait_until_running(check)
            pids = tuple(int(_STARTED.findall(process.log.read_text())[0]) for process in processes)
            yield Running(talk, processes, pids)


def _frames(systems: Sequence[str]) -> list[Frame]:
    """Of the sensors that they need."""
    frames = []
    if {"km3d", "ssz"} & set(systems):
        frames.append(image_frame(SHIPPED_DRIVE))
    if "point_detr3d" in systems:
        frames.append(cloud_frame(SHIPPED_RIG_DRIVE))
    return frames


def _parameters(setting: Setting, folder: Path) -> Path:
    """The file of the nodes' parameters."""
    common = {"autostart": True, "backend": setting.backend, "threads": setting.threads}
    own: dict[str, dict[str, object]] = {"point_detr3d": {"ground_frame": "", "sensor_height": _LIDAR_HEIGHT}}
    for system, model in (setting.models or {}).items():
        own.setdefault(system, {})["model"] = model
    sections = {"/**": common, **{f"/**/{system}": values for system, values in own.items()}}
    path = folder / "parameters.yaml"
    path.write_text(yaml.safe_dump({key: {"ros__parameters": values} for key, values in sections.items()}))
    return path


def _processes(setting: Setting, given: Mapping[str, str], folder: Path) -> list[NodeProcess]:
    if setting.together:
        switches = {system: str(system in setting.systems).lower() for system in SYSTEMS}
        return [NodeProcess(BRINGUP, {**given, **switches}, folder / "bringup.log")]
    wanted = {"points": ("point_detr3d",), "image": ("km3d", "ssz"), "camera_info": ("km3d", "ssz")}
    return [
        NodeProcess(
            system,
            {name: value for name, value in given.items() if system in wanted.get(name, SYSTEMS)},
            folder / f"{system}.log",
        )
        for system in setting.systems
    ]
