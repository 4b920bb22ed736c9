"""The KITTI metric against the protocol written down plainly: one frame, one object, one detection at a time."""

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D, iou_3d, iou_bev
from voxbox_core.datasets.kitti import COLUMNS, Labels
from voxbox_core.metrics.kitti import RULES, evaluate

LIMITS = {"easy": (40, 0, 0.15), "moderate": (25, 1, 0.30), "hard": (25, 2, 0.50)}
NEIGHBOUR = {"Car": "Van", "Pedestrian": "Person_sitting", "Cyclist": None}


def _scene(rng: np.random.Generator) -> tuple[Labels, Labels]:
    """Crowded frames: objects of all kinds, and detections that are shifted, doubled, misnamed or nowhere."""
    kinds = np.array(["Car", "Van", "Pedestrian", "Person_sitting", "Cyclist", "Truck"])
    count = rng.integers(0, 9)
    truth = np.zeros((count, len(COLUMNS)))
    truth[:, 0], truth[:, 1] = rng.uniform(0, 0.6, count) * rng.integers(0, 2, count), rng.integers(0, 4, count)
    truth[:, 2], truth[:, 13] = rng.uniform(-3, 3, (2, count))
    truth[:, 3], truth[:, 4] = rng.uniform(0, 400, count), rng.uniform(100, 150, count)
    truth[:, 5], truth[:, 6] = truth[:, 3] + rng.uniform(30, 90, count), truth[:, 4] + rng.uniform(20, 90, count)
    truth[:, 7:10] = rng.uniform((1.4, 0.8, 1.5), (1.8, 1.8, 4.5), (count, 3))
    truth[:, 10:13] = rng.uniform((-8, 1.4, 8), (8, 1.8, 20), (count, 3))
    source = rng.integers(0, count, 3 * count) if count else np.zeros(0, int)
    found = truth[source]
    found[:, 2:7] += rng.normal(0, 2, (len(found), 5)) * [0.2, 1, 1, 1, 1]
    found[:, 7:14] += rng.normal(0, 0.1, (len(found), 7))
    found[:, 14] = rng.uniform(0, 1, len(found))
    truth[:, 14] = np.nan
    types = kinds[rng.integers(0, len(kinds), count)]
    named = np.where(rng.uniform(size=len(source)) < 0.8, types[source], kinds[rng.integers(0, 6, len(source))])
    region = truth[:1].copy()
    region[:, 5:7] += 60
    return (
        Labels.from_rows([*types, *["DontCare"] * len(region)], np.concatenate([truth, region])),
        Labels.from_rows(list(named), found),
    )


def _boxes(rows: Labels) -> Boxes3D:
    center = rows.location - rows.dimensions[:, :1] * np.array([0, 0.5, 0])
    zero = np.zeros(len(rows))
    return Boxes3D(center, rows.dimensions[:, ::-1], rows.rotation_y, zero, zero, rows.box2d, ("any",), Axes.OPTICAL)


def _image_overlap(a: np.ndarray, b: np.ndarray, union: bool) -> float:
    """IoU of two image boxes, or the part of `b` inside `a`."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(width, 0) * max(height, 0)
    area = (b[2] - b[0]) * (b[3] - b[1])
    return inside / (area + (a[2] - a[0]) * (a[3] - a[1]) - inside if union else area)


class _Frame:
    def __init__(self, truth: Labels, found: Labels, metric: str, name: str, level: str) -> None:
        low, occlusion, truncation = LIMITS[level]
        objects = truth[truth.type != "DontCare"]
        self.objects = [i for i in range(len(objects)) if objects.type[i] in (name, NEIGHBOUR[name])]
        self.valid = {
            i: objects.type[i] == name
            and objects.box2d[i, 3] - objects.box2d[i, 1] > low
            and objects.occlusion[i] <= occlusion
            and objects.truncation[i] <= truncation
            for i in self.objects
        }
        self.low = {j: found.box2d[j, 3] - found.box2d[j, 1] < low for j in range(len(found))}
        self.found = [j for j in range(len(found)) if self.low[j] or found.type[j] == name]
        self.score, self.alpha, self.true_alpha = found.score, found.alpha, objects.alpha
        if metric == "2d":
            self.overlap = np.array([[_image_overlap(a, b, True) for b in found.box2d] for a in objects.box2d])
        else:
            self.overlap = (iou_bev if metric == "bev" else iou_3d)(_boxes(objects), _boxes(found))
        regions = truth.box2d[truth.type == "DontCare"] if metric == "2d" else []
        self.covered = [max((_image_overlap(r, b, False) for r in regions), default=0) for b in found.box2d]

    def matches(self, least: float, threshold: float, by_score: bool):
        """Pairs of object and detection, and the detections that are false."""
        free = [j for j in self.found if self.score[j] >= threshold]
        pairs = []
        for i in self.objects:
            fitting = [j for j in free if self.overlap[i, j] > least]
            if by_score:
                best = max(fitting, key=lambda j: self.score[j], default=None)
            else:
                tall = [j for j in fitting if not self.low[j]]
                best = max(tall, key=lambda j: self.overlap[i, j]) if tall else next(iter(fitting), None)
            if best is None:
                continue
            free.remove(best)
            if self.valid[i] and not self.low[best]:
                pairs.append((i, best))
        return pairs, [j for j in free if not self.low[j] and self.covered[j] <= least]


def _reference(frames: list[_Frame], least: float) -> tuple[list[float], list[float]]:
    """Precision and orientation similarity at the 41 recalls."""
    count = sum(sum(frame.valid.values()) for frame in frames)
    scores = sorted((f.score[j] for f in frames for _, j in f.matches(least, -np.inf, True)[0]), reverse=True)
    recall, thresholds = 0.0, []
    for i, score in enumerate(scores):
        last = i == len(scores) - 1
        here, after = (i + 1) / count, (i + 1 if last else i + 2) / count
        if last or after - recall >= recall - here:
            thresholds.append(score)
            recall += 1 / 40
    precision, similarity = [0.0] * 41, [0.0] * 41
    for t, threshold in enumerate(thresholds):
        true = false = 0
        alike = 0.0
        for frame in frames:
            pairs, wrong = frame.matches(least, threshold, False)
            true, false = true + len(pairs), false + len(wrong)
            alike += sum((1 + np.cos(frame.true_alpha[i] - frame.alpha[j])) / 2 for i, j in pairs)
        precision[t], similarity[t] = true / max(true + false, 1), alike / max(true + false, 1)
    return [max(precision[t:]) for t in range(41)], [max(similarity[t:]) for t in range(41)]


@pytest.mark.parametrize("seed", [0, 1])
def test_every_curve_is_the_protocols(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenes = [_scene(rng) for _ in range(40)]
    result = evaluate([t for t, _ in scenes], [f for _, f in scenes], RULES["kitti_r40"])
    nonzero = 0
    for key, curve in result.curves.items():
        name, metric, overlap, level = key.split("/")
        image = metric in ("2d", "aos")
        frames = [_Frame(t, f, "2d" if image else metric, name, level) for t, f in scenes]
        precision, similarity = _reference(frames, float(overlap))
        np.testing.assert_allclose(curve, similarity if metric == "aos" else precision, atol=1e-9, err_msg=key)
        nonzero += curve.max() > 0
    assert nonzero > 60
