"""The KITTI object detection metric: average precision in 2D, bird's eye view and 3D, and orientation similarity.

Follows the official C++ tool (Geiger, Lenz, Urtasun, CVPR 2012; 40 recall points: Simonelli et al., ICCV 2019),
whose curves it reproduces. For a class and a difficulty every object is valid, ignored (too hard, or of a
neighbouring class: neither a hit nor a miss) or invisible. Detections too low in the image are ignored likewise.
A first matching, by score, finds the scores at which recall grows by 1/40; at each of them a second matching, by
overlap, counts true and false positives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import numpy as np
from numba import njit

from voxbox_core.boxes import Boxes3D, intersection_area
from voxbox_core.datasets.kitti import DONT_CARE, NO_ANGLE, Labels, has_box
from voxbox_core.errors import InputError

SAMPLES = 41
VALID, IGNORED, INVISIBLE = 0, 1, -1
METRICS = ("2d", "bev", "3d")


@dataclass(frozen=True)
class Difficulty:
    """Which objects count: taller than `min_height` px in the image, occluded and truncated at most so much."""

    name: str
    min_height: float
    max_occlusion: int
    max_truncation: float


DIFFICULTIES = (
    Difficulty("easy", 40, 0, 0.15),
    Difficulty("moderate", 25, 1, 0.30),
    Difficulty("hard", 25, 2, 0.50),
)
OVERLAPS = MappingProxyType({"Car": (0.7, 0.5), "Pedestrian": (0.5, 0.25), "Cyclist": (0.5, 0.25)})
NEIGHBOURS = MappingProxyType({"Car": "Van", "Pedestrian": "Person_sitting"})


@dataclass(frozen=True)
class RuleSet:
    """A frozen way of scoring, so that a number stays comparable for years.

    samples: the recall samples, of 0..40, whose precision is averaged.
    overlaps: IoU thresholds of each class, the strict one first; an overlap must exceed it.
    neighbours: the class whose objects are ignored rather than counted as background.
    """

    name: str
    samples: tuple[int, ...]
    overlaps: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: OVERLAPS)
    neighbours: Mapping[str, str] = field(default_factory=lambda: NEIGHBOURS)
    difficulties: tuple[Difficulty, ...] = DIFFICULTIES

    def ceiling(self, objects: int) -> float:
        """What a perfect detector scores, percent: n < 41 objects give no more than n recall samples."""
        return 100 * sum(sample < objects for sample in self.samples) / len(self.samples)


RULES = {
    "kitti_r40": RuleSet("kitti_r40", samples=tuple(range(1, SAMPLES))),
    "kitti_r11": RuleSet("kitti_r11", samples=tuple(range(0, SAMPLES, 4))),
}


@dataclass(frozen=True)
class OperatingPoint:
    """The best place to cut: of the scores that a curve samples, the one with the largest F1."""

    score: float
    recall: float
    precision: float


@dataclass(frozen=True)
class Evaluation:
    """Scores under one rule set. Keys are class/metric/overlap/difficulty, such as Car/3d/0.7/moderate.

    average_precision: percent, or None where there is no valid object. Metrics are 2d, bev, 3d and aos;
    aos, average orientation similarity, is left out for a class whose detections do not all have an alpha.
    curves: (41,) precision (for aos: orientation similarity) at recalls 0, 1/40 .. 1, made monotonous.
    objects: valid objects by class/difficulty.
    operating_points: by class/metric/overlap/difficulty, where anything was found.
    """

    rules: str
    frames: int
    average_precision: dict[str, float | None]
    curves: dict[str, np.ndarray]
    objects: dict[str, int]
    operating_points: dict[str, OperatingPoint]


def evaluate(truth: Sequence[Labels], detections: Sequence[Labels], rules: RuleSet) -> Evaluation:
    """Score the detections of F frames against their truth, frame by frame in the same order.

    Raises InputError when the two differ in length or a detection has no score.
    """
    if len(truth) != len(detections):
        raise InputError("frames of detections", len(detections), f"{len(truth)}, as of truth", "Pair them.")
    if any(np.isnan(frame.score).any() for frame in detections):
        raise InputError("score of a detection", "absent", "a 16th column", "Give result files, not label files.")
    scene = _scene(truth, detections)
    result = Evaluation(rules.name, len(truth), {}, {}, {}, {})
    for name in rules.overlaps:
        for difficulty in rules.difficulties:
            _evaluate_class(scene, rules, name, difficulty, result)
    return result


def _evaluate_class(scene: "_Scene", rules: RuleSet, name: str, difficulty: Difficulty, result: Evaluation) -> None:
    """Add the curves of one class at one difficulty to the result."""
    truth_state = _truth_states(scene.truth, name, rules.neighbours.get(name), difficulty)
    detection_state = _detection_states(scene.detections, name, difficulty)
    count = int((truth_state == VALID).sum())
    result.objects[f"{name}/{difficulty.name}"] = count
    with_alpha = not (_is(scene.detections, name) & (scene.detections.alpha == NO_ANGLE)).any()
    for metric in METRICS:
        for overlap in rules.overlaps[name]:
            precision, orientation, best = _curves(scene, metric, overlap, truth_state, detection_state, count)
            if best is not None:
                result.operating_points[f"{name}/{metric}/{overlap:g}/{difficulty.name}"] = best
            curves = {metric: precision}
            if metric == "2d" and with_alpha:
                curves["aos"] = orientation
            for kind, curve in curves.items():
                key = f"{name}/{kind}/{overlap:g}/{difficulty.name}"
                average = 100 * float(curve[list(rules.samples)].mean())
                result.curves[key] = curve
                result.average_precision[key] = average if count else None


def _curves(
    scene: "_Scene",
    metric: str,
    overlap: float,
    truth_state: np.ndarray,
    detection_state: np.ndarray,
    count: int,
) -> tuple[np.ndarray, np.ndarray, OperatingPoint | None]:
    """Precision and orientation similarity, (41,) each, at recalls 0, 1/40 .. 1; and the best point."""
    pairs = (scene.row, scene.column, scene.overlaps[metric])
    hits = _hit_scores(*pairs, truth_state, detection_state, scene.detections.score, overlap)
    thresholds = score_thresholds(hits, count)
    # A DontCare region is an area of the image: it can only excuse a detection that is judged there.
    excused = (scene.covered if metric == "2d" else np.zeros_like(scene.covered)) > overlap
    counted = (detection_state == VALID) & ~excused
    true, false, similarity = _count(
        *pairs,
        truth_state,
        detection_state,
        counted,
        scene.detections.score,
        scene.truth.alpha,
        scene.detections.alpha,
        overlap,
        thresholds,
    )
    positives = np.maximum(true + false, 1)
    best = _operating_point(thresholds, true / max(count, 1), true / positives)
    return _monotonous(true / positives), _monotonous(similarity / positives), best


def _operating_point(thresholds: np.ndarray, recall: np.ndarray, precision: np.ndarray) -> OperatingPoint | None:
    if not len(thresholds):
        return None
    best = int(np.argmax(recall * precision / np.maximum(recall + precision, 1e-9)))
    return OperatingPoint(float(thresholds[best]), float(recall[best]), float(precision[best]))


def score_thresholds(hits: np.ndarray, count: int) -> np.ndarray:
    """The scores, at most 41 and falling, at which recall comes nearest to 0, 1/40 .. 1.

    hits: scores of the detections that found a valid object.  count: number of valid objects.
    """
    scores = np.sort(hits)[::-1]
    thresholds, recall = [], 0.0
    for i, score in enumerate(scores):
        left, right = (i + 1) / count, min(i + 2, len(scores)) / count
        if right - recall < recall - left and i < len(scores) - 1:
            continue
        thresholds.append(score)
        recall += 1 / (SAMPLES - 1)
    return np.array(thresholds)


def _monotonous(values: np.ndarray) -> np.ndarray:
    """Values at the first recalls -> (41,), zero beyond them, each raised to the largest at its recall or more."""
    curve = np.zeros(SAMPLES)
    curve[: len(values)] = values
    return np.maximum.accumulate(curve[::-1])[::-1]


def _is(labels: Labels, name: str) -> np.ndarray:
    return np.char.lower(labels.type) == name.lower()


def _truth_states(truth: Labels, name: str, neighbour: str | None, difficulty: Difficulty) -> np.ndarray:
    """(G,) VALID, IGNORED or INVISIBLE."""
    fits = (
        (truth.box2d[:, 3] - truth.box2d[:, 1] > difficulty.min_height)
        & (truth.occlusion <= difficulty.max_occlusion)
        & (truth.truncation <= difficulty.max_truncation)
    )
    state = np.full(len(truth), INVISIBLE, np.int8)
    state[_is(truth, name)] = IGNORED
    state[_is(truth, name) & fits] = VALID
    if neighbour:
        state[_is(truth, neighbour)] = IGNORED
    return state


def _detection_states(detections: Labels, name: str, difficulty: Difficulty) -> np.ndarray:
    """(D,) VALID, IGNORED or INVISIBLE. Low detections of any class are ignored, as in the official tool."""
    state = np.where(_is(detections, name), VALID, INVISIBLE).astype(np.int8)
    state[detections.box2d[:, 3] - detections.box2d[:, 1] < difficulty.min_height] = IGNORED
    return state


@dataclass(frozen=True)
class _Scene:
    """All frames end to end: G objects, D detections, and the P pairs of one frame that overlap at all.

    row: (G + 1,) the pairs of object i are row[i] .. row[i + 1].  column: (P,) detection of a pair.
    overlaps: (P,) IoU by metric.  covered: (D,) largest part of a detection inside one DontCare region.
    """

    truth: Labels
    detections: Labels
    row: np.ndarray
    column: np.ndarray
    overlaps: dict[str, np.ndarray]
    covered: np.ndarray


def _scene(truth: Sequence[Labels], detections: Sequence[Labels]) -> _Scene:
    all_truth, truth_frame = _concatenate(truth)
    found, found_frame = _concatenate(detections)
    region = all_truth.type == DONT_CARE
    regions, objects = all_truth[region], all_truth[~region]
    i, j = _pairs(truth_frame[~region], found_frame)
    overlaps = _overlaps(objects, found, i, j)
    touching = np.max(list(overlaps.values()), axis=0) > 0
    row = np.concatenate([[0], np.cumsum(np.bincount(i[touching], minlength=len(objects)))])
    return _Scene(
        objects,
        found,
        row,
        j[touching],
        {metric: values[touching] for metric, values in overlaps.items()},
        _coverage(regions, found, *_pairs(truth_frame[region], found_frame)),
    )


def _concatenate(frames: Sequence[Labels]) -> tuple[Labels, np.ndarray]:
    """The rows of all frames, and the frame of each."""
    parts = [*frames, Labels.empty()]
    rows = Labels(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Labels)})
    return rows, np.repeat(np.arange(len(frames)), [len(f) for f in frames])


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rising frame numbers (A,), (B,) -> indices (P,), (P,) of all pairs of the same frame, in rising order."""
    start = np.searchsorted(second, first, side="left")
    count = np.searchsorted(second, first, side="right") - start
    before = np.cumsum(count) - count
    i = np.repeat(np.arange(len(first)), count)
    return i, np.arange(count.sum()) + np.repeat(start - before, count)


