"""Truth and detections as folders of KITTI label and result files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxbox_core.datasets.kitti import Labels, read_labels
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class ResultFolder:
    """Truth and detections of the same frames, read from files.

    missing: frames with truth but no result file, which count as frames without detections.
    unknown: result files without truth, which are left out.
    """

    names: tuple[str, ...]
    truth: list[Labels]
    detections: list[Labels]
    missing: int
    unknown: int


def read_results(truth: Path, detections: Path, names: Sequence[str] | None = None) -> ResultFolder:
    """Pair NAME.txt of a truth folder (or its label_2) with NAME.txt of a detections folder (or its data).

    names: the frames to score, all of the truth when None.
    Raises InputError when a folder is empty, they have no frame in common, or a file cannot be read.
    """
    labelled, found = _text_files(truth, "label_2", "label"), _text_files(detections, "data", "result")
    wanted = tuple(sorted(labelled) if names is None else names)
    for name in wanted:
        if name not in labelled:
            raise InputError(f"label file of frame {name} in {truth}", "absent", "a file", "Check the frame list.")
    if not set(wanted) & set(found):
        raise InputError(
            f"frames in {detections}",
            f"{min(found)}, …",
            f"some of those in {truth} ({wanted[0]}, …)",
            "Give the two folders of the same frames.",
        )
    return ResultFolder(
        names=wanted,
        truth=[read_labels(labelled[n]) for n in wanted],
        detections=[_read_result(found[n]) if n in found else Labels.empty() for n in wanted],
        missing=len(set(wanted) - set(found)),
        unknown=len(set(found) - set(labelled)),
    )


def _text_files(folder: Path, inner: str, kind: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"folder {folder}", "absent", f"a folder of KITTI {kind} files", "Check the path.")
    folder = folder / inner if (folder / inner).is_dir() else folder
    files = {p.stem: p for p in folder.glob("*.txt")}
    if not files:
        raise InputError(f"folder {folder}", "without .txt files", f"KITTI {kind} files", "Check the path.")
    return files


def _read_result(path: Path) -> Labels:
    rows = read_labels(path)
    if np.isnan(rows.score).any():
        raise InputError(
            f"{path}: score of object {int(np.isnan(rows.score).argmax()) + 1}",
            "absent",
            "16 columns, the last the score",
            "Give result files as --detections and label files as --truth.",
        )
    return rows
