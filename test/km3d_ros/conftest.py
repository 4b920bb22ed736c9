"""Scenes, and the head maps of a network that has learned them perfectly."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from km3d_ros.contract import Contract
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera

if importlib.util.find_spec("rclpy") is None:
    collect_ignore = ["node"]


@pytest.fixture
def camera() -> Camera:
    return Camera(np.array([[721.5, 0.0, 609.6], [0.0, 707.0, 172.9], [0.0, 0.0, 1.0]]), 1242, 375)


@pytest.fixture
def contract() -> Contract:
    return Contract(width=0.125, neck="skip", head_channels=8, input_width=640, input_height=192)


@pytest.fixture
def with_box2d(camera: Camera) -> Callable[[Boxes3D], Boxes3D]:
    """Gives boxes the hull of their projected corners, clipped to the image, as 2D boxes."""

    def add(boxes: Boxes3D) -> Boxes3D:
        pixels, _ = camera.project(boxes.corners())
        hull = np.concatenate([pixels.min(1), pixels.max(1)], 1)
        return replace(boxes, box2d=np.clip(hull, 0, [1241, 374, 1241, 374]))

    return add


@pytest.fixture
def scene(contract: Contract, with_box2d: Callable[[Boxes3D], Boxes3D]) -> Callable[..., Boxes3D]:
    """A seeded street scene: `count` objects of all classes, all of them in view."""

    def make(seed: int = 0, count: int = 8, nearest: float = 6.0) -> Boxes3D:
        rng = np.random.default_rng(seed)
        label = rng.integers(0, len(contract.classes), count)
        depth = rng.uniform(nearest, 60.0, count)
        center = np.stack([rng.uniform(-0.7, 0.7, count) * depth, rng.uniform(0.3, 1.2, count), depth], 1)
        size = np.array(contract.mean_dims)[label][:, ::-1] * rng.uniform(0.8, 1.2, (count, 3))
        yaw = rng.uniform(-np.pi, np.pi, count)
        blank = np.zeros((count, 4))
        return with_box2d(Boxes3D(center, size, yaw, label, np.ones(count), blank, contract.classes))

    return make


@pytest.fixture
def batched() -> Callable[..., dict[str, Tensor]]:
    """Several images' targets as one batch of tensors."""
    return lambda *targets: torch.utils.data.default_collate(list(targets))


@pytest.fixture
def ideal_maps(contract: Contract) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """Batched targets -> the head maps that say exactly them."""

    def make(targets: dict[str, Tensor]) -> dict[str, Tensor]:
        batch = len(targets["index"])
        maps = {
            name: torch.zeros(batch, channels, contract.grid_height, contract.grid_width)
            for name, channels in replace(contract, depth_head=True).heads.items()
        }
        for name in {"hm", "hm_hp"} & maps.keys():
            maps[name] = torch.logit(targets[name].clamp(1e-6, 1 - 1e-6))
        maps["prob"] += 20.0
        member = targets["rot_mask"][..., None]
        bins = torch.cat([10 - 20 * member, 20 * member - 10, targets["rot"]], -1)
        values = {"hps": targets["hps"].flatten(2), "dim": targets["dim"], "rot": bins.flatten(2)}
        values |= {"reg": targets["reg"], "wh": targets["wh"]}
        values["depth"] = torch.stack([targets["depth"], torch.zeros_like(targets["depth"])], -1)
        for image in range(batch):
            slots = targets["valid"][image]
            cells = targets["index"][image, slots]
            for name in values.keys() & maps.keys():
                maps[name][image].flatten(1)[:, cells] = values[name][image, slots].T
            if "hp_offset" in maps:
                seen = targets["hp_mask"][image] > 0
                cells = targets["hp_index"][image][seen]
                maps["hp_offset"][image].flatten(1)[:, cells] = targets["hp_offset"][image][seen].T
        return maps

    return make
