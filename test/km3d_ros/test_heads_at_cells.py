"""Heads computed at single cells are what their maps hold there, and train the network alike."""

import pytest
import torch

from km3d_ros.codec import gather
from km3d_ros.contract import Contract
from km3d_ros.network import READ_AT, KM3DNet

CONTRACT = Contract(input_width=128, input_height=64, width=0.125, neck="skip", head_channels=8)
CORNERS_AND_MORE = torch.tensor([[0, 31, 15 * 32, 16 * 32 - 1, 200], [5, 5, 77, 300, 31]])


@pytest.fixture
def network():
    torch.manual_seed(0)
    return KM3DNet(CONTRACT).double()


def test_values_and_gradients_agree_with_the_maps(network):
    x = torch.randn(2, 3, 64, 128, dtype=torch.float64)
    at = {"objects": CORNERS_AND_MORE, "keypoints": CORNERS_AND_MORE.flip(0)}
    gradients = []
    for cells in (None, at):
        outputs = network(x, at=cells)
        read = {n: v if v.ndim == 3 or n not in READ_AT else gather(v, at[READ_AT[n]]) for n, v in outputs.items()}
        network.zero_grad()
        sum(value.sin().sum() for value in read.values()).backward()
        gradients.append((read, [p.grad.clone() for p in network.parameters()]))
    (from_maps, first), (at_cells, second) = gradients
    assert all(torch.allclose(from_maps[name], at_cells[name], atol=1e-12) for name in from_maps)
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(first, second, strict=True))
