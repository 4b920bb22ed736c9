"""The bias of each class's logits with which the labels' mean IoU is best.

A loss with class weights calls rare classes too often for IoU, one without too seldom. What is added to the logits
after training mends both, and costs nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ssz_ros.contract import Contract
from ssz_ros.network import normalise
from voxbox.training.ssz.data import Frame
from voxbox_core.metrics.voxels import iou, mean_iou
from voxbox_core.voxels import AIR, UNKNOWN

_STEPS = (0.5, 0.25, 0.125)  # of the search, in logits
_MOST = 1.0  # that is added or taken: what needs more is not known well enough to be called on another camera's images
_WORTH = 1e-3  # least gain of mean IoU by a change; less is chance
_THINNED = 16  # of the cells that are air or ground and labelled so, one in so many is looked at, and counts for all


@dataclass(frozen=True)
class Cells:
    """logits: (N, n) float32.  truth: (N,) int64.  weight: (N,) how many cells each stands for."""

    logits: np.ndarray
    truth: np.ndarray
    weight: np.ndarray

    def mean_iou(self, bias: np.ndarray) -> float:
        """Of the labels with these biases (n,), over the classes that occur."""
        n = self.logits.shape[1]
        pairs = self.truth * n + (self.logits + bias).argmax(1)
        return mean_iou(iou(np.bincount(pairs, self.weight, minlength=n * n).reshape(n, n)))


def best_bias(cells: Cells) -> tuple[float, ...]:
    """Biases (n,) of the best mean IoU that steps of one class at a time lead to from none, within limits; air's stays
    0."""
    bias = np.zeros(cells.logits.shape[1], np.float32)
    best = cells.mean_iou(bias)
    for step in _STEPS:
        improved = True
        while improved:
            improved = False
            for label in range(AIR + 1, len(bias)):
                for change in (step, -step):
                    tried = bias.copy()
                    tried[label] += change
                    if abs(tried[label]) <= _MOST and (found := cells.mean_iou(tried)) > best + _WORTH:
                        bias, best, improved = tried, found, True
    return tuple(float(v) for v in bias)


@torch.no_grad()
def gather(network: nn.Module, frames: Iterable[Frame], contract: Contract) -> Cells:
    """What a network in evaluation mode says of the known cells of frames."""
    plain = [AIR, *(i for i, name in enumerate(contract.classes) if name == "ground")]
    parts = []
    for frame in frames:
        logits = network(normalise(torch.from_numpy(frame.image[None])))[0].float().flatten(1).T.numpy()
        truth = frame.labels.ravel().astype(np.int64)
        weight = (truth != UNKNOWN).astype(np.float64)
        for label in plain:
            alike = np.flatnonzero((truth == label) & (logits.argmax(1) == label))
            weight[alike] = 0
            weight[alike[::_THINNED]] = len(alike) / max(len(alike[::_THINNED]), 1)
        chosen = weight > 0
        parts.append((logits[chosen], truth[chosen], weight[chosen]))
    return Cells(*(np.concatenate(column) for column in zip(*parts, strict=True)))
