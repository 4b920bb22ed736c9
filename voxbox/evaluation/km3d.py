"""`voxbox evaluate km3d`: run the detector over labelled frames and score what it finds."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from km3d_ros.contract import KEYPOINT_CHOICES, Contract
from km3d_ros.detector import KM3D
from voxbox.arguments import require_least
from voxbox.evaluation.detect import PLAIN, Detected, detect_frames, detect_with
from voxbox.evaluation.figures import write_picture
from voxbox.evaluation.report import note, publish, scores
from voxbox.evaluation.sources import Frame, Frames, bag_frames, kitti_frames
from voxbox.evaluation.table import variant_table
from voxbox_core.boxes import Boxes3D
from voxbox_core.errors import InputError
from voxbox_core.metrics.kitti import RULES, RuleSet, evaluate
from voxbox_core.ros.models import model_path


def run(args: argparse.Namespace, names: Sequence[str] | None, folder: Path | None) -> dict[str, object]:
    _check(args)
    frames = _frames(args, names)
    for guess in frames.notes:
        note(guess)
    detector = KM3D.open(model_path(args.model), args.backend, args.threads, args.score, args.precision)
    show = None if folder is None else _pictures(folder / "examples", frames.count, args.examples, detector.contract)
    found = detect_frames(detect_with(detector, args.keypoints), frames, folder, show)
    if not found.truth:
        raise InputError("frames with truth", 0, "at least 1", "Raise --limit, or evaluate a labelled recording.")
    rules = RULES[args.rules]
    report = publish(evaluate(found.truth, found.variants[PLAIN], rules), rules, folder)
    report |= {"model": args.model, "backend": detector.backend, "precision": detector.precision}
    if args.keypoints:
        report["keypoints"] = _ablation(found, rules)
    return report


def _check(args: argparse.Namespace) -> None:
    for count in args.keypoints:
        if count not in KEYPOINT_CHOICES:
            raise InputError("--keypoints", count, f"among {KEYPOINT_CHOICES}", "Choose some of these.")
    require_least(args, limit=1, examples=0, threads=0)
    if not 0 <= args.score < 1:
        raise InputError("--score", args.score, "0 or more and less than 1", "Correct it or leave it out.")
    if args.bag and args.names:
        raise InputError("--names", args.names, "absent with --bag", "Frames of a bag have no names; use --limit.")


def _frames(args: argparse.Namespace, names: Sequence[str] | None) -> Frames:
    if args.bag:
        return bag_frames(args.bag, args.limit, args.image_topic, args.camera_info_topic)
    return kitti_frames(args.data, names, args.limit)


def _pictures(folder: Path, count: int, pictures: int, contract: Contract) -> Callable[[int, Frame, Boxes3D], None]:
    """Draws `pictures` of `count` frames, evenly spread, with the boxes that a node would publish."""
    chosen = set(np.linspace(0, count - 1, min(pictures, count)).astype(int).tolist())

    def show(index: int, frame: Frame, boxes: Boxes3D) -> None:
        if index in chosen:
            shown = boxes[contract.confident(boxes.label, boxes.score)]
            write_picture(folder / f"{frame.sample.name}.jpg", frame, shown)

    return show


def _ablation(found: Detected, rules: RuleSet) -> dict[str, object]:
    ways = {name: rows for name, rows in found.variants.items() if name != PLAIN}
    results = {name: evaluate(found.truth, rows, rules) for name, rows in ways.items()}
    print(variant_table(results, rules, "keypoints"))
    return {name: scores(result) for name, result in results.items()}
