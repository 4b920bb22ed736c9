"""What is exported is the trained network, with its batch norms folded and its answer in bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ssz_ros.contract import Contract
from ssz_ros.network import Deployed, build, normalise
from ssz_ros.rewrites import folded
from voxbox.export.onnx_graph import write_onnx

VOLUMES = Contract(slices=8, rows=8, columns=16, encoder=(8, 12, 16), decoder=(12, 10), expansion=2, architecture="ssz")
VARIANTS = {
    "c2d": replace(VOLUMES, architecture="c2d"),
    "pointwise": VOLUMES,
    "depthwise": replace(VOLUMES, order="depthwise_first"),
    "plain": replace(VOLUMES, inverted_2d=False, inverted_3d=False),
    "zgan": replace(VOLUMES, architecture="zgan"),
}
each_variant = pytest.mark.parametrize("contract", VARIANTS.values(), ids=VARIANTS)


def lively(contract: Contract) -> nn.Module:
    """A network whose batch norms are far from the identity, and whose answers differ from cell to cell."""
    torch.manual_seed(0)
    network = build(contract)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
            part.momentum = None  # the average of all batches
    with torch.no_grad():
        for _ in range(3):
            network(normalise(picture(contract, 4)))
    return network.eval()


def picture(contract: Contract, count: int = 1) -> torch.Tensor:
    width, height = contract.input_size
    values = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    return torch.from_numpy(values)


def assert_same_labels(labels: torch.Tensor, logits: torch.Tensor) -> None:
    """Wherever the two best classes are further apart than rounding."""
    best = logits.topk(2, dim=1).values
    clear = best[:, 0] - best[:, 1] > 1e-4
    assert clear.float().mean() > 0.99
    assert torch.equal(labels[clear], logits.argmax(1)[clear].to(torch.uint8))


def test_normalise() -> None:
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 2, 4, 3)
    x = normalise(image)
    assert x.shape == (1, 3, 2, 4)
    np.testing.assert_allclose(x[0, :, 1, 2], [-1, -0.6, 1], rtol=1e-6)


@each_variant
@torch.no_grad()
def test_folding_changes_nothing(contract: Contract) -> None:
    network = lively(contract)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = normalise(picture(contract, 2))
    expected, copy = network(image), folded(network)
    torch.testing.assert_close(copy(image), expected, rtol=1e-5, atol=1e-5)
    assert not [part for part in copy.modules() if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d)]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@each_variant
@torch.no_grad()
def test_labels_are_the_best_classes_of_the_trained_network(contract: Contract) -> None:
    network = lively(contract)
    image = picture(contract)
    (labels,) = Deployed(network)(image)
    assert labels.dtype == torch.uint8
    assert labels.shape == (1, *contract.fruxel.shape)
    assert_same_labels(labels, network(normalise(image)))
    assert len(labels.unique()) > 3


@torch.no_grad()
def test_probability_is_that_of_the_label() -> None:
    network = lively(VARIANTS["c2d"])
    network.head.weight.mul_(20)
    image = picture(network.contract)
    deployed = Deployed(network, probability=True)
    labels, probability = deployed(image)
    expected = network(normalise(image)).softmax(1).amax(1) * 255
    assert deployed.outputs == ("labels", "probability")
    assert probability.dtype == torch.uint8
    assert (probability.float() - expected).abs().max() < 0.51
    assert probability.max() > 250 and probability.min() < 100
    assert torch.equal(labels, Deployed(network)(image)[0])


@each_variant
@torch.no_grad()
def test_rewrites_change_operations_and_not_numbers(contract: Contract) -> None:
    network = lively(contract)
    image = normalise(picture(contract))
    rewritten = Deployed(network).network
    torch.testing.assert_close(rewritten(image), network(image), rtol=1e-5, atol=1e-5)
    assert Deployed(network, rewritten=False).network is network
    depthwise = [part for part in rewritten.modules() if isinstance(part, nn.ConvTranspose3d) and part.groups > 1]
    assert not depthwise


def session_of(deployed: Deployed, file: Path):
    ort = pytest.importorskip("onnxruntime")
    write_onnx(deployed, deployed.example(), deployed.INPUTS, deployed.outputs, {"system": "ssz"}, file)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(file, options)


@pytest.mark.parametrize("name", ["c2d", "pointwise", "zgan"])
def test_onnx_runtime_says_the_same(name: str, tmp_path: Path) -> None:
    contract = VARIANTS[name]
    network = lively(contract)
    image = picture(contract)
    session = session_of(Deployed(network, probability=True), tmp_path / "model.onnx")
    found, probability = session.run(["labels", "probability"], {"image": image.numpy()})
    assert found.dtype == probability.dtype == np.uint8
    with torch.no_grad():
        logits = network(normalise(image))
    assert_same_labels(torch.from_numpy(found), logits)
    assert np.abs(probability - (255 * logits.softmax(1).amax(1)).numpy()).max() < 0.51
    assert len(session.get_outputs()) == 2


def test_onnx_of_the_paper_has_ordinary_convolutions_only(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    network, file = lively(VARIANTS["depthwise"]), tmp_path / "model.onnx"
    image = picture(network.contract)
    (found,) = session_of(Deployed(network), file).run(["labels"], {"image": image.numpy()})
    with torch.no_grad():
        assert_same_labels(torch.from_numpy(found), network(normalise(image)))
    kinds = {node.op_type for node in onnx.load(file).graph.node}
    assert not kinds & {"ConvTranspose", "BatchNormalization"}
