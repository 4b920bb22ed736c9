"""Whether two engines find the same boxes: compared box by box, by value."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from voxbox_core.errors import InputError

Arrays = Mapping[str, np.ndarray]
# What both engines found, and which box of the first -> its partner in the second, None where it has none.
Partner = Callable[[Arrays, Arrays, int], int | None]
# What both engines found, and a box of each -> how far they differ, by name.
Difference = Callable[[Arrays, int, Arrays, int], dict[str, float]]
Frame = TypeVar("Frame")

# Part of the boxes that an engine may miss: the last of the K candidates may change places with the next by a rounding.
MISSING = 0.05


def compare(
    reference: Callable[[Frame], Arrays],
    other: Callable[[Frame], Arrays],
    frames: Sequence[Frame],
    partner: Partner,
    difference: Difference,
    least_score: float,
) -> dict[str, float]:
    """Largest differences over all frames between boxes that both find.

    reference, other: a frame -> arrays of boxes, `score` (1, K) among them. Boxes of the reference below `least_score`
    are passed over: they are noise, whose peaks may differ by a rounding.
    Returns `compared` (boxes), `missing` (boxes of the reference without a partner), and the largest differences.
    """
    worst = {"compared": 0.0, "missing": 0.0}
    for frame in frames:
        a, b = reference(frame), other(frame)
        for i in np.flatnonzero(a["score"][0] > least_score):
            j = partner(a, b, int(i))
            if j is None:
                worst["missing"] += 1
                continue
            worst["compared"] += 1
            for name, value in difference(a, int(i), b, j).items():
                worst[name] = float(np.maximum(worst.get(name, 0.0), value))  # which keeps NaN
    return worst


def judge(backend: str, found: Mapping[str, float], tolerance: Mapping[str, float]) -> None:
    """Raises InputError where a backend strays beyond `tolerance` or misses too many boxes, or where there are none."""
    remedy = "Report this model: the engine computes something else."
    boxes = found["compared"] + found["missing"]
    if not boxes:
        raise InputError(
            "boxes to compare the backends by", 0, "at least 1", "Give --data with frames in which the model sees some."
        )
    if found["missing"] > MISSING * boxes:
        value = f"{found['missing']:.0f} of {boxes:.0f}"
        raise InputError(f"boxes of PyTorch that {backend} misses", value, f"at most {MISSING:.0%}", remedy)
    for name, limit in tolerance.items():
        if not found[name] <= limit:  # NaN is no agreement
            raise InputError(
                f"{backend}'s difference from PyTorch in {name}", f"{found[name]:.2e}", f"at most {limit:.0e}", remedy
            )


def told(result: Mapping[str, Any]) -> str:
    """How far each backend strays, in a line."""
    return ", ".join(f"{b} differs by {found['center']:.1e} in position" for b, found in result["parity"].items())
