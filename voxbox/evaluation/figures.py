"""Scores and detections for eyes: precision over recall, and frames with what was found and what was there."""

from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from voxbox.evaluation.sources import Frame
from voxbox.evaluation.table import METRICS
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.kitti import to_boxes
from voxbox_core.draw import TRUTH_COLOUR, BirdsEye, draw_boxes
from voxbox_core.metrics.kitti import SAMPLES, Evaluation, RuleSet

COLOURS = ("#2a9d8f", "#e9a03b", "#c8553d")


def precision_recall(path: Path, result: Evaluation, rules: RuleSet) -> None:
    """A picture file: a row per class with objects, a column per metric; strict overlap solid, loose dashed."""
    classes = [n for n in rules.overlaps if any(result.objects[f"{n}/{d.name}"] for d in rules.difficulties)]
    figure = Figure(figsize=(4 * len(METRICS), 3.2 * max(len(classes), 1)), layout="constrained")
    grid = figure.subplots(max(len(classes), 1), len(METRICS), squeeze=False, sharex=True, sharey=True)
    recall = np.linspace(0, 1, SAMPLES)
    for row, name in zip(grid, classes):
        for axes, (metric, title) in zip(row, METRICS.items()):
            for overlap, line in zip(rules.overlaps[name], ("-", "--")):
                for difficulty, colour in zip(rules.difficulties, COLOURS):
                    key = f"{name}/{metric}/{overlap:g}/{difficulty.name}"
                    score = result.average_precision.get(key)
                    if score is None:
                        continue
                    label = f"{difficulty.name} > {overlap:g}: {score:.1f}"
                    axes.plot(recall, result.curves[key], line, color=colour, lw=1.6, label=label)
            axes.set_title(f"{name}, {title}", fontsize=10)
            axes.grid(alpha=0.25)
            if axes.lines:
                axes.legend(fontsize=7, loc="best", framealpha=0.7)
        row[0].set_ylabel("precision (AOS: similarity)", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("recall", fontsize=9)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
    figure.suptitle(f"{rules.name}: {result.frames} frames", fontsize=11)
    figure.savefig(path, dpi=110)


def write_picture(path: Path, frame: Frame, found: Boxes3D) -> None:
    """A picture file of one frame: what was found above, what was there below, both from above at the right."""
    sample = frame.sample
    truth = to_boxes(frame.truth, frame.calibration)
    captions = [f"{n} {s:.2f} {z:.0f} m" for n, s, z in zip(found.names(), found.score, found.center[:, 2])]
    seen = [
        draw_boxes(sample.image, found, sample.camera, captions),
        draw_boxes(sample.image, truth, sample.camera, colour=TRUTH_COLOUR),
    ]
    cameras = np.concatenate(seen)
    above = BirdsEye(scale=cameras.shape[0] / 63.0).draw(found, truth)
    above = cv2.resize(above, (above.shape[1], cameras.shape[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate([cameras, above], axis=1)[..., ::-1])
