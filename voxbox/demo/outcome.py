"""What a replay was worth: boxes, latency by stage, and the machine they were measured on."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msgs.boxes import read_detections
from voxbox.demo.replay import DIAGNOSTICS, Replay
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.bag import Message
from voxbox_core.datasets.bag.types import DETECTIONS, typestore

END_TO_END = "end_to_end"
PERCENTILES = (50, 95, 99)


def boxes_of(replay: Replay, frame_id: str, axes: Axes) -> dict[int, Boxes3D]:
    """The node's boxes by stamp, ns. Boxes in another frame than the sensor's cannot be drawn and are left out."""
    found = {stamp: boxes_in(message, frame_id, axes) for stamp, message in replay.detections.items()}
    return {stamp: boxes for stamp, boxes in found.items() if boxes is not None}


def boxes_in(message: Message, frame_id: str, axes: Axes) -> Boxes3D | None:
    """The boxes of a serialized Detection3DArray; None where they are in another frame.  axes: the frame's kind."""
    decoded: Any = typestore().deserialize_cdr(message.raw, DETECTIONS)
    return read_detections(decoded, axes) if decoded.header.frame_id == frame_id else None


def stages_of(replay: Replay) -> dict[str, list[float]]:
    """Milliseconds of each frame by stage: those the node publishes, and the way from frame to boxes over DDS.

    The stages of its answers to clicks are called "click …".
    """
    stages: dict[str, list[float]] = {}
    for message in replay.outputs:
        if message.msgtype != DIAGNOSTICS:
            continue
        decoded: Any = typestore().deserialize_cdr(message.raw, DIAGNOSTICS)
        status = decoded.status[0]
        prefix = "click " if status.name.endswith(": click") else ""
        for pair in status.values:
            stages.setdefault(prefix + pair.key, []).append(float(pair.value))
    stages.pop("age", None)  # of the replay's clock, not of this machine's
    stages[END_TO_END] = [1e3 * seconds for seconds in replay.end_to_end()]
    return stages


def summary(values: Sequence[float]) -> dict[str, float] | None:
    """Percentiles, mean and maximum to the microsecond; None of nothing."""
    if not values:
        return None
    found = {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES}
    found |= {"mean": float(np.mean(values)), "max": float(np.max(values))}
    return {**{name: round(value, 3) for name, value in found.items()}, "count": len(values)}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "ros_distro": os.environ.get("ROS_DISTRO", "jazzy"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
