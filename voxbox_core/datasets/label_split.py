"""Which frames have boxes (D_F) and which have points alone (D_W)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxbox_core.errors import InputError

FRACTIONS = (0.01, 0.02, 0.05, 0.10, 0.20)
SEEDS = (0, 1, 2)
"""Published: results name the fraction and the seed, and these are the ones to compare at."""


@dataclass(frozen=True)
class LabelSplit:
    """full: (F,) int64 frames with boxes, rising.  weak: (W,) int64 the others, which have points."""

    full: np.ndarray
    weak: np.ndarray

    @property
    def fraction(self) -> float:
        """Part of the frames that have boxes."""
        return len(self.full) / (len(self.full) + len(self.weak))


def split_by_scene(scenes: Sequence[str], fraction: float, seed: int) -> LabelSplit:
    """Whole scenes drawn at random, about `fraction` of the frames, at least one scene.

    scenes: of each frame; frames that follow one another share one, a frame that stands alone has its own. The draw
    depends on the scenes' names and the seed alone, not on the order or number of frames, and for a seed every smaller
    split is part of every larger one. Raises InputError where the scenes are so long that none would be left for D_W.
    """
    count = _wanted(len(scenes), fraction)
    names, of_frame, lengths = np.unique(np.asarray(scenes, dtype=np.str_), return_inverse=True, return_counts=True)
    order = np.argsort([hashlib.sha256(f"{seed} {name}".encode()).hexdigest() for name in names])
    ends = np.cumsum(lengths[order])
    chosen = order[: int(np.argmin(np.abs(ends - count))) + 1]
    if len(chosen) == len(names) > 0 and count < len(scenes):
        raise InputError(
            "scenes",
            f"{len(names)} for {len(scenes)} frames",
            f"more, so that whole ones make up {fraction:.0%}",
            "Split by time, or give frames scenes of their own.",
        )
    return _split(np.isin(of_frame, chosen))


def split_by_time(stamps: Sequence[float | None], fraction: float) -> LabelSplit:
    """The earliest frames, as in the paper: int(fraction N) of N, at least one.

    stamps: s, of each frame. Raises InputError where one is missing.
    """
    count = _wanted(len(stamps), fraction)
    missing = [i for i, stamp in enumerate(stamps) if stamp is None]
    if missing:
        raise InputError(f"stamp of frame {missing[0]}", None, "a time, s", "Split by scene.")
    full = np.zeros(len(stamps), bool)
    full[np.argsort(np.asarray(stamps, np.float64), kind="stable")[:count]] = True
    return _split(full)


def _wanted(frames: int, fraction: float) -> int:
    if not 0 < fraction <= 1:
        raise InputError("fraction of frames with boxes", fraction, "a number above 0, at most 1", "Correct it.")
    if frames == 0:
        raise InputError("frames to split", "none", "at least one", "Check the data folder.")
    return max(1, int(fraction * frames + 1e-9))  # 0.29 of 100 are 29


def _split(full: np.ndarray) -> LabelSplit:
    return LabelSplit(np.flatnonzero(full), np.flatnonzero(~full))
