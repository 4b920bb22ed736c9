"""What a generator in training is worth so far: IoU by class, and truth beside prediction for eyes."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ssz_ros.contract import Contract
from ssz_ros.network import normalise
from voxbox.training.ssz.data import Frame, open_folders
from voxbox_core.draw_voxels import comparison
from voxbox_core.metrics.voxels import Counts, count, scores
from voxbox_core.voxels import Voxels

SHOWN = ("IoU", "geometric", "visible", "occluded")
_SHOWN_FRAMES = 4


class Validation:
    """At most `limit` frames, evenly spread over folders of voxels.

    Raises InputError for a folder of another grid now, and not when the first part of the run is done.
    """

    def __init__(self, folders: Sequence[str], limit: int, contract: Contract) -> None:
        self._contract = contract
        every = [(folder, i) for folder in open_folders(folders, contract) for i in range(len(folder))]
        chosen = np.unique(np.linspace(0, len(every) - 1, min(limit, len(every))).round().astype(int))
        self._frames = [every[i] for i in chosen]

    def __call__(self, network: nn.Module) -> tuple[dict[str, float], list[np.ndarray]]:
        """Score a network in evaluation mode -> scores by name, those that are numbers; pictures (H, W, 3) uint8."""
        total: Counts | None = None
        pictures: list[np.ndarray] = []
        for folder, i in self._frames:
            sample = folder[i]
            frame = Frame.of(sample, self._contract)
            truth = Voxels(frame.labels, self._contract.fruxel, classes=self._contract.classes)
            found = Voxels(predict(network, frame.image), self._contract.fruxel, classes=self._contract.classes)
            counted = count(found, truth)
            total = counted if total is None else total + counted
            if len(pictures) < _SHOWN_FRAMES:
                pictures.append(comparison(frame.image, truth, found))
        assert total is not None  # a folder of voxels has frames
        return {name: round(v, 6) for name, v in scores(total).items() if not math.isnan(v)}, pictures


def predict(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """(height, width, 3) uint8 RGB of the network's input size -> labels (slices, rows, columns) uint8."""
    device = next(network.parameters()).device
    logits = network(normalise(torch.from_numpy(image[None]).to(device)))
    return np.asarray(logits[0].argmax(0).to(torch.uint8).cpu())
