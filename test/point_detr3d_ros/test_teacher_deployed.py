"""The exported graphs against torch, value by value, for any number of prompts and cameras."""

import logging
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from point_detr3d_ros.assist import CAMERAS
from point_detr3d_ros.teacher import Teacher
from point_detr3d_ros.teacher_deployed import ImagePyramid, LidarPyramid, PromptDecoder, no_cameras

# Operations that some engine lacks, computes otherwise, or that make shapes depend on data.
UNWANTED = {"GridSample", "NonZero", "Einsum", "Unique", "Loop", "If", "Compress", "AffineGrid"}


@pytest.fixture(scope="module")
def teacher(contract):
    torch.manual_seed(0)
    teacher = Teacher(contract)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return teacher.eval()


@pytest.fixture(scope="module")
def session(teacher, tmp_path_factory):
    """A part of the teacher, and the same exported and opened."""

    @cache
    def of(part):
        module = part(teacher).eval()
        return module, exported(module, tmp_path_factory.mktemp("onnx") / "part.onnx")

    return of


def exported(module, path):
    inputs = module.inputs if isinstance(module, PromptDecoder) else module.INPUTS
    shapes = tuple({0: module.DYNAMIC[name]} if name in module.DYNAMIC else None for name in inputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            module.example(),
            path,
            input_names=list(inputs),
            output_names=list(module.OUTPUTS),
            dynamic_shapes=shapes,
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    assert not UNWANTED & {node.op_type for node in graph.graph.node}
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def compared(module, engine, inputs, tolerance=1e-4):
    """The outputs, once torch and the engine agree on them."""
    with torch.no_grad():
        expected = module(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    feed = {i.name: x.numpy() for i, x in zip(engine.get_inputs(), inputs, strict=True)}
    for name, found, wanted in zip(module.OUTPUTS, engine.run(None, feed), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), atol=tolerance, rtol=1e-4, err_msg=name)
    return expected


def test_lidar_pyramid(session, contract) -> None:
    module, engine = session(LidarPyramid)
    generator = torch.Generator().manual_seed(0)
    for count in (1, 50, 200):
        features = torch.randn(count, contract.per_pillar, 10, generator=generator)
        cell = torch.randperm(contract.grid.nx * contract.grid.ny, generator=generator)[:count]
        (rows,) = compared(module, engine, (features, cell))
        # An engine of fixed size is filled up with one of the pillars.
        filled = (torch.cat([features, features[:1].expand(9, -1, -1)]), torch.cat([cell, cell[:1].expand(9)]))
        torch.testing.assert_close(compared(module, engine, filled)[0], rows, atol=1e-5, rtol=1e-5)


def test_image_pyramid(session, contract) -> None:
    module, engine = session(ImagePyramid)
    for count in (1, CAMERAS):
        shape = (count, contract.image_height, contract.image_width, 3)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(count))
        compared(module, engine, (images,))


def frame(module, prompts, cameras):
    contract = module.contract
    generator = torch.Generator().manual_seed(prompts)
    ground = torch.randn(module.example()[0].shape, generator=generator)
    points = 8 * torch.rand(prompts, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.2]) - torch.tensor([2, 4, 0.0])
    label = torch.randint(len(contract.classes), (prompts,), generator=generator)
    roi = torch.cat([torch.full((prompts, 3), 2.0), torch.tensor([[0.6, 0.8]]).expand(prompts, -1)], 1)
    roi[::2] = 0.0  # every other one is a click
    rows, matrix, valid = no_cameras(contract, max(cameras, 1))
    rows[:cameras] = torch.randn(cameras, *rows.shape[1:], generator=generator)
    ahead = torch.tensor([[32.0, -40.0, 0.0, 0.0], [16.0, 0.0, -40.0, 60.0], [1.0, 0.0, 0.0, 0.0]])
    matrix[:cameras] = ahead
    valid[:cameras] = 1.0
    return ground, points, label, roi, rows, matrix, valid


@pytest.mark.parametrize("cameras", [0, 1, 6])
@pytest.mark.parametrize("prompts", [1, 7, 23, 64])
def test_prompt_decoder(session, contract, prompts, cameras) -> None:
    module, engine = session(PromptDecoder)
    inputs = frame(module, prompts, cameras)
    score, center, size, heading = compared(module, engine, inputs)
    assert score.shape == (prompts, len(contract.classes))
    assert center.shape == size.shape == (prompts, 3)
    assert heading.shape == (prompts, 2)
    # The last prompt alone.
    ground, points, label, roi, *rest = inputs
    alone = compared(module, engine, (ground, points[-1:], label[-1:], roi[-1:], *rest))
    torch.testing.assert_close(alone[1], center[-1:], atol=1e-5, rtol=1e-5)


def test_slots_without_a_camera_may_hold_anything(session) -> None:
    module, engine = session(PromptDecoder)
    *inputs, valid = frame(module, 7, 6)
    some = torch.tensor([1.0, 0, 0, 0, 0, 0])
    expected = compared(module, engine, (*inputs, some))
    inputs[4][1:], inputs[5][1:] = 1e3, -77.0
    for found, wanted in zip(compared(module, engine, (*inputs, some)), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(module(*inputs, valid)[1], expected[1])
    # Nor need they be there at all.
    *prompts, rows, matrix = inputs
    for found, wanted in zip(compared(module, engine, (*prompts, rows[:1], matrix[:1], some[:1])), expected):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_lidar_alone_without_grids_from_a_learned_reference(contract, tmp_path) -> None:
    torch.manual_seed(0)
    module = PromptDecoder(Teacher(replace(contract, cameras=False, reference="learned", roi_grid=0))).eval()
    inputs = frame(module, 7, 0)[: len(module.inputs)]
    compared(module, exported(module, tmp_path / "part.onnx"), inputs)
