"""SSZ's networks by architecture, and the deployed graph, from uint8 image to labels."""

from collections.abc import Callable

from torch import Tensor, nn

from ssz_ros.c2d import C2D
from ssz_ros.contract import Contract
from ssz_ros.generator import Generator
from ssz_ros.zgan import ZGAN

ARCHITECTURES: dict[str, Callable[[Contract], nn.Module]] = {"c2d": C2D, "ssz": Generator, "zgan": ZGAN}


def build(contract: Contract) -> nn.Module:
    """The trainable network: (B, 3, H, W) from `normalise` -> logits (B, classes, slices, rows, columns)."""
    return ARCHITECTURES[contract.architecture](contract)


def normalise(image: Tensor) -> Tensor:
    """uint8 RGB (B, H, W, 3) -> float32 (B, 3, H, W) in [-1, 1]."""
    x = image.float()  # first, because OpenVINO and TensorRT take a uint8 input only into a Cast
    return x.permute(0, 3, 1, 2) / 127.5 - 1
