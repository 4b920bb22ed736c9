"""Where the attention looks: projection, coverage of boxes, cameras that may be missing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from point_detr3d_ros.images import Cameras, image_sizes
from point_detr3d_ros.roi_fusion import CameraAttention, LidarAttention, RoiFusion, Rois, hull, project
from point_detr3d_ros.sampling import rows_of
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera


def camera_matrix(contract, yaw=0.0):
    """image_from_lidar (3, 4) float64 of a camera 1.5 m above ground that looks along `yaw`."""
    sin, cos = math.sin(yaw), math.cos(yaw)
    rotation = np.array([[sin, -cos, 0.0], [0.0, 0.0, -1.0], [cos, sin, 0.0]])
    camera_from_lidar = np.concatenate([rotation, -rotation @ [[0.0], [0.0], [1.5]]], 1)
    focal = 0.6 * contract.image_width
    middle = ((contract.image_width - 1) / 2, (contract.image_height - 1) / 2)
    return np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]]) @ camera_from_lidar


def rois_of(boxes):
    heading = np.stack([np.sin(boxes.yaw), np.cos(boxes.yaw)], 1)
    return Rois(*(torch.from_numpy(x).float() for x in (boxes.center, boxes.size, heading)))


def random_boxes(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return Boxes3D(
        center=rng.uniform((1.5, -6, 0.2), (12, 6, 2.0), (count, 3)),
        size=rng.uniform(0.5, 5.0, (count, 3)),
        yaw=rng.uniform(-np.pi, np.pi, count),
        label=np.zeros(count, np.int64),
        score=np.ones(count),
        box2d=np.full((count, 4), np.nan),
        classes=("Car",),
        axes=Axes.BODY,
    )


@pytest.fixture
def surround(contract):
    """Random features of three cameras of one frame, looking ahead and to the sides."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(3, contract.dim, h, w, generator=generator) for h, w in image_sizes(contract)]
    matrices = np.stack([camera_matrix(contract, yaw) for yaw in (0.0, 1.2, -1.2)])
    return Cameras.of_frames(maps, [torch.from_numpy(matrices).float()])


def stirred(module, seed=0):
    """The module with none of its parameters at zero any more."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return module.eval()


def asked(contract, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, contract.dim, generator=generator), torch.zeros(count, dtype=torch.int64)


def test_corners_are_those_of_boxes() -> None:
    boxes = random_boxes()
    half = torch.tensor([-0.5, 0.5])
    found = rois_of(boxes).at(torch.cartesian_prod(half, half, half)).numpy()
    expected = boxes.corners()
    distance = np.linalg.norm(found[:, :, None] - expected[:, None], axis=-1)
    assert distance.min(2).max() < 1e-5
    assert distance.min(1).max() < 1e-5


def test_projection_is_the_camera_s(contract) -> None:
    matrix = camera_matrix(contract, 0.3)
    points = random_boxes().center
    camera = Camera(
        np.array([[0.6 * contract.image_width, 0, 31.5], [0, 0.6 * contract.image_width, 15.5], [0, 0, 1]]),
        contract.image_width,
        contract.image_height,
    )
    camera_from_lidar = np.linalg.inv(camera.intrinsics) @ matrix
    pixels, depth = camera.project(points @ camera_from_lidar[:, :3].T + camera_from_lidar[:, 3])
    location, found = project(
        torch.from_numpy(points).float()[None], torch.from_numpy(matrix).float()[None, None], contract
    )
    np.testing.assert_allclose(found[0, 0].numpy(), depth, atol=1e-4)
    seen = depth > 0.5
    expected = (pixels + 0.5) / (contract.image_width, contract.image_height)
    np.testing.assert_allclose(location[0, 0].numpy()[seen], expected[seen], atol=1e-4)


def test_augmenting_the_cloud_leaves_the_pixels(contract) -> None:
    """A of the points with image_from_lidar A^-1: flip, rotation, scale, shift."""
    angle, scale = 0.39, 1.05
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    augment = np.eye(4)
    augment[:3, :3] = scale * rotation @ np.diag([1, -1, 1])
    augment[:3, 3] = (0.4, -0.7, 0.1)
    matrix, points = camera_matrix(contract), random_boxes().center
    moved = points @ augment[:3, :3].T + augment[:3, 3]
    pairs = ((points, matrix), (moved, matrix @ np.linalg.inv(augment)))
    before, after = (
        project(torch.from_numpy(p).float()[None], torch.from_numpy(m).float()[None, None], contract)[0]
        for p, m in pairs
    )
    width = contract.image_width
    assert (width * (before - after).abs()).max() < 1e-3  # px


def test_a_box_in_sight_is_covered_by_its_grid(contract) -> None:
    boxes = random_boxes()
    rois = rois_of(boxes)
    matrix = torch.from_numpy(camera_matrix(contract)).float().expand(len(boxes), 1, 3, 4)
    attention = CameraAttention(replace(contract, roi_grid=5))
    with torch.no_grad():
        location, weight = attention._grid(torch.zeros(len(boxes), contract.dim), rois, matrix)
    inside = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    places, depth = project(rois.at(inside), matrix, contract)
    visible = ((places >= 0) & (places <= 1)).all(-1) & (depth > 0.2)
    assert visible.any(-1).float().mean() > 0.5
    low, high = (extreme(location, dim=(2, 3, 4)) for extreme in (torch.amin, torch.amax))
    covered = ((places >= low[:, :, None] - 1e-4) & (places <= high[:, :, None] + 1e-4)).all(-1)
    assert covered[visible].all()
    assert (weight.sum((2, 3, 4))[visible.any(-1)] > 0).all()
    tight = hull(rois, matrix, contract)
    torch.testing.assert_close(torch.stack([low, high]), torch.stack(tight), rtol=0, atol=1e-5)


def test_a_box_behind_the_camera_weighs_nothing(contract) -> None:
    boxes = random_boxes()
    matrix = torch.from_numpy(camera_matrix(contract, math.pi)).float().expand(len(boxes), 1, 3, 4)
    attention = CameraAttention(contract)
    torch.nn.init.zeros_(attention.free_offset.bias)  # free points lie at the centre
    query, _ = asked(contract, len(boxes))
    assert not attention._grid(query, rois_of(boxes), matrix)[1].any()
    assert not attention._free(query, rois_of(boxes), matrix)[1].any()


def test_free_points_count_where_the_image_shows_them(contract) -> None:
    boxes = random_boxes()
    matrix = torch.from_numpy(camera_matrix(contract)).float().expand(len(boxes), 1, 3, 4)
    attention = CameraAttention(contract)
    location, weight = attention._free(asked(contract, len(boxes))[0], rois_of(boxes), matrix)
    outside = ((location < 0) | (location > 1)).any(-1)
    assert 0.1 < outside.float().mean() < 0.9
    assert not weight[outside].any()
    assert ((weight > 0) | outside).float().mean() > 0.9  # the others lie behind the camera


def test_offsets_and_weights_begin_as_they_should(contract) -> None:
    fusion = RoiFusion(contract)
    query, _ = asked(contract, 3)
    lidar, camera = fusion.lidar, fusion.camera
    for attention in (lidar, camera):
        assert not attention.offsets(query, attention.grid_offset).any()
        weight = attention.weights(query, attention.free_weight)
        torch.testing.assert_close(weight, torch.full_like(weight, 1 / (3 * contract.free_points)))
    star = lidar.offsets(query, lidar.free_offset)[0]
    torch.testing.assert_close(star[0, 0], torch.tensor([[1.0, 0.0], [2.0, 0.0]]), atol=1e-6, rtol=0)
    torch.testing.assert_close(star[1, 2], torch.tensor([[-1.0, 0.0], [-2.0, 0.0]]), atol=1e-6, rtol=0)


def test_attention_reads_the_ground_below_the_box(contract) -> None:
    """On maps that hold their own coordinates, what is read is the box's centre: star and grid are symmetric."""
    attention = LidarAttention(replace(contract, dim=32, heads=4, free_points=1)).eval()
    torch.nn.init.eye_(attention.out.weight)
    maps = []
    for height, width in attention.sizes:
        x = contract.x[0] + (torch.arange(width) + 0.5) / width * (contract.x[1] - contract.x[0])
        y = contract.y[0] + (torch.arange(height) + 0.5) / height * (contract.y[1] - contract.y[0])
        maps.append(torch.stack([x.expand(height, width), y[:, None].expand(height, width)] * 16)[None])
    roi = Rois(torch.tensor([[1.3, -0.4, 0.5]]), torch.tensor([[4.0, 2.0, 1.5]]), torch.tensor([[0.6, 0.8]]))
    found = attention(torch.zeros(1, 32), roi, rows_of(maps), torch.zeros(1, dtype=torch.int64))
    center = found.view(4, 4, 2).mean((0, 1)) / 2  # two masses of 1, free points and grid
    torch.testing.assert_close(center, torch.tensor([1.3, -0.4]), atol=1e-4, rtol=0)


def test_attention_reads_the_images_where_the_box_is(contract) -> None:
    """On maps that hold their own coordinates: the click's pixel, and the middle of the box's rectangle."""
    attention = CameraAttention(replace(contract, dim=32, heads=4)).eval()
    torch.nn.init.eye_(attention.out.weight)
    torch.nn.init.zeros_(attention.free_offset.bias)
    maps = []
    for height, width in attention.sizes:
        u, v = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
        maps.append(torch.stack([u.expand(height, width), v[:, None].expand(height, width)] * 16)[None])
    matrix = torch.from_numpy(camera_matrix(contract)).float()[None]
    roi = Rois(torch.tensor([[7.0, -0.8, 1.0]]), torch.tensor([[1.0, 1.0, 1.0]]), torch.tensor([[0.6, 0.8]]))
    cameras = Cameras.of_frames(maps, [matrix])
    found = attention(torch.zeros(1, 32), roi, cameras, torch.zeros(1, dtype=torch.int64))
    click, _ = project(roi.center[:, None], matrix[None], contract)
    middle = sum(hull(roi, matrix[None], contract)) / 2
    expected = 0.5 * (click[0, 0, 0] + middle[0, 0])  # a half-open gate
    torch.testing.assert_close(found.view(16, 2), expected.expand(16, 2), atol=1e-4, rtol=0)


def test_cameras_that_are_missing_add_exactly_nothing(contract, surround) -> None:
    attention = stirred(CameraAttention(contract))
    query, frame = asked(contract, 60)
    rois = rois_of(random_boxes())
    assert attention(query, rois, surround, frame).any()
    unplugged = replace(surround, valid=torch.zeros_like(surround.valid))
    assert not attention(query, rois, unplugged, frame).any()
    empty = Cameras(surround.rows[:0], surround.image_from_lidar[:, :0], surround.image[:, :0], surround.valid[:, :0])
    assert not attention(query, rois, empty, frame).any()
    assert not attention(query, rois, replace(surround, rows=surround.rows[:0]), frame).any()


def test_an_invalid_slot_is_as_good_as_none(contract, surround) -> None:
    attention = stirred(CameraAttention(contract))
    query, frame = asked(contract, 60)
    rois = rois_of(random_boxes())
    fewer = Cameras(surround.rows[:2], surround.image_from_lidar[:, :2], surround.image[:, :2], surround.valid[:, :2])
    masked = replace(surround, valid=torch.tensor([[1.0, 1.0, 0.0]]))
    found, expected = (attention(query, rois, cameras, frame) for cameras in (masked, fewer))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_the_order_of_cameras_means_nothing(contract, surround) -> None:
    attention = stirred(CameraAttention(contract))
    query, frame = asked(contract, 60)
    rois = rois_of(random_boxes())
    order = torch.tensor([2, 0, 1])
    turned = Cameras(surround.rows, surround.image_from_lidar[:, order], surround.image[:, order], surround.valid)
    found, expected = (attention(query, rois, cameras, frame) for cameras in (turned, surround))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_grids_can_be_left_out(contract, surround) -> None:
    fusion = stirred(RoiFusion(replace(contract, roi_grid=0)))
    assert not any("grid" in name for name, _ in fusion.named_parameters())
    query, frame = asked(contract, 60)
    rows = rows_of([torch.randn(1, contract.dim, h, w) for h, w in fusion.lidar.sizes])
    assert fusion(query, rois_of(random_boxes()), rows, frame, surround).isfinite().all()
