"""Two stages: the student's best boxes refined, none of them lost, none carried off, and best first."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from point_detr3d_ros.assist import MOST_PROMPTS, Assist
from point_detr3d_ros.detector import PointDETR3D
from point_detr3d_ros.fused import Fused, fused
from point_detr3d_ros.teacher import Teacher
from point_detr3d_ros.teacher_deployed import ImagePyramid, LidarPyramid, PromptDecoder
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import View
from voxbox_core.errors import InputError
from voxbox_core.runtime import DeployedModule
from voxbox_core.runtime.torch import Runner

HEIGHT = 1.6  # m
AHEAD = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.1], [1, 0, 0, -0.2], [0, 0, 0, 1]])
CAMERA = Camera(np.array([[40.0, 0, 31.5], [0, 40, 15.5], [0, 0, 1]]), 64, 32)


def boxes(contract, count):
    """All over the range, none near another; best first."""
    places = np.array([(x, y) for x in np.arange(-11.0, 12, 2.5) for y in np.arange(-5.5, 6, 1.2)])[:count]
    label = np.full(count, contract.classes.index("Pedestrian"))
    return Boxes3D(
        center=np.column_stack([places, np.full(count, 0.9 - HEIGHT)]),
        size=np.tile([0.8, 0.6, 1.8], (count, 1)),
        yaw=np.linspace(-3, 3, count),
        label=label,
        score=np.linspace(0.9, 0.2, count),
        box2d=np.full((count, 4), np.nan),
        classes=contract.classes,
        axes=Axes.BODY,
    )


@pytest.fixture(scope="module")
def assist(contract):
    torch.manual_seed(0)
    teacher = Teacher(contract).eval()
    parts = LidarPyramid(teacher), ImagePyramid(teacher), PromptDecoder(teacher)
    return Assist(contract, *(Runner(DeployedModule(part, part.OUTPUTS, {})) for part in parts))


@pytest.fixture
def detector(contract):
    """Finds 80 boxes, whatever the cloud."""
    found = boxes(contract, 80)
    outputs = {
        "score": found.score,
        "label": found.label,
        "center": found.center + np.array([0, 0, HEIGHT]),
        "size": found.size,
        "heading": np.column_stack([np.sin(found.yaw), np.cos(found.yaw)]),
    }
    return PointDETR3D(contract, lambda inputs: {name: values[None] for name, values in outputs.items()}, 0.1)


@pytest.fixture(scope="module")
def cloud():
    rng = np.random.default_rng(0)
    xyz = rng.uniform((-6, -6, -1.5), (6, 6, 1), (400, 3))
    return np.concatenate([xyz, rng.uniform(0, 1, (400, 1)), np.zeros((400, 1))], 1).astype(np.float32)


def near(found, place):
    """Index of the box nearest to a place, and how far away it is."""
    distance = np.linalg.norm(found.center[:, :2] - place[:2], axis=1)
    return int(distance.argmin()), distance.min()


def test_the_best_are_refined_and_the_others_stay(contract, detector, assist, cloud) -> None:
    first = detector(cloud, HEIGHT)
    refined = assist.refine(assist.encode(cloud, HEIGHT), first[:MOST_PROMPTS])
    assert np.linalg.norm(refined.center - first.center[:MOST_PROMPTS], axis=1).max() < 2.0
    expected = detector.best_of_each_place(Boxes3D.concatenate([fused(first[:MOST_PROMPTS], refined), first[64:]]))
    found = Fused(detector, assist)(cloud, HEIGHT)
    assert len(found) == len(expected) > MOST_PROMPTS
    assert (np.diff(found.score) <= 0).all()
    np.testing.assert_allclose(found.center, expected.center, atol=1e-5)
    for i in range(MOST_PROMPTS, 80):  # of which none was asked
        at, distance = near(found, first.center[i])
        assert distance == 0
        assert found.score[at] == first.score[i]
    assert (found.size != first.size[0]).any(1).sum() > 32  # the student's are all of one size


def test_a_box_is_refined_alike_alone_and_in_company(contract, assist, cloud) -> None:
    encoded = assist.encode(cloud, HEIGHT)
    many = boxes(contract, 100)
    together = assist.refine(encoded, many)
    order = np.random.default_rng(0).permutation(100)
    for index in (order, [99], [3]):
        alone = assist.refine(encoded, many[index])
        for name in ("center", "size", "yaw", "score"):
            np.testing.assert_allclose(getattr(alone, name), getattr(together, name)[index], atol=1e-4)
    assert len(assist.refine(encoded, many[:0])) == 0


def test_refining_looks_at_the_box_and_at_the_images(contract, assist, cloud) -> None:
    found = boxes(contract, 80)
    encoded = assist.encode(cloud, HEIGHT)
    plain = assist.refine(encoded, found)
    assert not np.allclose(assist.refine(encoded, replace(found, yaw=found.yaw + 1)).center, plain.center, atol=1e-4)
    assert not np.allclose(assist.refine(encoded, replace(found, size=2 * found.size)).center, plain.center, atol=1e-4)
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)
    seen = assist.refine(assist.encode(cloud, HEIGHT, [View("front", image, CAMERA, AHEAD)]), found)
    assert not np.allclose(seen.center, plain.center, atol=1e-5)


def test_what_would_be_carried_off_stays(contract) -> None:
    found = boxes(contract, 4)
    moved = found.center + np.array([[0.5, 0, 0], [0, 2.1, 0], [0, 0, 0], [0, 1.9, 0]])
    yaw = np.array([0.1, 0.2, np.nan, 0.4])
    refined = replace(found, center=moved, yaw=yaw, size=2 * found.size, score=np.array([0.4, 0.5, 0.6, 0.0]))
    result = fused(found, refined)
    for i in (1, 2):
        assert np.array_equal(result.center[i], found.center[i])
        assert (result.yaw[i], result.score[i]) == (found.yaw[i], found.score[i])
    for i in (0, 3):
        assert np.array_equal(result.center[i], moved[i]) and np.array_equal(result.size[i], 2 * found.size[i])
    assert result.score[0] == pytest.approx(np.sqrt(0.9 * 0.4))
    assert result.score[3] == 0


def test_two_that_meet_become_one(contract, detector, assist, cloud, monkeypatch) -> None:
    def drawn_together(encoded, found):
        center = found.center.copy()
        center[1] = center[0]
        return replace(found, center=center)

    monkeypatch.setattr(assist, "refine", drawn_together)
    first = detector(cloud, HEIGHT)
    found = Fused(detector, assist)(cloud, HEIGHT)
    assert len(found) == len(first) - 1
    assert near(found, first.center[1])[1] > 0.5


def test_nothing_found_is_nothing_refined(contract, detector, assist) -> None:
    detect = Fused(detector, assist)
    assert len(detect(np.zeros((0, 5), np.float32), HEIGHT)) == 0
    assert len(detect(np.full((9, 5), np.nan, np.float32), HEIGHT)) == 0


def test_the_time_it_took_is_told_by_part(detector, assist, cloud) -> None:
    detect = Fused(detector, assist)
    detect(cloud, HEIGHT)
    assert list(detect.stages) == ["pillars", "inference", "postprocess", "encode_lidar", "encode_images", "refine"]


def test_models_of_other_classes_are_refused(contract, detector, assist) -> None:
    other = Assist(replace(contract, classes=contract.classes[::-1]), assist._lidar, None, assist._decoder)
    with pytest.raises(InputError, match="classes of the assistant"):
        Fused(detector, other)
