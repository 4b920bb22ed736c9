"""Whether two engines find the same boxes: compared box by box, by value."""

from collections.abc import Mapping, Sequence

import numpy as np

from voxbox_core.runtime import Run

# Engines order near ties differently, so boxes are paired by where they were found and not by rank; what lies
# below this score is noise whose peaks may differ by a rounding.
MINIMUM_SCORE = 1e-3


def compare(reference: Run, other: Run, frames: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Largest differences over all frames between boxes that both runs report.

    Returns `compared` (boxes), `missing` (boxes of the reference without a partner), and the largest absolute
    difference of score, yaw (rad), and, relative to the distance, of the centre; and relative to the size, of the size.
    """
    worst = {"compared": 0.0, "missing": 0.0, "score": 0.0, "yaw": 0.0, "center": 0.0, "size": 0.0}
    for frame in frames:
        _compare_frame(reference(frame), other(frame), worst)
    return worst


def _compare_frame(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], worst: dict[str, float]) -> None:
    for i in np.nonzero(a["score"][0] > MINIMUM_SCORE)[0]:
        j = _partner(a, b, int(i))
        if j is None:
            worst["missing"] += 1
            continue
        worst["compared"] += 1
        turn = a["yaw"][0, i] - b["yaw"][0, j]
        distance, size = (float(np.linalg.norm(a[name][0, i])) for name in ("center", "size"))
        differences = {
            "score": abs(a["score"][0, i] - b["score"][0, j]),
            "yaw": abs(np.arctan2(np.sin(turn), np.cos(turn))),
            "center": np.linalg.norm(a["center"][0, i] - b["center"][0, j]) / max(distance, 1e-6),
            "size": np.linalg.norm(a["size"][0, i] - b["size"][0, j]) / max(size, 1e-6),
        }
        for name, value in differences.items():
            worst[name] = max(worst[name], float(value))


def _partner(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], i: int) -> int | None:
    """The box of `b` of the same class whose nine keypoints lie nearest to box i of `a`, within a pixel on average."""
    distance = np.abs(b["keypoints"][0] - a["keypoints"][0, i]).mean((-1, -2))
    distance = np.where(b["label"][0] == a["label"][0, i], distance, np.inf)
    j = int(distance.argmin())
    return j if distance[j] < 1.0 else None
