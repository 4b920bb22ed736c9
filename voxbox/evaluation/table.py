"""Scores as text for the terminal."""

from collections.abc import Mapping

from voxbox_core.metrics.kitti import Evaluation, RuleSet

METRICS = {"2d": "2D", "aos": "AOS", "bev": "BEV", "3d": "3D"}


def score_table(result: Evaluation, rules: RuleSet) -> str:
    """Average precision in percent: a block per class that has objects, a line per metric and overlap."""
    blocks = [_class_block(result, rules, name) for name in rules.overlaps]
    return "\n\n".join([f"{rules.name}, {result.frames} frames, average precision in percent", *blocks]) + "\n"


def _class_block(result: Evaluation, rules: RuleSet, name: str) -> str:
    levels = [d.name for d in rules.difficulties]
    objects = [result.objects[f"{name}/{level}"] for level in levels]
    if not any(objects):
        return f"{name:12} no objects"
    lines = [f"{name:12} IoU  " + "".join(f"{level:>10}" for level in levels)]
    for metric, title in METRICS.items():
        for overlap in rules.overlaps[name]:
            scores = [result.average_precision.get(f"{name}/{metric}/{overlap:g}/{level}") for level in levels]
            if any(score is not None for score in scores):
                lines.append(f"  {title:8} > {overlap:<5g}" + "".join(_cell(score) for score in scores))
    lines += _best_cut(result, f"{name}/2d/{rules.overlaps[name][-1]:g}")
    lines.append(f"  {'objects':16}" + "".join(f"{count:10d}" for count in objects))
    ceilings = [rules.ceiling(count) for count in objects]
    if min(ceilings) < 100:
        lines.append(f"  {'at most':16}" + "".join(_cell(ceiling) for ceiling in ceilings))
    return "\n".join(lines)


def _best_cut(result: Evaluation, key: str) -> list[str]:
    """The score threshold to export with: best F1 of 2D boxes at moderate difficulty."""
    point = result.operating_points.get(f"{key}/moderate")
    if point is None:
        return []
    found = f"recall {point.recall:.2f}, precision {point.precision:.2f} of 2D boxes"
    return [f"  best F1 at score {point.score:.3g}: {found} (moderate)"]


def variant_table(results: Mapping[str, Evaluation], rules: RuleSet, title: str) -> str:
    """A line per variant: 3D average precision at moderate difficulty, by class and overlap."""
    keys = [
        f"{name}/3d/{overlap:g}/moderate"
        for name, overlaps in rules.overlaps.items()
        for overlap in overlaps
        if any(result.objects[f"{name}/moderate"] for result in results.values())
    ]
    width = max(len(name) for name in (title, *results)) + 2
    lines = [f"{title:{width}}" + "".join(f"{key.replace('/moderate', ''):>20}" for key in keys)]
    for variant, result in results.items():
        lines.append(f"{variant:{width}}" + "".join(f"{_cell(result.average_precision[key]):>20}" for key in keys))
    return "\n".join(lines)


def _cell(score: float | None) -> str:
    return f"{'-':>10}" if score is None else f"{score:10.2f}"
