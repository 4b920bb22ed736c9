"""SSZ's networks by architecture, and the deployed graph, from uint8 image to labels."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ssz_ros.c2d import C2D
from ssz_ros.contract import Contract
from ssz_ros.generator import Generator
from ssz_ros.rewrites import folded, in_phases
from ssz_ros.zgan import ZGAN

ARCHITECTURES: dict[str, Callable[[Contract], nn.Module]] = {"c2d": C2D, "ssz": Generator, "zgan": ZGAN}


def build(contract: Contract) -> nn.Module:
    """The trainable network: (B, 3, H, W) from `normalise` -> logits (B, classes, slices, rows, columns)."""
    return ARCHITECTURES[contract.architecture](contract)


def normalise(image: Tensor) -> Tensor:
    """uint8 RGB (B, H, W, 3) -> float32 (B, 3, H, W) in [-1, 1]."""
    x = image.float()  # first, because OpenVINO and TensorRT take a uint8 input only into a Cast
    return x.permute(0, 3, 1, 2) / 127.5 - 1


class Deployed(nn.Module):
    """The graph that is exported: from an aligned image to the classes of the cells, in standard ONNX operations.

    image: (1, rows * per_cell, columns * per_cell, 3) uint8 RGB, aligned with the grid.
    Returns labels (1, slices, rows, columns) uint8 and, where `probability` asks for it, the labels' probability, of
    the same shape, uint8, 255 for certain. Without a softmax of all classes: the greatest logit is the answer, and a
    hundred times as many bytes would leave the engine. The casts are last, since TensorRT knows uint8 at its ends only.
    The contract's class_bias is added to the logits.
    rewritten: by the exact rewrites of `rewrites`; False leaves the network as it was trained, to compare with.
    """

    class_bias: Tensor

    INPUTS = ("image",)
    OUTPUTS = ("labels",)

    def __init__(self, network: nn.Module, probability: bool = False, rewritten: bool = True) -> None:
        super().__init__()
        self.contract = cast(Contract, network.contract)
        self.network = in_phases(folded(network)) if rewritten else network
        self.probability = probability
        self.register_buffer("class_bias", torch.tensor(self.contract.class_bias).view(1, -1, 1, 1, 1), False)
        self.outputs = (*self.OUTPUTS, "probability") if probability else self.OUTPUTS

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        logits = self.network(normalise(image)).float() + self.class_bias
        best, label = logits.max(1)  # in PyTorch a fifth of argmax's time
        labels = label.to(torch.uint8)
        if not self.probability:
            return (labels,)
        others = (logits - best[:, None]).exp().sum(1)
        return labels, (255 / others + 0.5).to(torch.uint8)

    def example(self) -> tuple[Tensor]:
        """An input of the right shape, for tracing: grey."""
        width, height = self.contract.input_size
        return (torch.full((1, height, width, 3), 128, dtype=torch.uint8),)
