"""The nuScenes metrics as text for the terminal and as keys and numbers for files."""

import math
from collections.abc import Mapping, Sequence

from voxbox_core.metrics.nuscenes import RINGS, STATIC_ERRORS, Evaluation, Frame, RuleSet, evaluate

_UNITS = {"ATE": "m", "ASE": "1-IoU", "AOE": "rad"}


def publish(frames: Sequence[Frame], rules: RuleSet) -> dict[str, object]:
    """Score the frames, print two tables, and return the scores as JSON has them."""
    result = evaluate(frames, rules)
    rings = {f"{low:g}-{high:g}": evaluate(frames, rules, (low, high)) for low, high in RINGS}
    print(f"{class_table(result)}\n\n{ring_table(rings)}\n")
    return {**scores(result), "rings": {name: _summary(ring) for name, ring in rings.items()}}


def scores(result: Evaluation) -> dict[str, object]:
    """mAP, SPNDS and mean errors; class/AP, class/AP/threshold, class/error and class/best_score; null where nothing
    is."""
    facts: dict[str, object] = {"rules": result.rules, "frames": result.frames, "objects": result.objects}
    facts |= _summary(result)
    for name, average in result.class_ap.items():
        facts[f"{name}/AP"] = _number(average)
        facts |= {f"{name}/AP/{at:g}": _number(v) for at, v in result.average_precision[name].items()}
        facts |= {f"{name}/{error}": _number(result.errors[name][error]) for error in STATIC_ERRORS}
        facts[f"{name}/best_score"] = _number(result.best_score[name])
    return facts


def _summary(result: Evaluation) -> dict[str, float | None]:
    errors = {f"m{error}": _number(result.mean_errors[error]) for error in STATIC_ERRORS}
    return {"mAP": _number(result.mean_ap), "SPNDS": _number(result.spnds), **errors}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def class_table(result: Evaluation) -> str:
    """A line per class that has objects, with the score of the best F1, to export with; and one for all."""
    thresholds = next(iter(result.average_precision.values()))
    heads = ["AP", *(f"{threshold:g} m" for threshold in thresholds), *STATIC_ERRORS, "objects", "F1 at"]
    lines = [
        f"{result.rules}, {result.frames} frames, average precision by centre distance in percent",
        f"{'':12}" + "".join(f"{head:>9}" for head in heads),
    ]
    for name, count in result.objects.items():
        if not count:
            lines.append(f"{name:12} no objects")
            continue
        precisions = [result.class_ap[name], *result.average_precision[name].values()]
        errors = [result.errors[name][error] for error in STATIC_ERRORS]
        best = _errors([result.best_score[name]])
        lines.append(f"{name:12}" + _percents(precisions) + _errors(errors) + f"{count:9d}{best}")
    means = [result.mean_errors[error] for error in STATIC_ERRORS]
    by_threshold = [
        _mean([values[threshold] for values in result.average_precision.values()]) for threshold in thresholds
    ]
    total = sum(result.objects.values())
    lines.append(f"{'all':12}" + _percents([result.mean_ap, *by_threshold]) + _errors(means) + f"{total:9d}")
    lines.append(f"mAP {_percents([result.mean_ap]).strip()}, SPNDS {_percents([result.spnds]).strip()}")
    return "\n".join(lines)


def ring_table(rings: Mapping[str, Evaluation]) -> str:
    """A line per ring of distance."""
    heads = ["mAP", "SPNDS", *(f"m{error}" for error in STATIC_ERRORS), "objects"]
    lines = [f"{'m away':12}" + "".join(f"{head:>9}" for head in heads)]
    for name, result in rings.items():
        errors = [result.mean_errors[error] for error in STATIC_ERRORS]
        count = sum(result.objects.values())
        lines.append(f"{name:12}" + _percents([result.mean_ap, result.spnds]) + _errors(errors) + f"{count:9d}")
    return "\n".join(lines)


def _percents(values: Sequence[float]) -> str:
    return "".join(f"{'-':>9}" if math.isnan(v) else f"{100 * v:9.2f}" for v in values)


def _errors(values: Sequence[float]) -> str:
    return "".join(f"{'-':>9}" if math.isnan(v) else f"{v:9.3f}" for v in values)


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan
