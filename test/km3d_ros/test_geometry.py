"""The geometric reasoning module against projection, least squares, its closed-form gradient, and bad input."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from km3d_ros.contract import KEYPOINT_CHOICES
from km3d_ros.geometry import (
    KEYPOINTS,
    MIRRORED,
    SUBSETS,
    draw_kept_keypoints,
    fit_location,
    keypoint_offsets,
    project_keypoints,
    ray_angle,
    subset_weights,
    wrap,
)
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.image import letterbox

INTRINSICS = torch.tensor([[721.5, 0.0, 609.6], [0.0, 707.0, 172.9], [0.0, 0.0, 1.0]], dtype=torch.float64)


def random_boxes(count: int = 64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Centres, sizes and yaws, float64, of boxes between 5 and 80 m."""
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(count, 7, generator=generator, dtype=torch.float64)
    depth = 5 + 75 * unit[:, 0]
    center = torch.stack([(unit[:, 1] - 0.5) * depth, 2 * unit[:, 2] - 0.5, depth], -1)
    size = 0.5 + 4 * unit[:, 3:6]
    return center, size, (2 * unit[:, 6] - 1) * math.pi


def test_keypoints_are_the_corners_of_boxes_and_the_centre() -> None:
    center, size, yaw = random_boxes(8)
    zero = np.zeros(8)
    boxes = Boxes3D(center.numpy(), size.numpy(), yaw.numpy(), zero, zero, np.zeros((8, 4)), ("Car",))
    keypoints = (center[:, None] + keypoint_offsets(size, yaw)).numpy()
    np.testing.assert_allclose(keypoints[:, :8], boxes.corners(), atol=1e-12)
    np.testing.assert_allclose(keypoints[:, 8], boxes.center, atol=1e-12)
    expected, _ = Camera(INTRINSICS.numpy(), 1242, 375).project(keypoints)
    np.testing.assert_allclose(project_keypoints(center, size, yaw, INTRINSICS).numpy(), expected, atol=1e-8)


@pytest.mark.parametrize("count", KEYPOINT_CHOICES)
def test_projection_and_solution_are_inverse(count: int) -> None:
    center, size, yaw = random_boxes()
    keypoints = project_keypoints(center, size, yaw, INTRINSICS)
    found, valid = fit_location(keypoints, size, yaw, INTRINSICS, subset_weights(count, size).expand(len(yaw), -1))
    assert valid.all()
    torch.testing.assert_close(found, center, atol=1e-6, rtol=0)


def test_it_is_the_weighted_least_squares_solution() -> None:
    center, size, yaw = random_boxes(16)
    generator = torch.Generator().manual_seed(1)
    keypoints = project_keypoints(center, size, yaw, INTRINSICS)
    keypoints = keypoints + 3 * torch.randn(keypoints.shape, generator=generator, dtype=torch.float64)
    weights = 0.1 + torch.rand(16, KEYPOINTS, generator=generator, dtype=torch.float64)
    a, b = equations(keypoints, size, yaw)
    root = weights.repeat(1, 2).sqrt()[..., None]
    expected = torch.linalg.lstsq(root * a, root * b[..., None]).solution[..., 0]
    found, _ = fit_location(keypoints, size, yaw, INTRINSICS, weights)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)


def test_a_known_depth_is_one_more_equation() -> None:
    """Of the weight trust / (1 - trust) times what the keypoints together weigh for the depth."""
    center, size, yaw = random_boxes(16)
    generator = torch.Generator().manual_seed(5)
    keypoints = project_keypoints(center, size, yaw, INTRINSICS)
    keypoints = keypoints + 3 * torch.randn(keypoints.shape, generator=generator, dtype=torch.float64)
    known = torch.stack([center[:, 2] * 1.1, torch.linspace(0.0, 0.95, 16, dtype=torch.float64)], -1)
    a, b = equations(keypoints, size, yaw)
    seen = torch.stack([a[:, :9, 2], a[:, 9:, 2]], -1)
    spread = (seen - seen.mean(1, keepdim=True)).square().sum((1, 2))
    root = (known[:, 1] / (1 - known[:, 1]) * spread).sqrt()
    row = root[:, None, None] * torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    a, b = torch.cat([a, row], 1), torch.cat([b, (root * known[:, 0])[:, None]], 1)
    expected = torch.linalg.lstsq(a, b[..., None]).solution[..., 0]
    found, _ = fit_location(keypoints, size, yaw, INTRINSICS, depth=known)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("bad", [[math.nan, 0.5], [math.inf, 0.5], [20.0, math.nan]])
