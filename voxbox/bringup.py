"""All three systems in one process: `ros2 run voxbox bringup`, or some of them, `ros2 run voxbox bringup km3d ssz`.

Each is the lifecycle node that it is alone, in a thread of its own. What several of them listen to is received once,
and an image is decoded once.
"""

import importlib
import sys
from collections.abc import Sequence
from functools import partial

import rclpy
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from voxbox_core.errors import InputError
from voxbox_core.ros.process import leave, run_all
from voxbox_core.ros.subscriptions import Subscriptions

NODES = {
    "km3d": ("km3d_ros.node", "Km3dNode"),
    "point_detr3d": ("point_detr3d_ros.node", "PointDetr3dNode"),
    "ssz": ("ssz_ros.node", "SszNode"),
}
"""Name -> module and class; one that is not asked for is not imported."""

SEPARATE = ("detections", "markers", "label_info", "latency")
"""Outputs that several nodes have: each has its node's name in front, unless it is remapped."""

HOST = "voxbox_inputs"
"""The node whose subscriptions they share."""


def nodes(names: Sequence[str]) -> list[Node]:
    """The nodes of these names, and HOST.

    Raises InputError for a name that is none, or a parameter out of its limits.
    """
    unknown = [name for name in names if name not in NODES]
    if unknown:
        raise InputError("node", ", ".join(unknown), f"of {', '.join(NODES)}", "Choose among these.")
    # Topics come to it with their full names: no rule of the command line may turn them into others.
    host = rclpy.create_node(HOST, use_global_arguments=False, enable_rosout=False, start_parameter_services=False)
    shared = Subscriptions(host)
    made = []
    for name in names:
        module, kind = NODES[name]
        made.append(getattr(importlib.import_module(module), kind)(subscriptions=shared))
    return [host, *made]


def arguments(argv: Sequence[str]) -> list[str]:
    """The command line with the names of SEPARATE behind it: rules before them win."""
    rules = [f"{name}:{topic}:={name}/{topic}" for name in NODES for topic in SEPARATE]
    return [*argv, "--ros-args", *(word for rule in rules for word in ("-r", rule))]


def main() -> None:
    """The executable `ros2 run voxbox bringup [NODE ...]`."""
    names = remove_ros_args(sys.argv)[1:] or list(NODES)
    leave(run_all(partial(nodes, names), arguments(sys.argv)))


if __name__ == "__main__":
    main()