def _overlaps(truth: Labels, found: Labels, i: np.ndarray, j: np.ndarray) -> dict[str, np.ndarray]:
    """IoU of object i[p] with detection j[p], by metric, (P,) each."""
    image = _image_intersection(truth.box2d[i], found.box2d[j])
    a, b = _boxes(truth), _boxes(found)
    ground = _ground_intersection(a.footprint(), b.footprint(), i, j)
    lower = np.maximum(a.vertical()[i, 0], b.vertical()[j, 0])
    upper = np.minimum(a.vertical()[i, 1], b.vertical()[j, 1])
    solid = ground * np.maximum(upper - lower, 0)
    base_a, base_b = a.size[:, :2].prod(-1), b.size[:, :2].prod(-1)
    volume_a, volume_b = a.size.prod(-1), b.size.prod(-1)
    return {
        "2d": _over_union(image, _image_area(truth.box2d)[i], _image_area(found.box2d)[j]),
        "bev": _over_union(ground, base_a[i], base_b[j]),
        "3d": _over_union(solid, volume_a[i], volume_b[j]),
    }


def _over_union(intersection: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return intersection / np.maximum(first + second - intersection, 1e-12)


def _boxes(labels: Labels) -> Boxes3D:
    """The rows as boxes in camera 0's frame; a row without a 3D box becomes a point."""
    size = np.where(has_box(labels)[:, None], labels.dimensions[:, ::-1], 0.0)
    center = labels.location.copy()
    center[:, 1] -= size[:, 2] / 2
    zero = np.zeros(len(labels))
    return Boxes3D(center, size, labels.rotation_y, zero, zero, labels.box2d, ("any",))


def _image_area(box: np.ndarray) -> np.ndarray:
    return (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])


