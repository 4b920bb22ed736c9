"""The teacher's three graphs say what the teacher says, for any number of prompts and cameras.

That exported files say the same is tested where they are made: test/voxbox/export.
"""

from dataclasses import replace

import pytest
import torch

from point_detr3d_ros.assist import CAMERAS
from point_detr3d_ros.images import Cameras
from point_detr3d_ros.teacher import Teacher
from point_detr3d_ros.teacher_deployed import ImagePyramid, LidarPyramid, PromptDecoder

AHEAD = torch.tensor([[32.0, -40.0, 0.0, 0.0], [16.0, 0.0, -40.0, 60.0], [1.0, 0.0, 0.0, 0.0]])


@pytest.fixture(scope="module", params=[{}, {"cameras": False, "reference": "learned", "roi_grid": 0}], ids=str)
def teacher(contract, request):
    torch.manual_seed(0)
    teacher = Teacher(replace(contract, **request.param))
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return teacher.eval()


@pytest.fixture(scope="module")
def cloud(contract):
    """50 pillars."""
    generator = torch.Generator().manual_seed(0)
    cell = torch.randperm(contract.grid.nx * contract.grid.ny, generator=generator)[:50]
    return torch.randn(50, contract.per_pillar, 10, generator=generator), cell


def prompts(contract, count):
    """Points, labels and boxes; every other one is a click."""
    generator = torch.Generator().manual_seed(count)
    points = 8 * torch.rand(count, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.2]) - torch.tensor([2, 4, 0.0])
    label = torch.randint(len(contract.classes), (count,), generator=generator)
    roi = torch.tensor([[4.0, 2.0, 1.5, 0.6, 0.8]]).repeat(count, 1)
    roi[::2] = 0.0
    return points, label, roi


def seen(contract, cameras):
    """Their images and matrices."""
    generator = torch.Generator().manual_seed(cameras)
    shape = (cameras, contract.image_height, contract.image_width, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator), AHEAD.repeat(cameras, 1, 1)


def slots(teacher, cameras):
    """The decoder's inputs of a frame with so many cameras; none for a teacher that has no eyes."""
    if teacher.images is None:
        return ()
    images, matrices = seen(teacher.contract, max(cameras, 1))
    (rows,) = ImagePyramid(teacher)(images)
    return rows, matrices, torch.full((len(rows),), float(cameras > 0))


@torch.no_grad()
@pytest.mark.parametrize("cameras", [0, 1, CAMERAS])
@pytest.mark.parametrize("count", [1, 23])
def test_the_graphs_in_turn_are_the_teacher(teacher, cloud, count, cameras) -> None:
    points, label, roi = prompts(teacher.contract, count)
    pyramid = teacher.encode_lidar(*cloud, 1)
    views = None
    if teacher.images is not None and cameras:
        images, matrices = seen(teacher.contract, cameras)
        views = Cameras.of_frames(teacher.encode_images(images), [matrices])
    expected = teacher.decode(pyramid, points, label, None, views, roi)
    (ground,) = LidarPyramid(teacher)(*cloud)
    score, center, size, heading = PromptDecoder(teacher)(ground, points, label, roi, *slots(teacher, cameras))
    assert score.shape == (count, len(teacher.contract.classes))
    for found, wanted in zip(
        (score, center, size, heading),
        (expected.score_logit.sigmoid(), expected.center, expected.size, expected.heading),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_pillars_may_be_repeated(teacher, cloud) -> None:
    """An engine of fixed size is filled up with one of them."""
    features, cell = cloud
    filled = torch.cat([features, features[:1].expand(9, -1, -1)]), torch.cat([cell, cell[:1].expand(9)])
    (rows,), (again,) = LidarPyramid(teacher)(features, cell), LidarPyramid(teacher)(*filled)
    torch.testing.assert_close(again, rows, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("teacher", [{}], indirect=True)
def test_slots_without_a_camera_may_hold_anything_or_not_be_there(teacher, cloud) -> None:
    decoder, (ground,) = PromptDecoder(teacher), LidarPyramid(teacher)(*cloud)
    asked = prompts(teacher.contract, 7)
    rows, matrices, valid = slots(teacher, CAMERAS)
    first = torch.tensor([1.0, 0, 0, 0, 0, 0])
    expected = decoder(ground, *asked, rows, matrices, first)
    assert not torch.allclose(decoder(ground, *asked, rows, matrices, valid)[1], expected[1])
    rows[1:], matrices[1:] = 1e3, -77.0
    for found in (
        decoder(ground, *asked, rows, matrices, first),
        decoder(ground, *asked, rows[:1], matrices[:1], first[:1]),
    ):
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_examples_fit_and_every_input_that_varies_has_more_than_one(teacher) -> None:
    parts = [LidarPyramid(teacher), PromptDecoder(teacher)]
    for module in parts + ([ImagePyramid(teacher)] if teacher.images is not None else []):
        names = module.inputs if isinstance(module, PromptDecoder) else module.INPUTS
        example = dict(zip(names, module.example(), strict=True))
        assert len(module(*example.values())) == len(module.OUTPUTS)
        for axis in module.DYNAMIC.values():
            assert len({len(example[name]) for name in names if module.DYNAMIC.get(name) == axis}) <= 1
        assert all(len(example[name]) > 1 for name in names if name in module.DYNAMIC)
