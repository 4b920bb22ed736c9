"""What a replay was worth: frames, latency by stage, accuracy against truth, and the machine they were measured on."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from msgs.boxes import read_detections
from voxbox.bag.samples import projected
from voxbox.demo.replay import DIAGNOSTICS, Replay
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag.types import DETECTIONS, typestore
from voxbox_core.datasets.kitti import Calibration, Labels, from_boxes, label_rows
from voxbox_core.datasets.sample import Sample
from voxbox_core.metrics.kitti import RULES, Evaluation, evaluate

RULE_SET = "kitti_r40"
END_TO_END = "end_to_end"
PERCENTILES = (50, 95, 99)


def boxes_of(replay: Replay, camera_frame: str) -> dict[int, Boxes3D]:
    """The node's boxes by stamp, ns. Boxes in another frame than the camera's cannot be drawn and are left out."""
    found = {}
    for stamp, message in replay.detections.items():
        decoded = typestore().deserialize_cdr(message.raw, DETECTIONS)
        if decoded.header.frame_id == camera_frame:  # type: ignore[attr-defined]
            found[stamp] = read_detections(decoded, Axes.OPTICAL)
    return found


def stages_of(replay: Replay) -> dict[str, list[float]]:
    """Milliseconds of each frame by stage: those the node publishes, and the way from image to boxes over DDS."""
    stages: dict[str, list[float]] = {}
    for message in replay.outputs:
        if message.msgtype != DIAGNOSTICS:
            continue
        decoded: Any = typestore().deserialize_cdr(message.raw, DIAGNOSTICS)
        for pair in decoded.status[0].values:
            stages.setdefault(pair.key, []).append(float(pair.value))
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


def detection_rows(boxes: Boxes3D, camera: Camera) -> Labels:
    """Boxes as KITTI result rows; their 2D boxes are the hulls of the projected 3D ones, since messages hold none."""
    box2d, _ = projected(boxes, camera)
    return from_boxes(replace(boxes, box2d=box2d), Calibration.of_camera(camera.intrinsics))


class Accuracy:
    """Collects truth and detections frame by frame."""

    def __init__(self) -> None:
        self._truth: list[Labels] = []
        self._found: list[Labels] = []

    def add(self, sample: Sample, boxes: Boxes3D | None) -> None:
        """A frame counts when it has truth and was answered."""
        if sample.boxes is None or boxes is None:
            return
        self._truth.append(label_rows(sample, Calibration.of_camera(sample.camera.intrinsics)))
        self._found.append(detection_rows(boxes, sample.camera))

    def evaluation(self) -> Evaluation | None:
        """Scores by the KITTI rules, or None where no frame counted."""
        return evaluate(self._truth, self._found, RULES[RULE_SET]) if self._truth else None


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


def accuracy_json(result: Evaluation | None) -> Mapping[str, Any] | None:
    """Only classes that occur, so that a missing number means "none there" and not "missed all"."""
    if result is None:
        return None
    scores = {k: round(v, 3) for k, v in result.average_precision.items() if v is not None}
    return {"rules": result.rules, "frames": result.frames, "objects": result.objects, "scores": scores}
