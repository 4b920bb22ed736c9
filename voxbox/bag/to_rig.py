"""A bag, and what was clicked in it, as a folder of rig frames that training reads: `voxbox bag rig`."""

import argparse
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from point_detr3d_ros.label_file import LabelFile, read_label_file
from voxbox.bag.clicked import Clicked, Complete, same_labels
from voxbox.bag.rig import RigReader
from voxbox.street.folder import claim
from voxbox_core.datasets.bag import Bag
from voxbox_core.datasets.bag.rig import RigFrame, RigTopics, find_rig_topics, rig_frames
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_folder import RigFolder, RigWriter
from voxbox_core.errors import InputError

RECORD = "bag.json"
_DIGITS = 6  # of a frame's name, its number in the bag


def configure_rig(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", type=Path, help="folder with metadata.yaml, or file .mcap or .db3")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write, or to go on with")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="label file of the assist node")
    parser.add_argument(
        "--complete",
        nargs="*",
        metavar="FRAME",
        help="frames (000012 …) in which every object was clicked: they get boxes; without names, all with clicks",
    )
    parser.add_argument("--points", metavar="TOPIC", help="the LiDAR (default: the one with the most messages)")
    parser.add_argument("--height", type=float, metavar="M", help="of the LiDAR above the ground (default: measured)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of clouds without clicks, each Nth alone")
    parser.add_argument("--only-clicked", action="store_true", help="of clouds without clicks, none")
    parser.add_argument("--cameras", action=argparse.BooleanOptionalAction, default=True, help="the images too")
    parser.add_argument("--truth", action=argparse.BooleanOptionalAction, default=True, help="the bag's truth topic")


@dataclass
class Summary:
    """Of the frames gone through.  boxes, prompts: by class.  stamps: s, of all clouds of the bag."""

    frames: int = 0
    written: int = 0
    with_boxes: int = 0
    with_prompts_alone: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    prompts: Counter[str] = field(default_factory=Counter)
    clicked: list[str] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)

    def add(self, sample: RigSample, written: bool) -> None:
        self.frames += 1
        self.written += written
        self.with_boxes += sample.boxes is not None
        self.with_prompts_alone += sample.boxes is None and sample.prompts is not None
        if sample.boxes is not None:
            self.boxes.update(sample.boxes.names())
        if sample.prompts is not None:
            self.prompts.update(sample.prompts.classes[i] for i in sample.prompts.label)
            self.clicked.append(sample.name)


def run_rig(args: argparse.Namespace) -> dict[str, Any]:
    """Write the frames that are not there yet or are labelled otherwise; -> what the folder holds.

    Raises InputError, for a label file that belongs to another bag too.
    """
    _check(args)
    labels = LabelFile((), ()) if args.labels is None else read_label_file(args.labels)
    clicked = Clicked(labels.boxes)
    complete = Complete(every=args.complete == [], names=frozenset(args.complete or ()))
    with Bag(args.bag) as bag:
        topics = find_rig_topics(bag, args.points)
        for note in topics.notes:
            print(f"note: {note}")
        topics = replace(
            topics, cameras=topics.cameras if args.cameras else (), truth=topics.truth if args.truth else None
        )
        count = next(t.count for t in bag.topics if t.name == topics.points)
        _check_names(complete, count)
        claim(args.out, _identity(args, topics), RECORD)
        reader = RigReader(bag, topics, args.height)
        with tqdm(rig_frames(bag, topics), args.out.name, count, unit="cloud") as frames:
            found = _convert(frames, reader, clicked, complete, args)
    _publish(args, topics, labels, clicked, found)
    return {
        "out": str(args.out),
        "frames": found.frames,
        "written": found.written,
        "frames_with_boxes": found.with_boxes,
        "frames_with_prompts_alone": found.with_prompts_alone,
        "frames_clicked": found.clicked,
        "boxes": dict(found.boxes),
        "prompts": dict(found.prompts),
        "labels": len(clicked.boxes),
        "labels_without_frame": int((~clicked.met).sum()),
        "lines_cut_off": list(labels.cut_off),
    }