def _image_intersection(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Boxes (P, 4) x1 y1 x2 y2 each -> (P,) area in both, px²."""
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, 2:], second[:, 2:])
    return np.clip(high - low, 0, None).prod(-1)


def _coverage(regions: Labels, found: Labels, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    covered = np.zeros(len(found))
    inside = _image_intersection(regions.box2d[i], found.box2d[j])
    np.maximum.at(covered, j, inside / np.maximum(_image_area(found.box2d)[j], 1e-12))
    return covered


@njit(cache=True)
def _ground_intersection(first: np.ndarray, second: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Footprints (G, 4, 2) and (D, 4, 2), m -> (P,) area common to first[i[p]] and second[j[p]], m²."""
    area = np.zeros(len(i))
    for p in range(len(i)):
        a, b = first[i[p]], second[j[p]]
        reach = np.sqrt(((a[0] - a[2]) ** 2).sum()) + np.sqrt(((b[0] - b[2]) ** 2).sum())
        if ((a[0] + a[2] - b[0] - b[2]) ** 2).sum() < reach**2:
            area[p] = intersection_area(a, b)
    return area


@njit(cache=True)
def _hit_scores(
    row: np.ndarray,
    column: np.ndarray,
    overlaps: np.ndarray,
    truth_state: np.ndarray,
    detection_state: np.ndarray,
    score: np.ndarray,
    min_overlap: float,
) -> np.ndarray:
    """First matching: every object takes the free detection with the highest score; scores of the valid hits."""
    hits = np.empty(len(truth_state))
    count = 0
    taken = np.zeros(len(score), np.bool_)
    for i in range(len(truth_state)):
        if truth_state[i] == INVISIBLE:
            continue
        best = -1
        for p in range(row[i], row[i + 1]):
            j = column[p]
            if taken[j] or detection_state[j] == INVISIBLE or overlaps[p] <= min_overlap:
                continue
            if best < 0 or score[j] > score[best]:
                best = j
        if best < 0:
            continue
        taken[best] = True
        if truth_state[i] == VALID and detection_state[best] == VALID:
            hits[count] = score[best]
            count += 1
    return hits[:count]


@njit(cache=True)
def _count(
    row: np.ndarray,
    column: np.ndarray,
    overlaps: np.ndarray,
    truth_state: np.ndarray,
    detection_state: np.ndarray,
    counted: np.ndarray,
    score: np.ndarray,
    truth_alpha: np.ndarray,
    detection_alpha: np.ndarray,
    min_overlap: float,
    thresholds: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second matching, at each of T score thresholds: every object takes the free detection that overlaps most.

    An ignored detection is taken only where there is no valid one. counted: (D,) bool, detections that are false
    positives unless taken. Returns true positives, false positives and the orientation similarity of the true
    ones, the sum of (1 + cos(difference of alpha)) / 2, (T,) each.
    """
    true, false, similarity = np.zeros(len(thresholds)), np.zeros(len(thresholds)), np.zeros(len(thresholds))
    taken_at = np.full(len(score), -1)
    for t in range(len(thresholds)):
        for i in range(len(truth_state)):
            if truth_state[i] == INVISIBLE:
                continue
            best, best_overlap = -1, 0.0
            for p in range(row[i], row[i + 1]):
                j = column[p]
                state = detection_state[j]
                if state == INVISIBLE or overlaps[p] <= min_overlap:
                    continue
                if taken_at[j] == t or score[j] < thresholds[t]:
                    continue
                if state == VALID and overlaps[p] > best_overlap:
                    best, best_overlap = j, overlaps[p]
                elif state == IGNORED and best < 0:
                    best = j
            if best < 0:
                continue
            taken_at[best] = t
            if truth_state[i] == VALID and detection_state[best] == VALID:
                true[t] += 1
                similarity[t] += (1 + np.cos(truth_alpha[i] - detection_alpha[best])) / 2
        for j in range(len(score)):
            if counted[j] and taken_at[j] != t and score[j] >= thresholds[t]:
                false[t] += 1
    return true, false, similarity
