"""The nuScenes detection metrics: average precision by centre distance, true positive errors, NDS and SPNDS.

Follows nuscenes-devkit's eval/detection (Caesar et al., CVPR 2020, section 3.1), whose numbers it reproduces. Boxes are
matched on the ground: in falling order of score, each takes the nearest free object of its class in its frame, and has
hit it if the two centres are nearer than a threshold. SPNDS is NDS without velocity and attribute, the measure of
Point-DETR3D (Gao et al., AAAI 2024).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numba import njit

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.datasets.rig import points_in_boxes
from voxbox_core.errors import InputError

RECALLS = np.linspace(0, 1, 101)
ERRORS = ("ATE", "ASE", "AOE", "AVE", "AAE")
"""Mean errors of the hits in translation (m), scale (1 - IoU), orientation (rad), velocity (m/s), attribute (share)."""
STATIC_ERRORS = ERRORS[:3]
RINGS = ((0.0, 10.0), (10.0, 20.0), (20.0, 30.0), (30.0, 40.0), (40.0, 52.0))
"""m from the sensor."""
_MEAN_AP_WEIGHT = 5

Ring = tuple[float, float]


@dataclass(frozen=True)
class RuleSet:
    """A frozen way of scoring, so that a number stays comparable for years.

    ranges: the classes, and how far from the sensor each is judged, m.
    symmetric: classes whose front and back look alike: AOE has period pi.
    without: by class, the errors that mean nothing for it.
    racked: classes that are left out where they stand in a rack.
    absent_count: a class without an object scores 0 and has errors of 1, as nuScenes has it; else it is left out of
    the means.
    thresholds: m, the distances whose average precisions are averaged.  error_threshold: m, the one that makes a hit
    for the errors.  least_recall, least_precision: what lies below does not count.
    most_boxes: of one frame.
    """

    name: str
    ranges: Mapping[str, float]
    symmetric: tuple[str, ...] = ()
    without: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    racked: tuple[str, ...] = ()
    absent_count: bool = True
    thresholds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    error_threshold: float = 2.0
    least_recall: float = 0.1
    least_precision: float = 0.1
    most_boxes: int = 500

    @property
    def first(self) -> int:
        """The first of the 101 recalls that counts."""
        return round(100 * self.least_recall) + 1


_NUSCENES_RANGES = {
    "car": 50.0,
    "truck": 50.0,
    "bus": 50.0,
    "trailer": 50.0,
    "construction_vehicle": 50.0,
    "pedestrian": 40.0,
    "motorcycle": 40.0,
    "bicycle": 40.0,
    "traffic_cone": 30.0,
    "barrier": 30.0,
}
_STREET_RANGES = {"Car": 50.0, "Van": 50.0, "Truck": 50.0, "Bus": 50.0, "Cyclist": 40.0, "Pedestrian": 40.0}

RULES = MappingProxyType(
    {
        "nuscenes_cvpr2019": RuleSet(
            "nuscenes_cvpr2019",
            MappingProxyType(_NUSCENES_RANGES),
            symmetric=("barrier",),
            without=MappingProxyType({"traffic_cone": ("AOE", "AVE", "AAE"), "barrier": ("AVE", "AAE")}),
            racked=("bicycle", "motorcycle"),
        ),
        "street": RuleSet("street", MappingProxyType(_STREET_RANGES), absent_count=False),
    }
)


@dataclass(frozen=True)
class Motion:
    """What a box does.  velocity: (N, 2) m/s over the ground, NaN unknown.  attribute: (N,) str, "" unknown."""

    velocity: np.ndarray
    attribute: np.ndarray


@dataclass(frozen=True)
class Frame:
    """The objects of one moment and what was found of them, in one frame with z up.

    truth, found: boxes (Axes.BODY); their class lists may differ, names count. Other classes than the rule set's are
    left out.  hits: (N,) returns of LiDAR and radar on each object; what nothing has hit is left out.
    origin: (2,) m, where distance is measured from.
    truth_motion, found_motion: without them there is no AVE, AAE and NDS.
    racks: regions where racked classes are left out.
    Raises InputError for boxes of other axes, hits of other boxes, and scores that are no numbers.
    """

    truth: Boxes3D
    found: Boxes3D
    hits: np.ndarray
    origin: np.ndarray = field(default_factory=lambda: np.zeros(2))
    truth_motion: Motion | None = None
    found_motion: Motion | None = None
    racks: Boxes3D | None = None

    def __post_init__(self) -> None:
        for what, boxes in (("truth", self.truth), ("found boxes", self.found)):
            if boxes.axes is not Axes.BODY:
                raise InputError(f"axes of the {what}", boxes.axes.name, "BODY", "Transform them.")
        if np.shape(self.hits) != (len(self.truth),):
            raise InputError("shape of hits", np.shape(self.hits), f"({len(self.truth)},)", "Count them per box.")
        if not np.isfinite(self.found.score).all():
            raise InputError("score of a found box", "not finite", "a number", "Score every box.")


@dataclass(frozen=True)
class Evaluation:
    """Scores in 0..1 and errors under one rule set.

    objects: by class, how many count.
    average_precision: by class, by threshold (m).  curves: likewise, (101,) precision at recalls 0, 0.01 .. 1.
    errors: by class, by name of ERRORS. NaN where a class has no such error, or nothing to tell it from.
    best_score: by class, the least score to publish for the best F1 of the hits that make the errors; NaN without any.
    """

    rules: str
    frames: int
    objects: dict[str, int]
    average_precision: dict[str, dict[float, float]]
    curves: dict[str, dict[float, np.ndarray]]
    errors: dict[str, dict[str, float]]
    best_score: dict[str, float]

    @property
    def class_ap(self) -> dict[str, float]:
        """By class, the mean over the thresholds."""
        return {name: _mean(values.values()) for name, values in self.average_precision.items()}

    @property
    def mean_ap(self) -> float:
        """mAP: the mean over classes and thresholds."""
        return _mean(self.class_ap.values())

    @property
    def mean_errors(self) -> dict[str, float]:
        """By name of ERRORS, the mean over the classes that have it: mATE, mASE and so on."""
        return {error: _mean(values[error] for values in self.errors.values()) for error in ERRORS}

    @property
    def nds(self) -> float:
        """nuScenes detection score; NaN where velocity or attributes are not given."""
        return self._score(ERRORS)

    @property
    def spnds(self) -> float:
        """NDS of what a single moment tells: translation, scale and orientation."""
        return self._score(STATIC_ERRORS)

    def _score(self, errors: Sequence[str]) -> float:
        merits = [1 - np.minimum(self.mean_errors[error], 1.0) for error in errors]
        return float((_MEAN_AP_WEIGHT * self.mean_ap + sum(merits)) / (_MEAN_AP_WEIGHT + len(merits)))


def evaluate(frames: Sequence[Frame], rules: RuleSet, ring: Ring | None = None) -> Evaluation:
    """Score what was found in the frames.

    ring: judge only what is at least so far and less far from the sensor, m, in place of the classes' ranges.
    Raises InputError where there is no frame, or one holds more boxes than the rules allow.
    """
    if not frames:
        raise InputError("frames to evaluate", 0, "at least 1", "Give frames with truth.")
    for number, frame in enumerate(frames):
        if len(frame.found) > rules.most_boxes:
            expected = f"at most {rules.most_boxes}"
            raise InputError(f"boxes found in frame {number}", len(frame.found), expected, "Keep the best.")
    result = Evaluation(rules.name, len(frames), {}, {}, {}, {}, {})
    for name in rules.ranges:
        _evaluate_class(frames, rules, name, ring, result)
    return result


def _evaluate_class(frames: Sequence[Frame], rules: RuleSet, name: str, ring: Ring | None, result: Evaluation) -> None:
    """Add the scores of one class to the result."""
    truth, found = _gather(frames, rules, name, ring, False), _gather(frames, rules, name, ring, True)
    count = len(truth.yaw)
    result.objects[name] = count
    result.average_precision[name], result.curves[name] = {}, {}
    for threshold in rules.thresholds:
        precision = _precision(count, _match(found, truth, threshold) >= 0)
        above = np.maximum(precision[rules.first :] - rules.least_precision, 0)
        average = float(above.mean()) / (1 - rules.least_precision)
        result.curves[name][threshold] = precision
        result.average_precision[name][threshold] = average if count or rules.absent_count else math.nan
    result.best_score[name] = _best_score(count, found.score, _match(found, truth, rules.error_threshold) >= 0)
    missing = rules.without.get(name, ())
    if truth.velocity is None or found.velocity is None:
        missing = (*missing, "AVE", "AAE")
    if not (count or rules.absent_count):
        missing = ERRORS
    errors = _mean_errors(truth, found, rules, math.pi if name in rules.symmetric else 2 * math.pi)
    result.errors[name] = {error: math.nan if error in missing else errors[error] for error in ERRORS}


@dataclass(frozen=True)
class _Class:
    """All boxes of one class, frame by frame; found ones in falling order of score instead.

    frame: (N,).  xy: (N, 2) m.  size: (N, 3) m.  yaw, score: (N,).  velocity: (N, 2), attribute: (N,) str, or None.
    """

    frame: np.ndarray
    xy: np.ndarray
    size: np.ndarray
    yaw: np.ndarray
    score: np.ndarray
    velocity: np.ndarray | None
    attribute: np.ndarray | None


def _gather(frames: Sequence[Frame], rules: RuleSet, name: str, ring: Ring | None, found: bool) -> _Class:
    """The truth of a class that counts, or what was found of it."""
    sides = [(f.found, f.found_motion) if found else (f.truth, f.truth_motion) for f in frames]
    kept = [_counts(frame, boxes, rules, name, ring) for frame, (boxes, _) in zip(frames, sides)]
    if not found:
        kept = [rows[frame.hits[rows] > 0] for frame, rows in zip(frames, kept)]
    boxes = [side[rows] for (side, _), rows in zip(sides, kept)]
    score = np.concatenate([b.score for b in boxes])
    # Of equal scores the later box comes first, as in the devkit.
    order = np.argsort(score, kind="stable")[::-1] if found else np.arange(len(score))
    velocity = attribute = None
    if all(motion is not None for _, motion in sides):
        motions = [(motion, rows) for (_, motion), rows in zip(sides, kept) if motion is not None]
        velocity = np.concatenate([motion.velocity[rows] for motion, rows in motions])[order]
        attribute = np.concatenate([np.asarray(motion.attribute, np.str_)[rows] for motion, rows in motions])[order]
    return _Class(
        frame=np.repeat(np.arange(len(frames)), [len(b) for b in boxes])[order],
        xy=np.concatenate([b.center[:, :2] for b in boxes])[order],
        size=np.concatenate([b.size for b in boxes])[order],
        yaw=np.concatenate([b.yaw for b in boxes])[order],
        score=score[order],
        velocity=velocity,
        attribute=attribute,
    )


def _counts(frame: Frame, boxes: Boxes3D, rules: RuleSet, name: str, ring: Ring | None) -> np.ndarray:
    """Indices of the boxes of a class that are in range and in no rack."""
    if name not in boxes.classes:
        return np.zeros(0, np.int64)
    low, high = ring or (0.0, rules.ranges[name])
    distance = np.linalg.norm(boxes.center[:, :2] - frame.origin, axis=-1)
    counts = (boxes.label == boxes.classes.index(name)) & (distance >= low) & (distance < high)
    if name in rules.racked and frame.racks is not None:
        counts &= ~points_in_boxes(boxes.center, frame.racks).any(0)
    return np.flatnonzero(counts)


def _match(found: _Class, truth: _Class, threshold: float) -> np.ndarray:
    """(D,): the object that each found box has hit, or -1."""
    frames = 1 + max(found.frame.max(initial=-1), truth.frame.max(initial=-1))
    start = np.searchsorted(truth.frame, np.arange(frames + 1))
    return _match_nearest(found.frame, found.xy, start, truth.xy, threshold)


@njit(cache=True)
def _match_nearest(
    frame: np.ndarray, found: np.ndarray, start: np.ndarray, truth: np.ndarray, threshold: float
) -> np.ndarray:
    """Frames (D,) and places (D, 2) of boxes, best first, and places (G, 2) of objects, those of frame f from start[f]
    to start[f + 1] -> (D,) the nearest free object if it is nearer than the threshold, else -1."""
    match = np.full(len(frame), -1)
    taken = np.zeros(len(truth), np.bool_)
    for i in range(len(frame)):
        nearest, best = np.inf, -1
        for j in range(start[frame[i]], start[frame[i] + 1]):
            distance = np.sqrt((found[i, 0] - truth[j, 0]) ** 2 + (found[i, 1] - truth[j, 1]) ** 2)
            if distance < nearest and not taken[j]:
                nearest, best = distance, j
        if nearest < threshold:
            match[i] = best
            taken[best] = True
    return match


def _precision(count: int, hit: np.ndarray) -> np.ndarray:
    """(101,) precision at RECALLS, of `count` objects and hits (D,) bool in falling order of score."""
    if not hit.any():
        return np.zeros(len(RECALLS))
    hits = np.cumsum(hit)
    return np.interp(RECALLS, hits / count, hits / np.arange(1, len(hit) + 1), right=0)


def _best_score(count: int, score: np.ndarray, hit: np.ndarray) -> float:
    """Of `count` objects and hits (D,) bool in falling order of score (D,): the score down to which F1, the harmonic
    mean of recall and precision, is highest; NaN without a hit."""
    if not hit.any():
        return math.nan
    f1 = 2 * np.cumsum(hit) / (count + np.arange(1, len(hit) + 1))
    cuts = np.append(score[1:] < score[:-1], True)  # there is none between equal scores
    return float(score[np.argmax(np.where(cuts, f1, 0))])


def _mean_errors(truth: _Class, found: _Class, rules: RuleSet, period: float) -> dict[str, float]:
    """By name of ERRORS, the mean over the recalls that count of the mean error of the hits up to each; 1 where that
    recall is not reached."""
    match = _match(found, truth, rules.error_threshold)
    hit = match >= 0
    if not hit.any():
        return dict.fromkeys(ERRORS, 1.0)
    recall = np.cumsum(hit) / len(truth.yaw)
    score = np.interp(RECALLS, recall, found.score, right=0)
    last = int(np.flatnonzero(score)[-1]) if score.any() else 0
    if last < rules.first:
        return dict.fromkeys(ERRORS, 1.0)
    means = {}
    for error, values in _hit_errors(truth, found, hit, match[hit], period).items():
        running = np.interp(score[::-1], found.score[hit][::-1], _running_mean(values)[::-1])[::-1]
        means[error] = float(running[rules.first : last + 1].mean())
    return dict.fromkeys(ERRORS, math.nan) | means


def _hit_errors(
    truth: _Class, found: _Class, hit: np.ndarray, match: np.ndarray, period: float
) -> dict[str, np.ndarray]:
    """The errors (H,) of each hit, best score first; NaN where it has none."""
    common = np.minimum(truth.size[match], found.size[hit]).prod(-1)
    union = truth.size[match].prod(-1) + found.size[hit].prod(-1) - common
    errors = {
        "ATE": np.linalg.norm(found.xy[hit] - truth.xy[match], axis=-1),
        "ASE": 1 - common / union,
        "AOE": np.abs((truth.yaw[match] - found.yaw[hit] + period / 2) % period - period / 2),
    }
    if truth.velocity is None or truth.attribute is None or found.velocity is None or found.attribute is None:
        return errors
    errors["AVE"] = np.linalg.norm(found.velocity[hit] - truth.velocity[match], axis=-1)
    wrong = found.attribute[hit] != truth.attribute[match]
    errors["AAE"] = np.where(truth.attribute[match] == "", math.nan, wrong)
    return errors


def _running_mean(values: np.ndarray) -> np.ndarray:
    """(H,): the mean of the values up to each, NaN left out; 0 where none precedes, 1 where there is none at all."""
    known = ~np.isnan(values)
    if not known.any():
        return np.ones(len(values))
    return np.nancumsum(values) / np.maximum(np.cumsum(known), 1)


def _mean(values: Iterable[float]) -> float:
    """The mean of those that are numbers, NaN where none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
