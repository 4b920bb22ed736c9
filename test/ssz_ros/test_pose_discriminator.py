"""The discriminator certifies grids of any size, and the volumes that it sees give nothing away but their content."""

from dataclasses import replace

import pytest
import torch

from ssz_ros.contract import PRESETS, Contract
from ssz_ros.discriminator import Pose6DoF, generated_volume, true_volume
from ssz_ros.losses import realness, stable_pose
from voxbox_core.errors import InputError
from voxbox_core.voxels import UNKNOWN


def test_reference_size() -> None:
    with torch.device("meta"):
        network = Pose6DoF(PRESETS["ssz128"], "quaternion")
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(0.10, abs=0.003)
    assert (network.grid.channels, network.grid.cells) == (8, (8, 8, 8))


@pytest.mark.parametrize("rotation", ["quaternion", "yaw", "double_yaw"])
def test_a_certificate_for_a_grid_of_any_proportions(rotation: str) -> None:
    contract = replace(Contract(), slices=13, rows=16, columns=32)
    discriminator = Pose6DoF(contract, rotation, widths=(4, 6, 8))
    volume = torch.rand(2, 10, 13, 16, 32, requires_grad=True)
    certificate = discriminator(torch.rand(2, 3, 32, 64), volume)
    assert discriminator.grid.cells == (1, 2, 4)
    assert certificate.shape == (2, discriminator.grid.channels, 1, 2, 4)
    targets = {name: torch.ones(2, *value.shape) for name, value in discriminator.grid.encode(None).items()}
    (realness(certificate, True, targets) + stable_pose(certificate, targets, discriminator.grid)).backward()
    assert volume.grad is not None and volume.grad.abs().max() > 0
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in discriminator.parameters())


def test_a_grid_too_small_for_its_levels_is_refused() -> None:
    with pytest.raises(InputError, match="cells"):
        Pose6DoF(replace(Contract(), slices=8))


def test_the_image_counts() -> None:
    torch.manual_seed(0)
    discriminator = Pose6DoF(PRESETS["toy32"], widths=(4, 6, 8))
    volume = torch.rand(1, 10, 32, 32, 32)
    dark, bright = (discriminator(torch.full((1, 3, 64, 64), v), volume) for v in (-1.0, 1.0))
    assert (dark - bright).abs().max() > 1e-3


def test_true_volumes_are_almost_certain_and_undecided_where_unknown() -> None:
    labels = torch.tensor([[[[0, 3, UNKNOWN]]]], dtype=torch.uint8)
    volume = true_volume(labels, 5)
    torch.testing.assert_close(volume.sum(1), torch.ones(1, 1, 1, 3))
    torch.testing.assert_close(volume[0, :, 0, 0, 1], torch.tensor([0.025, 0.025, 0.025, 0.9, 0.025]))
    torch.testing.assert_close(volume[0, :, 0, 0, 2], torch.full((5,), 0.2))


def test_generated_volumes_are_probabilities_with_a_gradient_where_the_truth_is_known() -> None:
    labels = torch.tensor([[[[0, UNKNOWN]]]], dtype=torch.uint8)
    logits = torch.randn(1, 5, 1, 1, 2, requires_grad=True)
    volume = generated_volume(logits, labels)
    torch.testing.assert_close(volume[..., 0], logits.softmax(1)[..., 0])
    torch.testing.assert_close(volume[..., 1], torch.full((1, 5, 1, 1), 0.2))
    volume.square().sum().backward()
    assert logits.grad is not None
    assert logits.grad[..., 0].any() and not logits.grad[..., 1].any()
