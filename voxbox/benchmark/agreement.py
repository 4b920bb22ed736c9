"""Whether two ways to the same answer give the same answer: speed is worth nothing without it."""

from collections.abc import Mapping, Sequence

import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.voxels import UNKNOWN, Voxels

_REACH = 1.0  # m between the centres of what may be one object


def of_boxes(answers: Sequence[tuple[Boxes3D, Boxes3D]]) -> dict[str, float]:
    """answers: the boxes of reference and peer, of each frame.

    Returns `boxes` of the reference; how many of them are `found`: the peer has one of the same class within 1 m; how
    many the peer has besides, `extra`; and of those found the largest difference in `center` and `size`, m, `yaw`, deg,
    and `score`.
    """
    found = {"boxes": 0.0, "found": 0.0, "extra": 0.0, "center": 0.0, "size": 0.0, "yaw": 0.0, "score": 0.0}
    for mine, theirs in answers:
        i, j = _partners(mine, theirs)
        found["boxes"] += len(mine)
        found["found"] += len(i)
        found["extra"] += len(theirs) - len(j)
        a, b = mine[i], theirs[j]
        turn = np.abs((a.yaw - b.yaw + np.pi) % (2 * np.pi) - np.pi)
        differences = {
            "center": np.linalg.norm(a.center - b.center, axis=1),
            "size": np.abs(a.size - b.size),
            "yaw": np.degrees(turn),
            "score": np.abs(a.score - b.score),
        }
        for name, values in differences.items():
            found[name] = max(found[name], float(values.max(initial=0)))
    return found


def _partners(mine: Boxes3D, theirs: Boxes3D) -> tuple[np.ndarray, np.ndarray]:
    """Indices of pairs: each box, best first, takes the nearest of its class that is still free."""
    away = np.linalg.norm(mine.center[:, None] - theirs.center[None], axis=2)
    away[(mine.label[:, None] != theirs.label[None]) | (away > _REACH)] = np.inf
    pairs = []
    for i in range(len(mine) if len(theirs) else 0):
        j = int(away[i].argmin())
        if np.isfinite(away[i, j]):
            pairs.append((i, j))
            away[:, j] = np.inf
    chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return chosen[:, 0], chosen[:, 1]


def of_voxels(answers: Sequence[tuple[Voxels, Voxels]]) -> dict[str, float]:
    """answers: the voxels of reference and peer, of each frame, in one grid.

    Of cells that the reference knows, returns the share with `equal` labels, and that share among cells which either of
    the two calls `occupied`, 0..1.
    """
    equal, occupied = [], []
    for mine, theirs in answers:
        known = mine.labels != UNKNOWN
        same = mine.labels == theirs.labels
        equal.append(same[known])
        occupied.append(same[known & (mine.occupied | theirs.occupied)])
    shares = {"equal": np.concatenate(equal), "occupied": np.concatenate(occupied)}
    return {name: float(same.mean()) if len(same) else 1.0 for name, same in shares.items()}


def told(found: Mapping[str, float]) -> str:
    """In a few words."""
    if "equal" in found:
        return f"{100 * found['equal']:.2f}% of cells, {100 * found['occupied']:.2f}% of the occupied"
    extra = f", {found['extra']:.0f} more" if found["extra"] else ""
    return f"{found['found']:.0f} of {found['boxes']:.0f} boxes{extra}, within {found['center']:.3f} m"
