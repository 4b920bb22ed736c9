"""Makes nuscenes_devkit.json, beside this file: a made-up set of boxes, and what nuscenes-devkit says of it.

The devkit wants libraries of its own, so it has an environment of its own:

  python -m venv devkit && devkit/bin/pip install nuscenes-devkit==1.2.0
  devkit/bin/python test/voxbox_core/metrics/make_nuscenes_devkit.py

The set has every case that the rules know: misses, false positives, equal scores, boxes out of range, objects that
nothing has hit, bicycles in racks, unknown velocities and attributes, a class without objects (construction_vehicle),
one without hits (trailer), and one found too seldom to have errors (truck).
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.loaders import filter_eval_boxes
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes.eval.detection.evaluate import DetectionEval
from pyquaternion import Quaternion

FRAMES = 8
# Class: objects per frame, share that is found, length, width, height in m, attributes.
CLASSES = {
    "car": (6, 0.9, (4.6, 2.0, 1.7), ("vehicle.moving", "vehicle.parked")),
    "truck": (3, 0.0, (6.9, 2.5, 2.8), ("vehicle.moving", "vehicle.parked")),
    "bus": (1, 0.8, (11.2, 3.0, 3.5), ("vehicle.moving", "vehicle.stopped")),
    "trailer": (1, 0.0, (12.3, 2.9, 3.9), ("vehicle.parked",)),
    "construction_vehicle": (0, 0.0, (6.6, 2.8, 3.2), ("vehicle.parked",)),
    "pedestrian": (5, 0.7, (0.7, 0.7, 1.8), ("pedestrian.moving", "pedestrian.standing")),
    "motorcycle": (2, 0.8, (2.1, 0.8, 1.5), ("cycle.with_rider", "cycle.without_rider")),
    "bicycle": (3, 0.8, (1.7, 0.6, 1.3), ("cycle.with_rider", "cycle.without_rider")),
    "traffic_cone": (3, 0.8, (0.4, 0.4, 1.1), ("",)),
    "barrier": (3, 0.8, (0.5, 2.5, 1.0), ("",)),
}


def main() -> None:
    rng = np.random.default_rng(2019)
    frames = [_frame(rng, number) for number in range(FRAMES)]
    path = Path(__file__).with_name("nuscenes_devkit.json")
    path.write_text(_one_box_a_line({"frames": frames, "expected": _devkit(frames)}))


def _frame(rng: np.random.Generator, number: int) -> dict:
    """Boxes are [class, x, y, z, l, w, h, yaw, vx, vy, attribute] with hits (truth) or score (found) at the end."""
    origin = rng.uniform(-500, 500, 2).round(2)
    truth, found = [], []
    for name, (count, share, size, attributes) in CLASSES.items():
        for _ in range(count):
            box = _box(rng, name, origin, np.array(size), attributes)
            truth.append([*box, int(rng.choice([0, 1, 5, 40], p=[0.1, 0.2, 0.3, 0.4]))])
            only = name == "truck" and number == 3 and not any(box[0] == name for box in found)
            if rng.random() < share or only:
                found.append(_seen(rng, box, attributes))
        for _ in range(0 if name == "truck" else rng.poisson(1.0) + (name == "trailer")):
            box = _box(rng, name, origin, np.array(size), attributes)
            found.append([*box, _score(rng, 0.4)])
    x, y, z = truth[next(i for i, box in enumerate(truth) if box[0] == "bicycle")][1:4]
    racks = [[x + 0.3, y - 0.4, z, 3.0, 2.0, 2.0, 0.7]]
    return {"origin": origin.tolist(), "racks": racks, "truth": truth, "found": found}


def _box(rng: np.random.Generator, name: str, origin: np.ndarray, size: np.ndarray, attributes: tuple) -> list:
    bearing, distance = rng.uniform(-np.pi, np.pi), rng.uniform(2, 56)
    x, y = (origin + distance * np.array([np.cos(bearing), np.sin(bearing)])).round(3).tolist()
    sizes = (size * rng.uniform(0.8, 1.2, 3)).round(3).tolist()
    velocity = [None, None] if rng.random() < 0.15 else rng.normal(0, 3, 2).round(3).tolist()
    attribute = "" if rng.random() < 0.1 else str(rng.choice(attributes))
    return [name, x, y, round(rng.uniform(0, 2), 3), *sizes, round(rng.uniform(-3.1, 3.1), 3), *velocity, attribute]


def _seen(rng: np.random.Generator, box: list, attributes: tuple) -> list:
    """The box as a detector may see it: moved by half a metre or so, turned, at times by half a turn, misjudged."""
    off = rng.normal(0, rng.choice([0.2, 0.6, 1.5]), 3)
    place = (np.array(box[1:4]) + off).round(3).tolist()
    size = (np.array(box[4:7]) * rng.uniform(0.8, 1.25, 3)).round(3).tolist()
    yaw = round(box[7] + rng.normal(0, 0.3) + rng.choice([0, np.pi], p=[0.8, 0.2]), 3)
    velocity = (np.array([v or 0.0 for v in box[8:10]]) + rng.normal(0, 1, 2)).round(3).tolist()
    attribute = box[10] if rng.random() < 0.7 else str(rng.choice(attributes))
    return [box[0], *place, *size, yaw, *velocity, attribute, _score(rng, 0.9)]


def _score(rng: np.random.Generator, most: float) -> float:
    return round(rng.uniform(0.05, most), 2)  # two digits, so that some are equal


def _devkit(frames: list[dict]) -> dict:
    evaluation = DetectionEval.__new__(DetectionEval)  # its constructor reads a data set
    evaluation.cfg, evaluation.verbose = config_factory("detection_cvpr_2019"), False
    scene = _Scene(frames)
    sides = {}
    for side in ("truth", "found"):
        boxes = EvalBoxes()
        for number, frame in enumerate(frames):
            boxes.add_boxes(str(number), [_detection_box(str(number), row, frame, side) for row in frame[side]])
        sides[side] = filter_eval_boxes(scene, boxes, evaluation.cfg.class_range)
    evaluation.gt_boxes, evaluation.pred_boxes = sides["truth"], sides["found"]
    metrics = evaluation.evaluate()[0].serialize()
    kept = ("label_aps", "mean_dist_aps", "mean_ap", "label_tp_errors", "tp_errors", "nd_score")
    counts = {name: sum(box.detection_name == name for box in sides["truth"].all) for name in CLASSES}
    return {"objects": counts, **{key: metrics[key] for key in kept}}


def _detection_box(token: str, row: list, frame: dict, side: str) -> DetectionBox:
    name, x, y, z, length, width, height, yaw, vx, vy, attribute, last = row
    return DetectionBox(
        sample_token=token,
        translation=(x, y, z),
        size=(width, length, height),
        rotation=tuple(Quaternion(axis=(0, 0, 1), radians=yaw).elements),
        velocity=tuple(np.nan if v is None else v for v in (vx, vy)),
        ego_translation=(x - frame["origin"][0], y - frame["origin"][1], z),
        num_pts=last if side == "truth" else -1,
        detection_name=name,
        detection_score=-1.0 if side == "truth" else last,
        attribute_name=attribute,
    )


class _Scene:
    """What the devkit's filter asks of a data set: the bicycle racks of each frame."""

    def __init__(self, frames: list[dict]) -> None:
        self.racks = {f"{n}/{i}": rack for n, frame in enumerate(frames) for i, rack in enumerate(frame["racks"])}

    def get(self, table: str, token: str) -> dict:
        if table == "sample":
            return {"anns": [key for key in self.racks if key.startswith(f"{token}/")]}
        x, y, z, length, width, height, yaw = self.racks[token]
        return {
            "category_name": "static_object.bicycle_rack",
            "translation": (x, y, z),
            "size": (width, length, height),
            "rotation": Quaternion(axis=(0, 0, 1), radians=yaw).elements,
        }


def _one_box_a_line(content: dict) -> str:
    """JSON that differs by lines when a box does."""
    frames = []
    for frame in content["frames"]:
        rows = {k: "[\n" + ",\n".join(json.dumps(r) for r in frame[k]) + "]" for k in ("racks", "truth", "found")}
        parts = [f'"origin": {json.dumps(frame["origin"])}', *(f'"{key}": {text}' for key, text in rows.items())]
        frames.append("{" + ",\n".join(parts) + "}")
    expected = json.dumps(_without_nan(content["expected"]), indent=1)
    return '{"frames": [\n' + ",\n".join(frames) + f'],\n"expected": {expected}}}\n'


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


if __name__ == "__main__":
    main()