def _check(args: argparse.Namespace) -> None:
    if args.every < 1:
        raise InputError("--every", args.every, "1 or more", "Correct it or leave it out.")
    if args.height is not None and not 0 < args.height < 100:
        raise InputError("--height", args.height, "m above the ground", "Correct it or leave it out.")
    if args.labels is None and (args.complete is not None or args.only_clicked):
        option = "--only-clicked" if args.complete is None else "--complete"
        raise InputError(option, "given without --labels", "a file of clicks", "Give it, or leave the option out.")


def _check_names(complete: Complete, count: int) -> None:
    for name in complete.names:
        if not (name.isdecimal() and name == f"{int(name):0{_DIGITS}d}" and int(name) < count):
            expected = f"a frame from {0:0{_DIGITS}d} to {count - 1:0{_DIGITS}d}"
            raise InputError("--complete", name, expected, "Name frames as the folder does.")


def _identity(args: argparse.Namespace, topics: RigTopics) -> dict[str, Any]:
    """What all frames of the folder have in common; labels may change."""
    return {
        "bag": args.bag.resolve().name,
        "points": topics.points,
        "cameras": [camera.image for camera in topics.cameras],
        "truth": topics.truth,
        "height": args.height,
    }


def _convert(
    frames: Iterable[RigFrame], reader: RigReader, clicked: Clicked, complete: Complete, args: argparse.Namespace
) -> Summary:
    found, writer, stored = Summary(), RigWriter(args.out), _Stored(args.out)
    for frame in frames:
        found.stamps.append(frame.points.stamp / 1e9)
        name = f"{frame.index:0{_DIGITS}d}"
        counts = not args.only_clicked and frame.index % args.every == 0
        labelled = clicked.at(found.stamps[-1]) or name in complete.names
        if not (counts or labelled or writer.has(name)):  # what is there already may have lost its labels
            continue
        moment = reader.moment(frame)
        sample = clicked.labelled(moment, reader, complete)
        there = stored.header(name)
        new = there is None or not same_labels(there, sample)
        if new:
            views, _ = reader.views(moment)
            writer.write(replace(sample, views=views))
        found.add(sample, new)
    return found


class _Stored:
    """What a folder held before."""

    def __init__(self, folder: Path) -> None:
        self._folder: RigFolder | None = None
        with suppress(InputError):  # nothing yet
            self._folder = RigFolder(folder)
        names = () if self._folder is None else self._folder.names
        self._places = {name: i for i, name in enumerate(names)}

    def header(self, name: str) -> RigSample | None:
        if self._folder is None or name not in self._places:
            return None
        return self._folder.header(self._places[name])


def _publish(args: argparse.Namespace, topics: RigTopics, labels: LabelFile, clicked: Clicked, found: Summary) -> None:
    """Tell what came of it. Raises InputError where no label belongs to the bag."""
    if len(clicked.boxes) and not clicked.met.any():
        stamps = [box.stamp for box in clicked.boxes]
        raise InputError(
            f"stamps in {args.labels}",
            f"{min(stamps):.3f} to {max(stamps):.3f} s, none of them a cloud's",
            f"those of {topics.points}, {min(found.stamps):.3f} to {max(found.stamps):.3f} s",
            "Use the label file of this bag.",
        )
    neither = found.frames - found.with_boxes - found.with_prompts_alone
    print(
        f"{args.out}: {found.frames} frames, {found.written} written now; {found.with_boxes} with boxes, "
        f"{found.with_prompts_alone} with points alone, {neither} with neither"
    )
    for what, counts in (("boxes", found.boxes), ("points", found.prompts)):
        if counts:
            print(f"{what:7}" + ", ".join(f"{name} {counts[name]}" for name in sorted(counts)))
    lost = [box.stamp for box, met in zip(clicked.boxes, clicked.met) if not met]
    if lost:
        print(f"note: labels of no cloud: {len(lost)}, the first at {lost[0]:.6f} s")
    if labels.cut_off:
        print(f"note: lines of {args.labels} that were cut off: {', '.join(map(str, labels.cut_off))}")
    if topics.truth and clicked.boxes:
        print(f"note: boxes are those of {topics.truth}; --no-truth takes the clicked ones")
