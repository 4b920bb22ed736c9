"""What is encoded comes back; peaks, groups and ranges are what they should be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from point_detr3d_ros.codec import MAX_OBJECTS, decode, encode
from point_detr3d_ros.contract import OUTPUT_STRIDE
from point_detr3d_ros.detector import grounded_boxes


def maps_of(targets, contract):
    """Heat map logits and regressions of a network that has learned the targets by heart."""
    heat = torch.from_numpy(targets["heatmap"]).clamp(1e-4, 1 - 1e-4)
    shape = (1, len(contract.groups), 8, *heat.shape[1:])
    box = torch.zeros(shape).flatten(3)
    groups = [[name in group for group in contract.groups].index(True) for name in contract.classes]
    for i in np.flatnonzero(targets["valid"]):
        box[0, groups[targets["label"][i]], :, targets["index"][i]] = torch.from_numpy(targets["code"][i])
    return torch.logit(heat)[None], box.view(shape)


@pytest.mark.parametrize("groups", [None, (("Truck", "Bus"), ("Pedestrian", "Car"), ("Cyclist", "Van"))])
@pytest.mark.parametrize("seed", range(4))
def test_decode_inverts_encode(contract, scene, seed, groups):
    contract = contract if groups is None else replace(contract, groups=groups)
    boxes = scene(seed)
    found = {k: v[0].numpy() for k, v in decode(*maps_of(encode(boxes, contract), contract), contract).items()}
    sure = found["score"] > 0.99
    back = grounded_boxes({name: values[sure] for name, values in found.items()}, 0.0, contract.classes)
    assert len(back) == len(boxes)
    nearest = np.linalg.norm(back.center[:, None] - boxes.center[None], axis=-1).argmin(1)
    truth = boxes[nearest]
    assert sorted(nearest) == list(range(len(boxes)))
    assert back.label.tolist() == truth.label.tolist()
    for name in ("center", "size"):
        assert getattr(back, name) == pytest.approx(getattr(truth, name), abs=1e-4)
    assert np.cos(back.yaw - truth.yaw) == pytest.approx(1.0, abs=1e-6)


def test_what_is_outside_is_not_learned(contract, scene):
    boxes = scene(0)
    away = replace(boxes, center=boxes.center + np.array([100.0, 0, 0]))
    targets = encode(away, contract)
    assert not targets["heatmap"].any() and not targets["valid"].any()


def test_a_peak_stands_on_the_cell_of_the_centre(contract, scene):
    boxes = scene(1)
    targets = encode(boxes, contract)
    cell = np.floor((boxes.center[:, :2] - [contract.x[0], contract.y[0]]) / (OUTPUT_STRIDE * contract.cell))
    for (ix, iy), label in zip(cell.astype(int), boxes.label):
        assert targets["heatmap"][label, iy, ix] == 1
    assert np.count_nonzero(targets["heatmap"] == 1) == len(boxes)


def test_more_objects_than_places_are_still_in_the_heat_map(contract, scene):
    boxes = scene(2)
    many = boxes[np.arange(3 * MAX_OBJECTS) % len(boxes)]
    targets = encode(many, contract)
    assert targets["valid"].all()
    assert np.array_equal(targets["heatmap"], encode(boxes, contract)["heatmap"])


def test_an_untrained_network_makes_no_infinite_boxes(contract):
    heat = torch.randn(1, 6, contract.grid.ny // 2, contract.grid.nx // 2)
    found = decode(heat, 1e4 * torch.randn(1, 1, 8, *heat.shape[2:]), contract)
    assert all(torch.isfinite(value).all() for value in found.values())
    assert found["score"].shape == (1, contract.max_detections)
    assert (found["score"].diff() <= 0).all()
