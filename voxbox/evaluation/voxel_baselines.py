"""What semantic voxels cost without a network: predictions that say how much a model's score means."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.voxels import AIR, UNKNOWN, Voxels


@dataclass(frozen=True)
class Prior:
    """The most frequent class of each cell, whatever the image."""

    voxels: Voxels

    @classmethod
    def of(cls, samples: Iterable[Voxels]) -> "Prior":
        """Of training data; air where nobody knew anything. Raises InputError without any, or for several grids."""
        first: Voxels | None = None
        votes = np.zeros(0, np.int32)
        for voxels in samples:
            if first is None:
                first = voxels
                votes = np.zeros((len(voxels.classes), *voxels.labels.shape), np.int32)
            if voxels.fruxel != first.fruxel:
                raise InputError("grid of the prior", voxels.fruxel, f"{first.fruxel}", "Use data of one grid.")
            for label, vote in enumerate(votes):
                vote += voxels.labels == label
        if first is None:
            raise InputError("samples of the prior", 0, "at least one", "Give training data.")
        return cls(Voxels(votes.argmax(0).astype(np.uint8), first.fruxel, classes=first.classes))

    def behind(self, hits: Voxels) -> Voxels:
        """First hits with the prior's classes behind them; columns without a hit are left as they are."""
        hit = (hits.labels != AIR) & (hits.labels != UNKNOWN)
        behind = (np.cumsum(hit, axis=0) - hit) > 0
        return Voxels(np.where(behind, self.voxels.labels, hits.labels), hits.fruxel, classes=hits.classes)


def first_hits(truth: Voxels) -> Voxels:
    """What a camera with perfect depth and perfect classes knows by itself: the first cell on each column that is not
    air, with its true class; all else is air."""
    return Voxels(
        np.where(truth.visible & truth.occupied, truth.labels, np.uint8(AIR)), truth.fruxel, classes=truth.classes
    )