def test_a_depth_that_is_none_is_not_trusted(bad: list[float]) -> None:
    center, size, yaw = random_boxes(2)
    keypoints = project_keypoints(center, size, yaw, INTRINSICS)
    known = torch.tensor([bad, [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    found, valid = fit_location(keypoints, size, yaw, INTRINSICS, depth=known)
    assert valid.all()
    torch.testing.assert_close(found[0], center[0], atol=1e-6, rtol=0)
    assert found[1, 2].item() == pytest.approx(1.0)
    found.sum().backward()
    assert known.grad is not None
    assert known.grad.isfinite().all()


def equations(keypoints: Tensor, size: Tensor, yaw: Tensor) -> tuple[Tensor, Tensor]:
    """A (..., 18, 3) and b (..., 18) of A T = b: nine u rows, then nine v rows."""
    focal, principal = INTRINSICS[[0, 1], [0, 1]], INTRINSICS[:2, 2]
    u, v = ((keypoints - principal) / focal).unbind(-1)
    x, y, z = keypoint_offsets(size, yaw).unbind(-1)
    one, zero = torch.ones_like(u), torch.zeros_like(u)
    a = torch.cat([torch.stack([-one, zero, u], -1), torch.stack([zero, -one, v], -1)], -2)
    return a, torch.cat([x - u * z, y - v * z], -1)


def test_gradient_equals_the_closed_form() -> None:
    """dT/du = N^-1 (e3 w r_u - a_u w (o_z + Tz)) / fx, with N = A'WA and r = b - AT; likewise v."""
    center, size, yaw = (x[0] for x in random_boxes(1))
    generator = torch.Generator().manual_seed(2)
    exact = project_keypoints(center, size, yaw, INTRINSICS)
    keypoints = exact + torch.randn(exact.shape, generator=generator, dtype=torch.float64)
    weights = 0.1 + torch.rand(KEYPOINTS, generator=generator, dtype=torch.float64)

    found = torch.autograd.functional.jacobian(
        lambda k: fit_location(k, size, yaw, INTRINSICS, weights)[0], keypoints
    )  # (3, 9, 2)

    a, b = equations(keypoints, size, yaw)
    w = weights.repeat(2)
    inverse = torch.linalg.inv(a.T @ (w[:, None] * a))
    solution = inverse @ (a.T @ (w * b))
    residual = b - a @ solution
    depth = keypoint_offsets(size, yaw)[:, 2].repeat(2) + solution[2]
    last_axis = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    columns = inverse @ ((w * residual)[:, None] * last_axis - (w * depth)[:, None] * a).T  # (3, 18)
    expected = columns.reshape(3, 2, KEYPOINTS).transpose(1, 2) / INTRINSICS[[0, 1], [0, 1]]
    assert (found - expected).abs().max() < 1e-9


def test_mirrored_keypoints_give_the_mirrored_place() -> None:
    center, size, yaw = random_boxes()
    noise = torch.randn(64, KEYPOINTS, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    keypoints = project_keypoints(center, size, yaw, INTRINSICS) + noise
    camera = Camera(INTRINSICS.numpy(), 1242, 375)
    flipped = keypoints[:, list(MIRRORED)] * torch.tensor([-1.0, 1.0]) + torch.tensor([camera.width - 1.0, 0.0])
    there, _ = fit_location(keypoints, size, yaw, INTRINSICS)
    mirrored, _ = fit_location(flipped, size, wrap(math.pi - yaw), torch.from_numpy(camera.flipped().intrinsics))
    torch.testing.assert_close(mirrored, there * torch.tensor([-1.0, 1.0, 1.0]), atol=1e-8, rtol=0)


def test_an_affine_of_image_and_camera_changes_nothing() -> None:
    center, size, yaw = random_boxes()
    noise = torch.randn(64, KEYPOINTS, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    keypoints = project_keypoints(center, size, yaw, INTRINSICS) + noise
    affine = torch.from_numpy(letterbox(1242, 375, 640, 192))
    camera = Camera(INTRINSICS.numpy(), 1242, 375).warped(affine.numpy(), 640, 192)
    moved = keypoints @ affine[:, :2].T + affine[:, 2]
    there, _ = fit_location(keypoints, size, yaw, INTRINSICS)
    again, _ = fit_location(moved, size, yaw, torch.from_numpy(camera.intrinsics))
    torch.testing.assert_close(again, there, atol=1e-8, rtol=0)


BAD_BOX = ("nan-size", "inf-size", "nan-yaw")
BAD_WEIGHT = ("no-weight", "one-keypoint", "negative-weight", "nan-weight")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda k, s, y, w: k.fill_(300.0),
        lambda k, s, y, w: k.zero_(),
        lambda k, s, y, w: k.fill_(math.nan),
        lambda k, s, y, w: k[..., 1:, :].fill_(math.inf),
        lambda k, s, y, w: k.fill_(1e30),
        lambda k, s, y, w: s.fill_(math.nan),
        lambda k, s, y, w: s.fill_(math.inf),
        lambda k, s, y, w: y.fill_(math.nan),
        lambda k, s, y, w: w.zero_(),
        lambda k, s, y, w: w[..., 1:].zero_(),
        lambda k, s, y, w: w.fill_(-1.0),
        lambda k, s, y, w: w.fill_(math.nan),
    ],
    ids=("coincident", "zeros", "nan", "inf", "huge", *BAD_BOX, *BAD_WEIGHT),
)
def test_bad_input_is_masked_and_never_spreads(spoil: Callable) -> None:
    center, size, yaw = (x.float() for x in random_boxes(3))
    keypoints = project_keypoints(center, size, yaw, INTRINSICS.float())
    weights = torch.ones(3, KEYPOINTS)
    spoil(keypoints[1], size[1], yaw[1], weights[1])
    inputs = [x.requires_grad_() for x in (keypoints, size, yaw, weights)]
    found, valid = fit_location(*inputs[:3], INTRINSICS, inputs[3])
    assert valid.tolist() == [True, False, True]
    assert found[1].tolist() == [0.0, 0.0, 0.0]
    torch.testing.assert_close(found[[0, 2]], center[[0, 2]], atol=1e-3, rtol=0)
    found.norm(dim=-1)[valid].sum().backward()
    for tensor in inputs:
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert (tensor.grad[1] == 0).all()


def test_a_lost_keypoint_is_left_out() -> None:
    center, size, yaw = random_boxes()
    keypoints = project_keypoints(center, size, yaw, INTRINSICS)
    keypoints[:, 3] = math.nan
    found, valid = fit_location(keypoints, size, yaw, INTRINSICS)
    assert valid.all()
    torch.testing.assert_close(found, center, atol=1e-6, rtol=0)


def test_half_precision_input_is_solved_in_float32() -> None:
    _, size, yaw = (x.bfloat16() for x in random_boxes(4))
    found, _ = fit_location(torch.rand(4, KEYPOINTS, 2).bfloat16(), size, yaw, INTRINSICS.bfloat16())
    assert found.dtype == torch.float32


def test_keypoint_dropout_keeps_two_to_nine_of_any() -> None:
    kept = draw_kept_keypoints((9000,), torch.Generator().manual_seed(0))
    counts = torch.bincount(kept.sum(-1).long(), minlength=10)
    assert counts[:2].tolist() == [0, 0]
    assert (counts[2:] / 9000 - 1 / 8).abs().max() < 0.02
    assert (kept.mean(0) - 5.5 / 9).abs().max() < 0.02  # no keypoint is favoured
    assert torch.equal(kept, draw_kept_keypoints((9000,), torch.Generator().manual_seed(0)))


def test_every_offered_subset_exists() -> None:
    assert tuple(SUBSETS) == KEYPOINT_CHOICES
    assert all(len(set(SUBSETS[n])) == n for n in KEYPOINT_CHOICES)
    assert subset_weights(4, torch.zeros(1)).nonzero().flatten().tolist() == list(SUBSETS[4])


def test_wrap_keeps_the_direction() -> None:
    angle = torch.linspace(-20, 20, 401, dtype=torch.float64)
    wrapped = wrap(angle)
    assert ((wrapped >= -math.pi) & (wrapped < math.pi)).all()
    torch.testing.assert_close(
        torch.polar(torch.ones(401, dtype=torch.float64), wrapped - angle).real, torch.ones(401).double()
    )


def test_ray_angle_of_a_projected_point() -> None:
    point = np.array([2.0, 1.0, 5.0])
    uv, _ = Camera(INTRINSICS.numpy(), 1242, 375).project(point)
    assert ray_angle(torch.tensor(uv[0]), INTRINSICS).item() == pytest.approx(math.atan2(2.0, 5.0))
