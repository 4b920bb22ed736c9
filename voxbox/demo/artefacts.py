"""What a demo leaves behind, of any system."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from voxbox.report.page import Section
from voxbox.report.video import write_video

RECORDING, FILM = "detections.mcap", "video"
_LEAST_SECONDS = 4.0  # of film: a bag of a few frames is shown slowly
_RATES = (1.0, 30.0)  # pictures/s that players like


@dataclass(frozen=True)
class Verdict:
    """How good the answers were: for machines (None where nobody knows), in a line, and for the page."""

    scores: Mapping[str, Any] | None
    line: str
    section: Section


@dataclass(frozen=True)
class Artefacts:
    """found: how many boxes, or voxels, in all frames.  shown: sections of the page with pictures.  unreadable: frames
    that are not in the film, and why.  more: for metrics.json.  lines: for the terminal."""

    found: int
    verdict: Verdict
    shown: Sequence[Section] = ()
    unreadable: Sequence[str] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()


def write_film(folder: Path, pictures: Iterable[np.ndarray], count: int, rate: float) -> Path:
    """Write a film that lasts long enough to be seen, of pictures of one size; -> its path.

    count: how many there are, about.  rate: pictures/s of the drive as recorded.
    """
    rate = float(np.clip(rate, *_RATES))
    repeats = max(1, round(_LEAST_SECONDS * rate / max(count, 1)))
    return write_video(folder, FILM, (picture for picture in pictures for _ in range(repeats)), rate)


def write_picture(path: Path, picture: np.ndarray) -> Path:
    """Write (H, W, 3) uint8 RGB."""
    cv2.imwrite(str(path), picture[..., ::-1])
    return path
