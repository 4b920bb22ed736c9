"""`voxbox evaluate point-detr3d-assist`: click on every object in several ways, and judge the boxes against the clicks.

Average precision says little of a detector that is told where its objects are. IoU seen from above, error of the centre
and of the heading do, beside those of whoever knows no better: a box of the class's mean size at the click, with the
true heading.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from point_detr3d_ros.assist import Assist
from voxbox.arguments import require_least
from voxbox_core.datasets.prompts import PromptSettings, simulate
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_folder import RigFolder
from voxbox_core.errors import InputError
from voxbox_core.metrics.nuscenes import RINGS
from voxbox_core.metrics.prompted import PromptedErrors, boxes_at_clicks, prompted_errors
from voxbox_core.ros.models import model_path

CLICKS = {
    "centre": PromptSettings.paper(0.0),
    "point 1/3": PromptSettings.paper(1 / 3),
    "point 2/3": PromptSettings.paper(2 / 3),
    "point 1": PromptSettings.paper(1.0),
    "surface": PromptSettings(surface=1.0, ground=0.0),
    "from above": PromptSettings(surface=0.0, ground=1.0),
}
"""Ways to click: at the centre; at the paper's points, within so much of the box; on a return; without a height."""
USUAL, RAW = "point 1/3", ", raw"
SEED = 1

Judged = dict[str, list[PromptedErrors]]  # what -> by frame


def run(args: argparse.Namespace, names: Sequence[str] | None, folder: Path | None) -> dict[str, object]:
    require_least(args, limit=1)
    assist = Assist.open(model_path(args.model), args.backend, args.threads)
    frames = [(rig, i) for rig in map(RigFolder, args.data) for i in _chosen(rig, names)][: args.limit]
    judged: Judged = {}
    distance = [np.zeros(0)]
    for rig, i in tqdm(frames, "clicking", unit="frame"):
        distance.append(_judge(assist, rig.read(i, points=True, views=args.cameras), judged))
    away = np.concatenate(distance)
    if not len(away):
        raise InputError("objects to click on", 0, "at least 1", "Give frames with objects in the model's range.")
    together = {name: _joined(parts) for name, parts in judged.items()}
    rows = {name: errors.means for name, errors in together.items()}
    rings = {f"{low:g} to {high:g} m": (away >= low) & (away < high) for low, high in RINGS}
    by_ring = {
        name + kind: together[USUAL + kind][inside].means for name, inside in rings.items() for kind in ("", RAW)
    }
    seen = "with cameras" if args.cameras else "LiDAR alone"
    print(f"{len(away)} objects in {len(frames)} frames, {seen}, {assist.backend}")
    print(f"{table(rows)}\n\n{USUAL}, by distance\n{table(by_ring)}")
    about = {"model": args.model, "backend": assist.backend, "precision": assist.precision, "cameras": args.cameras}
    return {**about, "frames": len(frames), "objects": len(away), "clicks": rows, "rings": by_ring}


def _chosen(rig: RigFolder, names: Sequence[str] | None) -> Sequence[int]:
    return range(len(rig)) if names is None else [rig.names.index(name) for name in names if name in rig.names]


def _judge(assist: Assist, sample: RigSample, judged: Judged) -> np.ndarray:
    """Click on all objects that were hit and are in range, in every way; -> their distance, (N,) m."""
    contract, boxes = assist.contract, sample.boxes
    if boxes is None or boxes.classes != contract.classes:
        value = "absent" if boxes is None else f"of {boxes.classes}"
        raise InputError(f"boxes of {sample.name}", value, f"of {contract.classes}", "Give frames of a street rig.")
    raised = boxes.center + np.array([0.0, 0.0, sample.height])
    seen = (sample.hits > 0) & contract.grid.contains(raised)
    encoded = assist.encode(sample.points, sample.height, sample.views)
    truth = boxes[seen]
    for name, settings in CLICKS.items():
        clicks = simulate(sample, settings, [size[2] for size in contract.mean_sizes], SEED)[seen]
        naive = boxes_at_clicks(clicks, contract.mean_sizes, truth.yaw)
        judged.setdefault(name, []).append(prompted_errors(truth, assist.decode(encoded, clicks)))
        judged.setdefault(name + RAW, []).append(prompted_errors(truth, naive))
    return np.linalg.norm(truth.center[:, :2], axis=1)


def _joined(parts: Sequence[PromptedErrors]) -> PromptedErrors:
    return PromptedErrors(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("iou", "center", "yaw")))


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """A line for each way to click: its model's boxes and the raw clicks'."""
    lines = [f"{'':18}{'IoU':>9}{'centre m':>10}{'yaw rad':>9}   raw click: {'IoU':>5}{'centre m':>10}"]
    for name, means in rows.items():
        if name.endswith(RAW):
            continue
        raw = rows[name + RAW]
        numbers = (means["iou"], means["center"], means["yaw"], raw["iou"], raw["center"])
        words = ["-" if math.isnan(v) else f"{v:.3f}" for v in numbers]
        lines.append(f"{name:18}{words[0]:>9}{words[1]:>10}{words[2]:>9}   {'':11}{words[3]:>5}{words[4]:>10}")
    return "\n".join(lines)
