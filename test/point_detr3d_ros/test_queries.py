"""What a prompt's query says."""

import math
from dataclasses import replace

import pytest
import torch

from point_detr3d_ros.queries import Queries, sine


def test_sine_is_the_published_formula() -> None:
    found = sine(torch.tensor([0.0, 1.7, -3.0]), 6)
    for row, t in zip(found, (0.0, 1.7, -3.0), strict=True):
        for k in range(6):
            angle = t / 10000 ** (2 * (k // 2) / 6)
            expected = math.sin(angle) if k % 2 == 0 else math.cos(angle)
            assert row[k].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("dim", "channels"), [(256, 42), (64, 10), (16, 2)])
def test_position_says_place_size_and_heading(contract, dim, channels) -> None:
    queries = Queries(replace(contract, dim=dim))
    points = torch.tensor([[3.2, -1.6, 0.5]])
    (found,) = queries.position(points, torch.tensor([[10.1, 2.6, 3.2]]), torch.tensor([[0.6, -0.8]]))
    normal = [
        (v - low) / (high - low) for v, (low, high) in zip((3.2, -1.6, 0.5), (contract.x, contract.y, contract.z))
    ]
    length, width, height = 10.1, 2.6, 3.2
    place = [2 * math.pi * n for n in normal]
    values = (place[1], place[0], place[2], width, length, height)
    expected = torch.cat([sine(torch.tensor(v), channels) for v in values])
    torch.testing.assert_close(found[: 6 * channels], expected, rtol=0, atol=1e-6)
    assert found[6 * channels :].tolist() == pytest.approx([0.6, -0.8] + [0.0] * (dim - 6 * channels - 2))


def test_the_class_is_in_the_content_alone_and_the_reference_is_the_click(contract) -> None:
    queries = Queries(contract)
    points = torch.tensor([[1.0, 2.0, 0.5]] * 2)
    content, position, reference = queries(points, torch.tensor([0, 3]), torch.ones(2, 3), torch.zeros(2, 2))
    assert torch.equal(position[0], position[1])
    assert not torch.allclose(content[0], content[1])
    assert torch.equal(reference, points)


def test_a_learned_reference_lies_in_the_range_and_learns(contract) -> None:
    queries = Queries(replace(contract, reference="learned"))
    points = torch.tensor([[1.0, 2.0, 0.5], [-9.0, -5.0, 1.0]])
    _, _, reference = queries(points, torch.tensor([0, 3]), torch.ones(2, 3), torch.zeros(2, 2))
    for axis, (low, high) in enumerate((contract.x, contract.y, contract.z)):
        assert ((reference[:, axis] > low) & (reference[:, axis] < high)).all()
    assert not torch.allclose(reference, points)
    reference.sum().backward()
    assert queries.reference.weight.grad.any()
