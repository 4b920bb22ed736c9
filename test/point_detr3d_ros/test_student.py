"""The student's shapes, its batches, its losses, and its exported graph."""

import math

import numpy as np
import pytest
import torch

from point_detr3d_ros.codec import encode
from point_detr3d_ros.encoder import batch_of
from point_detr3d_ros.losses import LossWeights, axis_error, detection_terms, total
from point_detr3d_ros.student import Deployed, Student
from voxbox_core.cloud import pillars
from voxbox_core.errors import InputError


def cloud(boxes, seed, count=1500):
    """Ground, and returns from the sides of the boxes: (P, 5), network frame."""
    rng = np.random.default_rng(seed)
    ground = np.concatenate([rng.uniform([-12.8, -6.4], [12.8, 6.4], (count, 2)), rng.normal(0, 0.02, (count, 1))], 1)
    shell = rng.uniform(-0.5, 0.5, (len(boxes), 60, 3))
    shell[..., 0] = np.where(rng.random(shell.shape[:2]) < 0.5, np.sign(shell[..., 0]) / 2, shell[..., 0])
    on = boxes.center[:, None] + (shell * boxes.size[:, None]) @ boxes.rotation().transpose(0, 2, 1)
    xyz = np.concatenate([ground, on.reshape(-1, 3)])
    return np.concatenate([xyz, np.full((len(xyz), 1), 0.3), np.zeros((len(xyz), 1))], 1).astype(np.float32)


@pytest.fixture
def batch(contract, scene):
    """Two clouds' pillars as tensors, with their targets stacked."""
    each, targets = [], []
    for seed in range(2):
        boxes = scene(seed)
        found = pillars(cloud(boxes, seed), contract.grid, contract.per_pillar, contract.max_pillars)
        each.append((torch.from_numpy(found.features), torch.from_numpy(found.cell)))
        targets.append(encode(boxes, contract))
    stacked = {name: torch.from_numpy(np.stack([t[name] for t in targets])) for name in targets[0]}
    return each, stacked


def test_a_cloud_alone_and_in_a_batch_are_seen_alike(contract, batch):
    each, _ = batch
    torch.manual_seed(0)
    student = Student(contract).eval()
    cells = contract.grid.nx * contract.grid.ny
    together = student(*batch_of(each, cells), 2)
    for i, (features, cell) in enumerate(each):
        alone = student(features, cell, 1)
        for part, whole in zip(alone, together):
            assert torch.allclose(part[0], whole[i], atol=1e-5)


def test_pillars_stand_where_their_cell_says(contract, batch):
    (features, cell), _ = batch[0]
    encoder = Student(contract).eval().lidar
    canvas = encoder.canvas(encoder.pillar(features), cell, 1)[0]
    nx = contract.grid.nx
    for row in (0, len(cell) // 2, len(cell) - 1):
        at = canvas[:, cell[row] // nx, cell[row] % nx]
        assert torch.equal(at, encoder.pillar(features)[row])
    assert canvas.flatten(1).any(0).sum() <= len(cell)


def test_it_learns_two_clouds_by_heart(contract, batch):
    each, targets = batch
    torch.manual_seed(0)
    student, weights = Student(contract), LossWeights(box=1.0)
    optimiser = torch.optim.AdamW(student.parameters(), 5e-3)
    inputs = batch_of(each, contract.grid.nx * contract.grid.ny)
    losses = []
    for _ in range(60):
        loss = total(detection_terms(student(*inputs, 2), targets, contract), weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_a_batch_without_objects_has_a_finite_loss(contract, batch):
    each, targets = batch
    empty = {name: torch.zeros_like(value) for name, value in targets.items()}
    maps = Student(contract)(*batch_of(each, contract.grid.nx * contract.grid.ny), 2)
    terms = detection_terms(maps, empty, contract)
    assert terms["box"].item() == 0 and terms["heatmap"].isfinite()


def test_the_axis_is_right_from_behind_and_worst_across():
    turn = torch.linspace(-math.pi, math.pi, 25, dtype=torch.float64)
    heading = torch.stack([(turn + 0.4).sin(), (turn + 0.4).cos()], -1)
    target = torch.tensor([math.sin(0.4), math.cos(0.4)], dtype=torch.float64)
    assert torch.allclose(axis_error(30 * heading, target), turn.sin().abs(), atol=4e-3)
    assert axis_error(torch.zeros(2), target).item() == pytest.approx(1, abs=1e-6)


def test_the_axis_is_not_learned_by_saying_nothing():
    heading = torch.tensor([0.01, -0.005], requires_grad=True)
    optimiser = torch.optim.SGD([heading], 0.05)
    for _ in range(200):
        optimiser.zero_grad()
        axis_error(heading, torch.tensor([1.0, 0.0])).backward()
        optimiser.step()
    assert heading.abs()[0] > 0.5 and axis_error(heading, torch.tensor([1.0, 0.0])) < 0.2


def test_a_negative_weight_is_refused():
    with pytest.raises(InputError, match="loss weight box"):
        LossWeights(box=-1.0)


def test_the_exported_graph_agrees_for_clouds_of_any_size(contract, batch, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(1)
    deployed = Deployed(Student(contract)).eval()
    (features, cell), other = batch[0][0], batch[0][1]
    path = tmp_path / "student.onnx"
    dynamic = {"features": {0: "pillars"}, "cell": {0: "pillars"}}
    torch.onnx.export(
        deployed, (features, cell), str(path), input_names=list(Deployed.INPUTS), output_names=list(deployed.outputs),
        dynamic_axes=dynamic, opset_version=17, dynamo=False,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    nothing = torch.zeros(1, contract.per_pillar, 10), torch.zeros(1, dtype=torch.int64)
    for inputs in ((features, cell), other, nothing):
        found = session.run(None, {"features": inputs[0].numpy(), "cell": inputs[1].numpy()})
        with torch.no_grad():
            expected = deployed(*inputs)
        score = expected[0][0].numpy()
        assert found[0][0] == pytest.approx(score, abs=1e-5)
        alone = (score > 0) & ((np.abs(score[:, None] - score[None]) < 1e-5).sum(1) == 1)  # order of equals is free
        for name, mine, theirs in zip(deployed.outputs, found, expected):
            assert mine[0][alone] == pytest.approx(theirs[0].numpy()[alone], abs=1e-4), name
