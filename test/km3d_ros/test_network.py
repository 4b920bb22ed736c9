"""KM3D-Net has the published size and shapes; the deployed graph is the network, the codec and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from km3d_ros.codec import decode
from km3d_ros.contract import Contract
from km3d_ros.network import RARE, Deployed, KM3DNet, normalise

# Parameters of the published DLA-34 that this one lacks: two projections whose output nothing uses.
DLA_UNUSED = 41_728


@pytest.mark.parametrize(
    ("contract", "count"),
    [
        (Contract(), 16_703_152),
        (Contract(auxiliary_heads=False), 16_112_097),
        (Contract(backbone="dla34", neck="dla", head_channels=256), 20_552_912 - DLA_UNUSED),
        (Contract(backbone="dla34", neck="dla", head_channels=256, auxiliary_heads=False), 19_958_209 - DLA_UNUSED),
    ],
    ids=["resnet18", "resnet18-5-heads", "dla34", "dla34-5-heads"],
)
def test_published_parameter_counts(contract: Contract, count: int) -> None:
    assert sum(p.numel() for p in KM3DNet(contract).parameters()) == count


@pytest.mark.parametrize(
    "contract",
    [
        Contract(width=0.25, head_channels=8, input_width=128, input_height=64),
        Contract(width=0.25, neck="skip", head_channels=8, input_width=128, input_height=64, auxiliary_heads=False),
        Contract(backbone="dla34", neck="dla", head_channels=8, input_width=128, input_height=64),
    ],
    ids=["deconv", "skip", "dla"],
)
def test_maps_and_their_beginning(contract: Contract) -> None:
    torch.manual_seed(0)
    network = KM3DNet(contract)
    maps = network(torch.randn(2, 3, 64, 128))
    assert {name: tuple(value.shape) for name, value in maps.items()} == {
        name: (2, channels, 16, 32) for name, channels in contract.heads.items()
    }
    assert abs(maps["hm"].mean() - RARE) < 0.5
    assert abs(maps["hps"].mean()) < 0.5
    sum(value.square().sum() for value in maps.values()).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_normalise_is_per_channel_in_rgb_order() -> None:
    image = torch.tensor([0, 128, 255], dtype=torch.uint8).expand(1, 2, 4, 3)
    x = normalise(image)
    assert x.shape == (1, 3, 2, 4)
    expected = [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(x[0, :, 0, 0], expected, rtol=1e-5)


@pytest.fixture
def small(contract: Contract) -> Contract:
    return replace(contract, input_width=128, input_height=64, max_detections=8)


def lively(contract: Contract) -> Deployed:
    """A deployed network whose untrained heads at least differ from cell to cell, with keypoints spread over cells."""
    torch.manual_seed(0)
    network = KM3DNet(contract)
    for name, head in network.heads.items():
        torch.nn.init.normal_(head[2].weight, std=3.0 if name == "hps" else 0.1)
    with torch.no_grad():
        for _ in range(5):  # batch norms that have seen images
            network(torch.randn(2, 3, contract.input_height, contract.input_width))
    return Deployed(network).eval()


@torch.no_grad()
def test_deployed_is_network_and_decode(small: Contract) -> None:
    deployed = lively(small)
    image, intrinsics, grid_to_image = deployed.example()
    image = torch.randint(0, 256, image.shape, dtype=torch.uint8)
    outputs = dict(zip(Deployed.OUTPUTS, deployed(image, intrinsics, grid_to_image), strict=True))
    expected = decode(small, deployed.network(normalise(image)), intrinsics, grid_to_image)
    assert outputs.keys() == expected.keys()
    for name, value in outputs.items():
        torch.testing.assert_close(value, expected[name])
    k = small.max_detections
    assert {name: tuple(v.shape) for name, v in outputs.items()} == {
        "center": (1, k, 3), "size": (1, k, 3), "yaw": (1, k), "score": (1, k),
        "label": (1, k), "box2d": (1, k, 4), "keypoints": (1, k, 9, 2), "depth": (1, k, 2),
    }  # fmt: skip


@torch.no_grad()
def test_deployed_computes_only_heads_it_needs(small: Contract) -> None:
    deployed = lively(small)
    del deployed.network.heads["hm_hp"], deployed.network.heads["hp_offset"]
    assert len(deployed(*deployed.example())) == len(Deployed.OUTPUTS)


def test_a_neck_of_deformable_convolutions_deploys_too() -> None:
    contract = Contract(backbone="dla34", neck="dla", head_channels=8, input_width=64, input_height=32)
    deployed = Deployed(KM3DNet(contract)).eval()
    program = torch.export.export(deployed, deployed.example())  # the first half of the ONNX export
    with torch.no_grad():
        for found, expected in zip(program.module()(*deployed.example()), deployed(*deployed.example()), strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("change", [{}, {"auxiliary_heads": False, "keypoints_used": 4}, {"depth_head": True}])
def test_the_exported_graph_gives_the_same_boxes(small: Contract, tmp_path, change: dict) -> None:
    """By value, box by box: engines order near ties differently."""
    ort = pytest.importorskip("onnxruntime")
    deployed = lively(replace(small, **change))
    image, intrinsics, grid_to_image = deployed.example()
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, image.shape, np.uint8))
    inputs = (image, intrinsics, grid_to_image)
    file = tmp_path / "model.onnx"
    torch.onnx.export(
        deployed, inputs, file, input_names=Deployed.INPUTS, output_names=Deployed.OUTPUTS,
        opset_version=18, dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    session = ort.InferenceSession(file)
    found = session.run(Deployed.OUTPUTS, {n: v.numpy() for n, v in zip(Deployed.INPUTS, inputs, strict=True)})
    with torch.no_grad():
        expected = [value.numpy() for value in deployed(*inputs)]
    keypoints = Deployed.OUTPUTS.index("keypoints")
    for i in range(small.max_detections):
        distance = np.abs(found[keypoints][0] - expected[keypoints][0, i]).max((-1, -2))
        j = int(distance.argmin())
        assert distance[j] < 1e-2
        for name, a, b in zip(Deployed.OUTPUTS, found, expected, strict=True):
            np.testing.assert_allclose(a[0, j], b[0, i], rtol=1e-3, atol=1e-3, err_msg=name)
