"""Encode and decode are inverse; what is clipped, hidden, behind or unknown is treated as documented."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from km3d_ros import codec
from km3d_ros.codec import decode, encode
from km3d_ros.contract import INPUT_TO_GRID, Contract
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.image import apply, compose, invert, letterbox


@pytest.fixture
def affine(contract):
    return letterbox(1242, 375, contract.input_width, contract.input_height)


def one_box(name: str, center=(1.0, 0.8, 12.0), size=(3.9, 1.6, 1.5), box2d=(600.0, 150.0, 760.0, 260.0)) -> Boxes3D:
    return Boxes3D(
        np.array([center]), np.array([size]), np.array([0.4]), np.zeros(1), np.ones(1), np.array([box2d]), (name,)
    )


@pytest.mark.parametrize(
    "change", [{"keypoints_used": n} for n in (2, 4, 8, 9)] + [{"depth_head": True}], ids=(2, 4, 8, 9, "depth")
)
@pytest.mark.parametrize("seed", range(5))
def test_round_trip(contract, camera, scene, batched, ideal_maps, seed, change) -> None:
    """Any view of any scene: a random scale and shift, seen by its own camera."""
    contract = replace(contract, **change)
    rng = np.random.default_rng(seed)
    zoom, shift = rng.uniform(0.6, 1.3), rng.uniform(-60, 60, 2)
    view = np.array([[zoom, 0.0, shift[0]], [0.0, zoom, shift[1]]])
    affine = compose(view, letterbox(camera.width, camera.height, contract.input_width, contract.input_height))
    targets = batched(encode(contract, scene(seed), camera, affine))
    found = decode(contract, ideal_maps(targets), targets["intrinsics"], targets["grid_to_image"])
    assert targets["valid"].sum() >= 4
    for slot in torch.nonzero(targets["valid"][0]).flatten():
        distance = (found["center"][0] - targets["center"][0, slot]).norm(dim=-1)
        match = distance.argmin()
        assert distance[match] < 5e-3
        assert found["label"][0, match] == targets["label"][0, slot]
        assert found["score"][0, match] > 0.99
        torch.testing.assert_close(found["size"][0, match], targets["size"][0, slot], atol=1e-4, rtol=0)
        turn = found["yaw"][0, match] - targets["yaw"][0, slot]
        assert math.cos(turn) > 1 - 1e-6


def test_2d_boxes_come_back_from_either_source(contract, camera, scene, batched, ideal_maps, affine) -> None:
    boxes = scene(1)
    inside = (boxes.box2d > 1).all(-1) & (boxes.box2d < [1240, 373, 1240, 373]).all(-1)
    for auxiliary in (True, False):
        own = replace(contract, auxiliary_heads=auxiliary)
        targets = batched(encode(own, boxes, camera, affine))
        full = ideal_maps(batched(encode(contract, boxes, camera, affine)))
        maps = {name: full[name] for name in own.heads}
        found = decode(own, maps, targets["intrinsics"], targets["grid_to_image"])
        for center, box2d in zip(boxes.center[inside], boxes.box2d[inside], strict=True):
            match = np.linalg.norm(found["center"][0].numpy() - center, axis=-1).argmin()
            np.testing.assert_allclose(found["box2d"][0, match], box2d, atol=1e-2)


def test_nothing_in_the_image_gives_no_confident_box(contract, camera, batched, ideal_maps, affine) -> None:
    targets = batched(encode(contract, Boxes3D.empty(contract.classes), camera, affine))
    assert not targets["valid"].any()
    found = decode(contract, ideal_maps(targets), targets["intrinsics"], targets["grid_to_image"])
    assert found["score"].max() < 1e-3


def test_the_grid_is_where_the_pixels_are(contract, camera, affine) -> None:
    targets = encode(contract, one_box("Car"), camera, affine)
    cell = targets["index"][0] % contract.grid_width, targets["index"][0] // contract.grid_width
    pixel = apply(targets["grid_to_image"], np.array(cell) + targets["reg"][0])
    np.testing.assert_allclose(pixel, [680.0, 205.0], atol=1e-3)  # the middle of its 2D box
    assert targets["hm"][0, cell[1], cell[0]] == 1
    assert np.abs(targets["reg"]).max() <= 0.5
    # Four input pixels of a cell lie symmetrically about it.
    np.testing.assert_allclose(apply(INPUT_TO_GRID, [[4.0, 8.0], [7.0, 11.0]]).mean(0), [1.0, 2.0])


def test_a_truncated_object_is_found_inside_and_keeps_its_far_keypoints(contract, camera, affine) -> None:
    box = one_box("Car", center=(-7.0, 0.8, 8.0), box2d=(-400.0, 160.0, 90.0, 300.0))
    targets = encode(contract, box, camera, affine)
    column = targets["index"][0] % contract.grid_width
    limits = apply(invert(targets["grid_to_image"]), [[0.0, 0.0], [90.0, 0.0]])[:, 0]
    assert column == pytest.approx((max(limits[0], -0.5) + limits[1]) / 2, abs=1.0)
    assert targets["hps_mask"][0].all()
    assert (column + targets["hps"][0, :, 0]).min() < -5
    assert not targets["hp_mask"][0].all()  # but keypoint heat maps hold only what is on the grid


def test_keypoints_behind_the_camera_are_masked(contract, camera, affine) -> None:
    targets = encode(contract, one_box("Car", center=(1.5, 0.8, 1.2), size=(4.0, 1.6, 1.5)), camera, affine)
    assert targets["valid"][0]
    assert 0 < targets["hps_mask"][0].sum() < 9
    assert (targets["hps"][0][targets["hps_mask"][0] == 0] == 0).all()
    assert all(np.isfinite(value).all() for value in targets.values())


def test_an_object_around_the_camera_is_not_learned(contract, camera, affine) -> None:
    targets = encode(contract, one_box("Car", center=(0.5, 0.8, -0.5)), camera, affine)
    assert not targets["valid"].any()
    assert targets["hm"].max() == 0
    assert targets["hm_weight"][0].min() == 0


@pytest.mark.parametrize(
    ("name", "forgiven"),
    [("Van", "Car"), ("Person_sitting", "Pedestrian"), ("Truck", None), ("Bus", None), ("Misc", None)],
)
def test_only_neighbours_are_forgiven(contract, camera, affine, name, forgiven) -> None:
    targets = encode(contract, one_box(name), camera, affine)
    assert not targets["valid"].any()
    blank = [c for c, weight in zip(contract.classes, targets["hm_weight"], strict=True) if weight.min() == 0]
    assert blank == ([forgiven] if forgiven else [])


def test_forgiven_cells_are_those_of_the_box(contract, camera, affine) -> None:
    targets = encode(contract, one_box("Van"), camera, affine)
    rows, columns = np.nonzero(targets["hm_weight"][0] == 0)
    corners = apply(targets["grid_to_image"], [[columns.min(), rows.min()], [columns.max(), rows.max()]])
    np.testing.assert_allclose(corners, [[600, 150], [760, 260]], atol=4 / affine[0, 0])


def test_dont_care_and_ignored_boxes(contract, camera, affine) -> None:
    region = np.array([[100.0, 100.0, 200.0, 200.0]])
    targets = encode(contract, one_box("Car"), camera, affine, dont_care=region)
    assert targets["valid"].sum() == 1
    assert all(weight.min() == 0 for weight in targets["hm_weight"])
    beside = encode(contract, one_box("Car"), camera, affine, dont_care=region - [300.0, 0.0, 300.0, 0.0])
    assert beside["hm_weight"].min() == 1
    ignored = encode(contract, one_box("Car"), camera, affine, ignored=np.array([True]))
    assert not ignored["valid"].any()
    assert ignored["hm_weight"][0].min() == 0
    assert ignored["hm_weight"][1:].min() == 1


def test_a_box_without_2d_box_or_outside_the_view_is_background(contract, camera, affine) -> None:
    for box2d in ((np.nan,) * 4, (1300.0, 100.0, 1400.0, 200.0)):
        targets = encode(contract, one_box("Car", box2d=box2d), camera, affine)
        assert not targets["valid"].any()
        assert targets["hm_weight"].min() == 1


def test_the_nearest_objects_fill_the_slots_one_per_cell(contract, camera, scene, affine) -> None:
    boxes = Boxes3D.concatenate([scene(seed, 20) for seed in range(4)])
    targets = encode(replace(contract, max_objects=10), boxes, camera, affine)
    assert targets["valid"].all()
    depth = targets["center"][:, 2]
    assert (np.diff(depth) >= 0).all()
    assert len(np.unique(targets["index"])) == 10
    assert depth[-1] < np.median(boxes.center[:, 2])


def test_without_auxiliary_heads_their_targets_are_absent(contract, camera, scene, affine) -> None:
    targets = encode(replace(contract, auxiliary_heads=False), scene(), camera, affine)
    assert not {"hm_hp", "hp_offset", "hp_index", "hp_mask"} & targets.keys()


@pytest.mark.parametrize("overlap", [0.3, 0.7])
def test_gaussian_radius_is_the_largest_that_keeps_the_overlap(overlap) -> None:
    extents = np.array([[5.0, 5.0], [10.0, 10.0], [40.0, 20.0], [7.0, 90.0]])
    for (width, height), r in zip(extents, codec.gaussian_radius(extents, overlap), strict=True):
        area = width * height
        alike = (width - r) * (height - r)
        ious = [alike / (2 * area - alike), (width - 2 * r) * (height - 2 * r) / area]
        ious.append(area / ((width + 2 * r) * (height + 2 * r)))
        assert min(ious) == pytest.approx(overlap)


def test_gaussian_of_a_10x10_object() -> None:
    assert math.floor(codec.gaussian_radius(np.array([[10.0, 10.0]]))[0]) == 2
    heat = np.zeros((9, 9), np.float32)
    codec.splat(heat, np.array([4, 4]), 2)
    assert heat[4, 4] == 1
    assert heat[4, 6] == pytest.approx(math.exp(-4 / (2 * (5 / 6) ** 2)))
    assert heat[3, 5] == pytest.approx(math.exp(-2 / (2 * (5 / 6) ** 2)))
    assert np.count_nonzero(heat) == 25
    codec.splat(heat, np.array([5, 4]), 2)
    assert heat[4, 4] == heat[4, 5] == 1  # the maximum of both
    codec.splat(heat, np.array([0, 8]), 2)  # reaches beyond the map
    assert heat[8, 0] == 1


def test_angle_bins_cover_the_circle_and_come_back_from_either() -> None:
    alpha = np.linspace(-np.pi, np.pi, 3601)[:-1]
    residual, member = codec.encode_angle(alpha)
    np.testing.assert_allclose(member.mean(0), [2 / 3, 2 / 3], atol=1e-3)
    assert set(member.sum(1)) == {1, 2}
    for chosen in (0, 1):
        rows = member[:, chosen]
        rot = np.zeros((rows.sum(), 2, 4), np.float32)
        rot[:, chosen, 1] = 5.0
        rot[..., 2], rot[..., 3] = np.sin(residual[rows]), np.cos(residual[rows])
        decoded = codec.decode_angle(torch.from_numpy(rot).flatten(1)).numpy()
        np.testing.assert_allclose(np.cos(decoded - alpha[rows]), 1, atol=1e-6)


def test_depth_comes_back_whatever_the_view(contract, camera, scene, batched) -> None:
    boxes = scene(3)
    for zoom in (0.6, 1.0, 1.7):
        affine = zoom * letterbox(1242, 375, contract.input_width, contract.input_height)
        targets = batched(encode(contract, boxes, camera, affine))
        head = torch.stack([targets["depth"], torch.full_like(targets["depth"], 2.0)], -1)
        view = targets["intrinsics"], targets["grid_to_image"]
        found = codec.decode_depth(head, targets["label"], contract, *view)[targets["valid"]]
        torch.testing.assert_close(found[:, 0], targets["center"][targets["valid"]][:, 2])
        torch.testing.assert_close(found[:, 1], torch.full_like(found[:, 1], 1 / (1 + math.exp(-2))))


def test_sizes_are_positive_whatever_the_network_says(contract) -> None:
    wild = torch.tensor([[-1e6, 0.0, 1e6]])
    size = codec.decode_size(wild, torch.tensor([0]), contract)
    assert (size > 0).all()
    assert size.isfinite().all()
    assert size[0, 1].item() == pytest.approx(contract.mean_dims[0][1])


def test_pixels_follow_a_general_affine() -> None:
    affine = np.array([[[4.0, 0.5, 7.0], [-0.25, 3.0, 9.0]], [[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]]])
    points = np.random.default_rng(0).uniform(0, 100, (2, 3, 9, 2))
    found = codec.to_pixels(torch.from_numpy(points), torch.from_numpy(affine)).numpy()
    np.testing.assert_allclose(found, np.stack([apply(a, p) for a, p in zip(affine, points, strict=True)]))


def test_targets_are_ready_for_a_batch(contract, camera: Camera, scene, affine, batched) -> None:
    batch = batched(*(encode(contract, scene(seed), camera, affine) for seed in range(3)))
    assert batch["hm"].shape == (3, 3, contract.grid_height, contract.grid_width)
    integers = {name for name, value in batch.items() if value.dtype == torch.int64}
    assert integers == {"index", "label", "hp_index"}
    assert batch["valid"].dtype == torch.bool
    assert {v.dtype for n, v in batch.items() if n not in integers | {"valid"}} == {torch.float32}


def test_released_size_is_the_default() -> None:
    assert (Contract().grid_height, Contract().grid_width) == (96, 320)
