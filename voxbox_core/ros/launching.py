"""What the launch files of all systems share: a node with its parameters and topics, with a bag and RViz when asked."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.launch_context import LaunchContext  # not from launch: mypy takes this tree's folder of launch files for it
from launch.launch_description import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = "voxbox"
DDS_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
BAG_DELAY = 5.0  # s in which the node loads its model before rosbag2 begins; voxbox's own player waits for a listener

_RVIZ = {
    "rviz": ("false", "open RViz"),
    "rviz_frame": ("", "fixed frame of RViz: the sensor's, or one that tf connects to it; when empty target_frame"),
}


@dataclass(frozen=True)
class System:
    """What a launch file starts, and which arguments it takes beside those of every one.

    name: of the executable, the node, and its files in config/ and config/rviz/.
    parameters: arguments that become node parameters when they are given, with type and description; target_frame is
    one of them.  topics: those that are remapped, with default and description.
    shown: topics that RViz subscribes to by the same names.  nodes: where the executable is of several nodes, their
    names, each of which can be switched off.
    """

    name: str
    parameters: Mapping[str, tuple[type, str]]
    topics: Mapping[str, tuple[str, str]]
    shown: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()

    @property
    def arguments(self) -> dict[str, tuple[str, str]]:
        """Default and description of each."""
        return {
            **{name: ("true", f"whether the node {name} runs: true or false") for name in self.nodes},
            **{name: ("", description) for name, (_, description) in self.parameters.items()},
            **self.topics,
            "namespace": ("", "namespace of the node and its topics"),
            "params_file": (str(_share() / "config" / f"{self.name}.yaml"), "parameters of the node"),
            "bag": ("", "bag to play, on its own clock"),
            "use_sim_time": ("", "true or false; when empty, true with a bag"),
            **_RVIZ,
        }


def described(system: System) -> LaunchDescription:
    """What `generate_launch_description` of the system's launch file returns."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in system.arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=partial(_start, system=system))])


def _start(context: LaunchContext, system: System) -> list:
    """The processes that the arguments ask for."""
    given = {name: LaunchConfiguration(name).perform(context) for name in system.arguments}
    bag = given["bag"]
    sim_time = _truth(given["use_sim_time"] or str(bool(bag)))
    if not Path(given["params_file"]).is_file():
        raise ValueError(f"params_file is {given['params_file']!r}; expected a YAML file of parameters")
    with_rviz = _truth(given["rviz"])
    if with_rviz:
        get_package_prefix("rviz2")  # raises here, before the node starts: launch would leave the node behind
    actions: list = []
    if DDS_PROFILE not in os.environ:
        actions.append(SetEnvironmentVariable(DDS_PROFILE, str(_share() / "config" / "fastdds_shm_big.xml")))
    actions.append(_node(system, given, sim_time))
    if bag:
        clock = ["--clock"] if sim_time else []
        actions.append(ExecuteProcess(cmd=[*_player(), bag, *clock], output="screen"))
    if with_rviz:
        actions.append(_rviz(system, given, sim_time))
    return actions


def _node(system: System, given: Mapping[str, str], sim_time: bool) -> Node:
    """The detector's, or the process of several."""
    names = [name for name in system.nodes if _truth(given[name])]
    if system.nodes and not names:
        raise ValueError(f"all of {', '.join(system.nodes)} are false; expected one of them to be true")
    overrides = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (kind, _) in system.parameters.items()
        if given[name]
    }
    return Node(
        package=PACKAGE,
        executable=system.name,
        name=None if system.nodes else system.name,  # it would be the name of each
        arguments=names,
        namespace=given["namespace"],
        parameters=[given["params_file"], {"use_sim_time": sim_time, **overrides}],
        remappings=[(topic, given[topic]) for topic in system.topics],
        output="screen",
    )


def _player() -> list[str]:
    """rosbag2's player; voxbox's own where rosbag2 is not installed."""
    try:
        get_package_prefix("ros2bag")
    except PackageNotFoundError:
        return [sys.executable, "-m", "voxbox.cli", "bag", "play"]
    return ["ros2", "bag", "play", "--disable-keyboard-controls", "--delay", str(BAG_DELAY)]


def _rviz(system: System, given: Mapping[str, str], sim_time: bool) -> Node:
    """RViz with the system's layout, whose topics are relative to the namespace."""
    fixed = given["rviz_frame"] or given["target_frame"]
    frame = ["-f", fixed] if fixed else []
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=given["namespace"],
        arguments=["-d", str(_share() / "config" / "rviz" / f"{system.name}.rviz"), *frame],
        parameters=[{"use_sim_time": sim_time}],
        remappings=[(topic, given[topic]) for topic in system.shown],
    )


def _share() -> Path:
    return Path(get_package_share_directory(PACKAGE))


def _truth(text: str) -> bool:
    """A boolean argument's value. Raises ValueError on anything but true and false."""
    if text.lower() not in ("true", "false"):
        raise ValueError(f"a launch argument is {text!r}; expected true or false")
    return text.lower() == "true"
