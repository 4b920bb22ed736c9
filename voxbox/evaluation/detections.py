"""`voxbox evaluate detections`: score files that anyone's detector wrote."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from voxbox.evaluation.report import note, publish
from voxbox.evaluation.result_files import read_results
from voxbox_core.metrics.kitti import RULES, evaluate


def run(args: argparse.Namespace, names: Sequence[str] | None, folder: Path | None) -> dict[str, object]:
    files = read_results(args.truth, args.detections, names)
    if files.missing:
        note(f"{files.missing} frames have no result file: they count as frames without detections")
    if files.unknown:
        note(f"{files.unknown} result files have no label file: they are left out")
    rules = RULES[args.rules]
    report = publish(evaluate(files.truth, files.detections, rules), rules, folder)
    return report | {"frames_without_result": files.missing, "results_without_truth": files.unknown}
