"""SSZ in the straightforward way: OpenCV and numpy around the network alone, by any engine.

The rectangle of the image that is before the grid is cropped (black where the image ends) and resized by `cv2.resize`,
with INTER_AREA where it shrinks; numpy makes it float, normalises and transposes it; the network gives its logits;
numpy takes the softmax of the classes, and of that the label and its probability.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from ssz_ros.contract import Contract
from ssz_ros.reconstructor import SSZ
from voxbox.benchmark.agreement import of_voxels
from voxbox.benchmark.peer_engines import Network
from voxbox.benchmark.peers import Answer, Ours, System
from voxbox_core.datasets.sample import Sample
from voxbox_core.runtime.model import read_manifest
from voxbox_core.voxels import Voxels


class Pipeline:
    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._bias = np.array(contract.class_bias, np.float32)[:, None, None, None]

    def before(self, sample: Sample) -> tuple[dict[str, np.ndarray], None]:
        """-> the network's `image` (1, 3, H, W) float32."""
        affine = self.contract.fruxel.affine(sample.camera, self.contract.per_cell)
        size = self.contract.input_size
        low, high = ((np.array(edge) - 0.5 - affine[:, 2]) / affine[[0, 1], [0, 1]] + 0.5 for edge in ((0, 0), size))
        (left, top), (right, bottom) = np.rint(low).astype(int), np.rint(high).astype(int)
        height, width = sample.image.shape[:2]
        seen = sample.image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        beyond = max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)
        whole = cv2.copyMakeBorder(seen, *beyond, cv2.BORDER_CONSTANT) if any(beyond) else seen
        shrinks = affine[0, 0] < 1
        resized = cv2.resize(whole, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        normal = resized.astype(np.float32) / 127.5 - 1
        return {"image": np.ascontiguousarray(normal.transpose(2, 0, 1)[None])}, None

    def after(self, outputs: Mapping[str, np.ndarray], made: None, sample: Sample) -> Voxels:
        """Labels and their probability, wherever the image reaches or not."""
        logits = outputs["logits"][0] + self._bias
        raised = np.exp(logits - logits.max(0))
        probability = raised / raised.sum(0)
        labels = probability.argmax(0).astype(np.uint8)
        certain = (255 * probability.max(0) + 0.5).astype(np.uint8)
        return Voxels(labels, self.contract.fruxel, certain, self.contract.classes)


def pipeline(model: Path) -> Pipeline:
    """Of a released model's folder."""
    return Pipeline(Contract.from_json(json.dumps(read_manifest(model)["contract"])))


def network(weights: Path) -> Network:
    """The network as it was trained, up to its logits."""
    import torch
    from torch import nn

    from ssz_ros.network import build
    from voxbox_core import weights as weights_file

    class Logits(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.inner(image),)

    stored = weights_file.load(weights)
    contract = Contract.from_json(stored.contract)
    inner = build(contract).eval()
    weights_file.load_into(inner, stored)
    width, height = contract.input_size
    return Network(Logits(inner).eval(), (torch.zeros(1, 3, height, width),), ("image",), ("logits",))


def ours(model: Path, backend: str, threads: int, precision: str = "auto") -> Ours:
    """The reconstructor."""
    ssz = SSZ.open(model, backend, threads, precision=precision)
    return Ours(lambda sample: ssz(sample.image, sample.camera), ssz.backend, ssz.precision)


def agreement(model: Path, answers: Sequence[tuple[Answer, Answer]]) -> dict[str, float]:
    """answers: ours and a peer's, frame by frame."""
    return of_voxels(answers)


SYSTEM = System(ours, pipeline, network, agreement)
