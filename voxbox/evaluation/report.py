"""What is made of scores: a table on the terminal, curves as a picture, keys and numbers for files."""

import sys
from dataclasses import asdict
from pathlib import Path

from voxbox.evaluation.figures import precision_recall
from voxbox.evaluation.table import score_table
from voxbox_core.metrics.kitti import Evaluation, RuleSet


def publish(result: Evaluation, rules: RuleSet, folder: Path | None) -> dict[str, object]:
    """Print the table, draw the curves into the folder if there is one, and return the scores as JSON has them."""
    print(score_table(result, rules))
    if folder is not None:
        precision_recall(folder / "precision_recall.png", result, rules)
    return scores(result)


def scores(result: Evaluation) -> dict[str, object]:
    """Average precisions in percent by class/metric/overlap/difficulty, null where nothing is, and best cuts."""
    rounded = {k: None if v is None else round(v, 4) for k, v in result.average_precision.items()}
    points = {key: asdict(point) for key, point in result.operating_points.items()}
    cuts = {key: {name: float(f"{value:.4g}") for name, value in point.items()} for key, point in points.items()}
    facts = {"rules": result.rules, "frames": result.frames, "objects": result.objects}
    return {**facts, "operating_points": cuts, **rounded}


def note(text: str) -> None:
    """Tell the user, beside the result."""
    print(text, file=sys.stderr)
