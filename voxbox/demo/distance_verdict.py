"""How good the boxes of a LiDAR's drive were, by the distance between centres."""

import math

from voxbox.demo.artefacts import Verdict
from voxbox.report.page import Section, Table
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.rig import RigSample
from voxbox_core.metrics.nuscenes import RULES, Evaluation, Frame, evaluate

RULE_SET = "street"


class Accuracy:
    """Collects truth and detections frame by frame."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []

    def add(self, sample: RigSample, boxes: Boxes3D | None) -> None:
        """A frame counts when it has truth and was answered."""
        if sample.boxes is not None and boxes is not None:
            self._frames.append(Frame(sample.boxes, boxes, sample.hits))

    def verdict(self) -> Verdict:
        """mAP and SPNDS in percent, or that nobody knows."""
        if not self._frames:
            missing = "The bag holds no ground truth, so accuracy was not measured."
            return Verdict(None, "no ground truth in this bag: accuracy not measured", Section("Accuracy", [missing]))
        result = evaluate(self._frames, RULES[RULE_SET])
        by_class = {name: round(100 * v, 2) for name, v in result.class_ap.items() if math.isfinite(v)}
        errors = {name: round(v, 4) for name, v in result.mean_errors.items() if math.isfinite(v)}
        scores = {
            "rules": result.rules,
            "frames": result.frames,
            "objects": {name: n for name, n in result.objects.items() if n},
            "mAP": _percent(result.mean_ap),
            "SPNDS": _percent(result.spnds),
            "AP": by_class,
            "errors": errors,
        }
        line = f"accuracy by the nuScenes metric over {result.frames} frames with truth: "
        line += f"mAP {100 * result.mean_ap:.1f}, SPNDS {100 * result.spnds:.1f}"
        return Verdict(scores, line, _section(result))


def _percent(share: float) -> float | None:
    return round(100 * share, 2) if math.isfinite(share) else None


def _section(result: Evaluation) -> Section:
    rows = []
    for name, count in result.objects.items():
        if count:
            errors = result.errors[name]
            own = [*(100 * v for v in result.average_precision[name].values()), 100 * result.class_ap[name]]
            rows.append([name, count, *own, *(f"{errors[e]:.2f}" for e in ("ATE", "ASE", "AOE"))])
    distances = [f"{distance:g} m" for distance in RULES[RULE_SET].thresholds]
    header = ["average precision", "objects", *distances, "mean", "ATE, m", "ASE", "AOE, rad"]
    note = (
        f"mAP {100 * result.mean_ap:.1f}, SPNDS {100 * result.spnds:.1f}: the nuScenes detection metric, in percent, "
        f"rules {result.rules}, over {result.frames} answered frames with truth. Only boxes that the node publishes "
        "count, so its score threshold caps recall; voxbox evaluate measures the whole curve."
    )
    return Section("Accuracy", tables=[Table(header, rows, note)])
