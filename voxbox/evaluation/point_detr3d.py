"""`voxbox evaluate point-detr3d`: run the LiDAR detector over labelled frames and score what it finds."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from point_detr3d_ros.assist import Assist
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.detector import PointDETR3D
from point_detr3d_ros.fused import Fused
from voxbox.arguments import require_least
from voxbox.evaluation import distance_report, report
from voxbox.evaluation.rig_sources import LabelledFrame, LabelledFrames, labelled_frames
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.kitti import Labels, write_labels
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_formats import SEVERAL_SWEEPS
from voxbox_core.draw_bev import draw_bev
from voxbox_core.errors import InputError
from voxbox_core.metrics import kitti, nuscenes
from voxbox_core.ros.models import model_path

DISTANCE_RULES = nuscenes.RULES["street"]

Detect = Callable[[RigSample], Boxes3D]


@dataclass(frozen=True)
class Detected:
    """By frame: what the nuScenes metrics judge; and, of KITTI's frames, the rows that its metric judges."""

    frames: list[nuscenes.Frame] = field(default_factory=list)
    truth: list[Labels] = field(default_factory=list)
    rows: list[Labels] = field(default_factory=list)


def run(args: argparse.Namespace, names: Sequence[str] | None, folder: Path | None) -> dict[str, object]:
    _check(args)
    frames = labelled_frames(args.data, args.format, names, args.limit, args.sweeps, views=args.fused is not None)
    for left_out in frames.notes:
        report.note(left_out)
    detector = PointDETR3D.open(model_path(args.model), args.backend, args.threads, args.score, args.precision)
    show = None if folder is None else _pictures(folder / "examples", frames.count, args.examples, detector.contract)
    found = detect_frames(_detect(detector, args), frames, folder, show)
    if not found.frames:
        raise InputError("frames with truth", 0, "at least 1", "Give labelled frames.")
    result = distance_report.publish(found.frames, DISTANCE_RULES)
    if found.truth:
        rules = kitti.RULES[args.rules]
        result["kitti"] = report.publish(kitti.evaluate(found.truth, found.rows, rules), rules, folder)
    result |= {} if args.fused is None else {"fused": args.fused}
    return result | {"model": args.model, "backend": detector.backend, "precision": detector.precision}


def _detect(detector: PointDETR3D, args: argparse.Namespace) -> Detect:
    """The detector alone, or with the assistant of --fused as its second stage."""
    if args.fused is None:
        return lambda sample: detector(sample.points, sample.height)
    fused = Fused(detector, Assist.open(model_path(args.fused), args.backend, args.threads))
    return lambda sample: fused(sample.points, sample.height, sample.views)


def _check(args: argparse.Namespace) -> None:
    require_least(args, limit=1, examples=0, threads=0, sweeps=1)
    if not 0 <= args.score < 1:
        raise InputError("--score", args.score, "0 or more and less than 1", "Correct it or leave it out.")
    if args.sweeps > 1 and args.format not in SEVERAL_SWEEPS:
        raise InputError("--sweeps", args.sweeps, f"1 with --format {args.format}", "Leave it out.")


def detect_frames(
    detect: Detect,
    frames: LabelledFrames,
    folder: Path | None = None,
    show: Callable[[int, LabelledFrame, Boxes3D], None] | None = None,
) -> Detected:
    """Detect in every frame, with progress. Of KITTI's frames only what its camera sees is judged, as only that is
    labelled.

    folder: where to write truth/NAME.txt and detections/NAME.txt of KITTI's frames, nowhere when None.
    show: called with every frame's number, the frame, and its boxes.
    """
    result = Detected()
    with tqdm(frames.frames, "detecting", total=frames.count, unit="frame") as progress:
        for index, frame in enumerate(progress):
            boxes = detect(frame.sample)
            if frame.image is not None:
                boxes, rows = frame.image.seen(boxes)
                result.truth.append(frame.image.labels)
                result.rows.append(rows)
                if folder is not None:
                    write_labels(folder / "truth" / f"{frame.sample.name}.txt", frame.image.labels)
                    write_labels(folder / "detections" / f"{frame.sample.name}.txt", rows)
            result.frames.append(nuscenes.Frame(frame.truth, boxes, frame.sample.hits))
            if show is not None:
                show(index, frame, boxes)
    return result


def _pictures(
    folder: Path, count: int, pictures: int, contract: Contract
) -> Callable[[int, LabelledFrame, Boxes3D], None]:
    """Draws `pictures` of `count` frames, evenly spread, from above, with the boxes that a node would publish."""
    chosen = set(np.linspace(0, count - 1, min(pictures, count)).astype(int).tolist())

    def show(index: int, frame: LabelledFrame, boxes: Boxes3D) -> None:
        if index in chosen:
            shown = boxes[contract.confident(boxes.label, boxes.score)]
            picture = draw_bev(frame.sample.points, shown, frame.truth[frame.sample.hits > 0], contract.x[1])
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{frame.sample.name}.jpg"), picture[..., ::-1])

    return show
