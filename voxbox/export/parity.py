"""Whether two engines find the same boxes: compared box by box, by value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from voxbox_core.errors import InputError

Arrays = Mapping[str, np.ndarray]
# What both engines found, and which box of the first -> its partner in the second, None where it has none.
Partner = Callable[[Arrays, Arrays, int], int | None]
# What both engines found, and a box of each -> how far they differ, by name.
Difference = Callable[[Arrays, int, Arrays, int], dict[str, float]]
Frame = TypeVar("Frame")


@dataclass(frozen=True)
class Tolerance:
    """How near to PyTorch an engine must come.

    largest: the largest difference, by name.
    least_score: boxes of PyTorch below it are passed over: they are noise, whose peaks may differ by a rounding.
    part: of the boxes, must keep to each difference: int8 turns those around whose two directions are all but alike.
    missing: part of the boxes that may be missing: the last of the K candidates may change places with the next.
    """

    largest: Mapping[str, float]
    least_score: float
    part: float = 1.0
    missing: float = 0.05

    def __post_init__(self) -> None:
        if not (0 < self.part <= 1 and 0 <= self.missing < 1):
            raise InputError("part of boxes", (self.part, self.missing), "0 to 1", "Correct the tolerance.")


def compare(
    reference: Callable[[Frame], Arrays],
    other: Callable[[Frame], Arrays],
    frames: Sequence[Frame],
    partner: Partner,
    difference: Difference,
    tolerance: Tolerance,
) -> dict[str, float]:
    """Differences over all frames between boxes that both find.

    reference, other: a frame -> arrays of boxes, `score` (1, K) among them.
    Returns `compared` (boxes), `missing` (boxes of the reference without a partner), and each difference that the
    tolerance's part of the boxes keeps to: the largest where it says nothing else.
    """
    found: dict[str, list[float]] = {}
    compared, missing = 0, 0
    for frame in frames:
        a, b = reference(frame), other(frame)
        for i in np.flatnonzero(a["score"][0] > tolerance.least_score):
            j = partner(a, b, int(i))
            if j is None:
                missing += 1
                continue
            compared += 1
            for name, value in difference(a, int(i), b, j).items():
                found.setdefault(name, []).append(float(value))
    kept = {name: float(np.quantile(values, tolerance.part)) for name, values in found.items()}  # which keeps NaN
    return {"compared": float(compared), "missing": float(missing)} | kept


def judge(backend: str, found: Mapping[str, float], tolerance: Tolerance) -> None:
    """Raises InputError where a backend strays beyond `tolerance` or misses too many boxes, or where there are none."""
    remedy = "Report this model: the engine computes something else."
    boxes = found["compared"] + found["missing"]
    if not boxes:
        raise InputError(
            "boxes to compare the backends by", 0, "at least 1", "Give --data with frames in which the model sees some."
        )
    if found["missing"] > tolerance.missing * boxes:
        value = f"{found['missing']:.0f} of {boxes:.0f}"
        raise InputError(f"boxes of PyTorch that {backend} misses", value, f"at most {tolerance.missing:.0%}", remedy)
    for name, limit in tolerance.largest.items():
        if not found[name] <= limit:  # NaN is no agreement
            raise InputError(
                f"{backend}'s difference from PyTorch in {name}", f"{found[name]:.2e}", f"at most {limit:.0e}", remedy
            )


def told(result: Mapping[str, Any]) -> str:
    """How far each backend strays, in a line."""
    return ", ".join(f"{b} differs by {found['center']:.1e} in position" for b, found in result["parity"].items())
