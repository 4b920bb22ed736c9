"""Who stands where, so that nothing drives or walks through anything else."""

import numpy as np

from voxbox_core.datasets.street.motion import Motion

TIMES = np.array([0.0, 0.4, 0.8, 1.4, 2.0, 3.0, 4.0, 5.5, 7.0, 8.5, 10.0])
"""s; moments at which footprints must not overlap."""


class Space:
    """Footprints taken so far."""

    def __init__(self) -> None:
        self._taken: list[np.ndarray] = []

    def claim(self, motion: Motion, length: float, width: float, margin: float = 0.15) -> bool:
        """Take the footprint along its motion if it keeps `margin`, m, to all others; whether it did."""
        mine = _footprint(motion, length + margin, width + margin)
        if self._taken and _overlap(mine, np.stack(self._taken)):
            return False
        self._taken.append(mine)
        return True


def _footprint(motion: Motion, length: float, width: float) -> np.ndarray:
    """(T, 4, 2) corners at TIMES."""
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length / 2, width / 2]
    poses = np.stack([motion.pose(t) for t in TIMES])
    return corners @ poses[:, :2, :2].transpose(0, 2, 1) + poses[:, None, :2, 3]


def _overlap(mine: np.ndarray, others: np.ndarray) -> bool:
    """Whether (T, 4, 2) overlaps any of (N, T, 4, 2) at any time: no edge of either separates them."""
    apart = np.zeros(others.shape[:2], bool)
    for edges in (mine[None], others):
        for k in range(2):
            axis = edges[..., k + 1, :] - edges[..., k, :]
            a = (mine[None] * axis[..., None, :]).sum(-1)
            b = (others * axis[..., None, :]).sum(-1)
            apart |= (a.max(-1) < b.min(-1)) | (b.max(-1) < a.min(-1))
    return bool((~apart).any())
