"""A small untrained SSZ that says different things in different places."""

from pathlib import Path

import torch
from torch import nn

from ssz_ros.contract import Contract
from ssz_ros.network import build
from ssz_ros.reconstructor import SYSTEM
from voxbox.export import release
from voxbox.export.ssz import write_graph
from voxbox_core import weights

TINY = Contract(slices=16, rows=16, columns=32, encoder=(8, 16, 16), decoder=(16, 8))


def lively(contract: Contract = TINY) -> nn.Module:
    """A network whose normalisations have something to fold."""
    torch.manual_seed(0)
    network = build(contract)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
                layer.get_buffer("running_mean").normal_(0, 0.2)
                layer.get_buffer("running_var").uniform_(0.5, 2)
                layer.weight.uniform_(0.5, 2)
            if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
                layer.weight.mul_(2)
    return network


def saved(path: Path, contract: Contract = TINY) -> Path:
    """Its weights, as a training leaves them."""
    weights.save(path, lively(contract).state_dict(), contract.to_json())
    return path


def released(folder: Path, contract: Contract = TINY, probability: bool = True) -> Path:
    """The folder of a model, unchecked."""
    write_graph(saved(folder / release.WEIGHTS, contract), folder / release.ONNX, probability)
    release.seal(folder, SYSTEM, folder.name, contract.to_json())
    return folder
