"""What an operator of the node `ssz` can choose."""

from dataclasses import dataclass

from msgs.cameras import UNRECTIFIED
from voxbox_core.ros.parameters import NodeParameters, parameter

CELLS = ("surface", "occupied")
TRANSPORTS = ("raw", "compressed", "auto")


@dataclass(frozen=True)
class Parameters(NodeParameters):
    """Defaults, limits and meanings, written once."""

    model: str = parameter("ssz-street", "a released model's name, its folder, or an .onnx file")
    image_transport: str = parameter(
        "auto", "what the image topic carries; auto looks who publishes what", choices=TRANSPORTS
    )
    unrectified: str = parameter(
        "undistort",
        "when camera_info has distortion: undistort the image, refuse it, or take it as rectified already",
        choices=UNRECTIFIED,
        live=True,
    )
    cells: str = parameter(
        "surface",
        "cells of the cloud: those that touch air, or all that are occupied",
        choices=CELLS,
        live=True,
    )
    max_cubes: int = parameter(
        20_000,
        "cubes shown at most; beyond, the nearest half stays whole and the others are thinned",
        low=1,
        high=1_000_000,
        live=True,
    )
    marker_lifetime: float = parameter(0.5, "how long RViz keeps the markers of a frame, s", low=0.0, high=60.0)
    ground_resolution: float = parameter(0.2, "side of a cell of the ground's grid, m", low=0.05, high=5.0, live=True)
    vehicle_height: float = parameter(
        2.0,
        "air that a vehicle needs above the ground; what is higher is no obstacle, m",
        low=0.2,
        high=10.0,
        live=True,
    )
    camera_height: float = parameter(
        0.0,
        "height of the camera above the ground, m; 0 finds out, by the ground it sees",
        low=0.0,
        high=20.0,
        live=True,
    )
