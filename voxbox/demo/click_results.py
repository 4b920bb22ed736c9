"""What came of a demo's clicks: boxes, and how long they took, as marks in pictures, a table and numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from point_detr3d_ros.label_file import read_label_file
from voxbox.demo.artefacts import write_picture
from voxbox.demo.clicks import Asked
from voxbox.demo.outcome import summary
from voxbox.report.page import Picture, Section, Table
from voxbox.report.rig_scene import Mark
from voxbox_core.boxes import Boxes3D, iou_3d
from voxbox_core.datasets.bag import Message


@dataclass(frozen=True)
class ClickResult:
    """number: of the click in its frame, from 1.  box: the answer, in the sample's frame; None where there is none."""

    number: int
    asked: Asked
    box: Boxes3D | None

    @property
    def milliseconds(self) -> float | None:
        """From the click to its answer."""
        return None if self.asked.seconds is None else 1e3 * self.asked.seconds

    @property
    def answer(self) -> str:
        """In a few words."""
        return self.asked.refusal if self.box is None else f"{self.box.names()[0]} {self.box.score[0]:.2f}"

    @property
    def mark(self) -> Mark:
        """To be drawn."""
        return Mark(self.asked.click.place, self.number, "" if self.box is None else self.answer, self.box is not None)

    @property
    def told(self) -> str:
        """The click and its answer."""
        took = "" if self.milliseconds is None else f", {self.milliseconds:.0f} ms"
        answer = f"refused: {self.answer}" if self.box is None else self.answer
        return f"click {self.number} ({self.asked.click.name or 'no class'}): {answer}{took}"

    @property
    def overlap(self) -> float | None:
        """IoU of the box with the truth; None without one of them."""
        truth = self.asked.click.truth
        return None if self.box is None or truth is None else float(iou_3d(self.box, truth)[0, 0])

    @property
    def away(self) -> float | None:
        """m between the centres of the box and of the truth; None without one of them."""
        truth = self.asked.click.truth
        return None if self.box is None or truth is None else float(np.linalg.norm(self.box.center - truth.center))


def results_of(asked: Sequence[Asked], boxes_in: Callable[[Message], Boxes3D | None]) -> list[ClickResult]:
    """boxes_in: an answer -> its boxes in the sample's frame."""
    results: list[ClickResult] = []
    for each in asked:
        boxes = None if each.answer is None else boxes_in(each.answer)
        before = sum(result.asked.stamp == each.stamp for result in results)
        results.append(ClickResult(before + 1, each, boxes[[0]] if boxes is not None and len(boxes) else None))
    return results


def clicks_summary(results: Sequence[ClickResult], labels: Path) -> tuple[dict[str, Any], list[str]]:
    """For metrics.json, and lines for the terminal.  labels: file of accepted boxes, which may be absent."""
    accepted = len(read_label_file(labels).boxes) if labels.exists() else 0
    answered = [result for result in results if result.box is not None]
    times = summary([result.milliseconds for result in results if result.milliseconds is not None])
    overlaps = [result.overlap for result in answered if result.overlap is not None]
    numbers = {
        "asked": len(results),
        "answered": len(answered),
        "accepted": accepted,
        "click_to_box_ms": times,
        "mean_iou_3d": round(float(np.mean(overlaps)), 4) if overlaps else None,
        "each": [_row_json(result) for result in results],
    }
    if not results:
        return {"clicks": numbers}, ["no clicks: nothing was found to click at (or give --clicks)"]
    line = f"{len(results)} clicks: {len(answered)} answered with a box, {len(results) - len(answered)} refused; "
    lines = [line + f"{accepted} boxes accepted into {labels.name}"]
    if times:
        lines.append(f"click to box over DDS: p50 {times['p50']:.1f} ms, max {times['max']:.1f} ms")
    if overlaps:
        lines.append(f"boxes of clicks against truth: mean IoU {np.mean(overlaps):.2f} in 3D over {len(overlaps)}")
    return {"clicks": numbers}, lines


def _row_json(result: ClickResult) -> Mapping[str, Any]:
    click = result.asked.click
    return {
        "stamp": result.asked.stamp,
        "place": [round(float(v), 3) for v in click.place],
        "at": click.what,
        "class": click.name,
        "answer": result.answer,
        "ms": None if result.milliseconds is None else round(result.milliseconds, 3),
        "iou_3d": None if result.overlap is None else round(result.overlap, 4),
    }


def clicks_section(folder: Path, results: Sequence[ClickResult], pictures: Mapping[int, np.ndarray]) -> Section:
    """Frame by frame.  pictures: of the clicked frames, by stamp."""
    stamps = list(dict.fromkeys(result.asked.stamp for result in results))
    if not stamps:
        return Section("Clicks", ["There was nothing to click at."])
    shown = []
    for number, stamp in enumerate(stamps, 1):
        if stamp in pictures:
            path = write_picture(folder / f"clicks_{number}.png", pictures[stamp])
            own = "; ".join(result.told for result in results if result.asked.stamp == stamp)
            shown.append(Picture(path, f"Clicks on frame {number} of {len(stamps)} that were on display: {own}."))
    header = ["click", "at", "class told", "answer", "click to box, ms", "IoU 3D", "centre off, m"]
    rows = [
        [
            f"{stamps.index(result.asked.stamp) + 1}.{result.number}",
            result.asked.click.what,
            result.asked.click.name or "none",
            result.answer,
            result.milliseconds,
            None if result.overlap is None else f"{result.overlap:.2f}",
            None if result.away is None else f"{result.away:.2f}",
        ]
        for result in results
    ]
    note = (
        "Published on clicked_point as RViz does it, stamped by the wall clock, on a return of the object; a class is "
        "told by the topic clicked_point/CLASS. Measured from the click to its box, over DDS. The replay waits "
        "meanwhile. Then the service assist/accept has the boxes written to labels.jsonl, which training reads."
    )
    words = ["Rings mark clicks that became a box, crosses those that were refused; truth in white."]
    return Section("Clicks", words, shown, [Table(header, rows, note)])
