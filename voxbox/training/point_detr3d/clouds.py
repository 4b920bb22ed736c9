"""The endless streams of clouds to learn from: which frame comes when, and how it is varied, follow from a draw's
number, so that a resumed run sees what the interrupted one would have seen."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from point_detr3d_ros.codec import encode
from point_detr3d_ros.consistency import point_mask
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.encoder import batch_of
from point_detr3d_ros.views import network_views
from voxbox.training.data import FromStep, loader
from voxbox.training.point_detr3d.asking import asked
from voxbox.training.point_detr3d.recipe import Plan
from voxbox.training.processes import Processes
from voxbox_core.cloud import pillars
from voxbox_core.datasets.paste import ObjectBank, paste
from voxbox_core.datasets.prompts import simulate
from voxbox_core.datasets.resampling import class_balanced
from voxbox_core.datasets.rig import RigSample

Item = dict[str, np.ndarray]
Read = Callable[[int], RigSample]  # of a frame's number among those to learn from


class Order:
    """Which frame a draw takes: passes of class-balanced draws, or permutations."""

    def __init__(self, labels: Sequence[np.ndarray], balance: bool, seed: int) -> None:
        self._labels, self._balance, self._seed = labels, balance, seed
        self._pass, self._frames = 0, self._frames_of(0)

    def __getitem__(self, draw: int) -> int:
        number, position = divmod(draw, len(self._frames))  # every pass is as long
        if number != self._pass:
            self._pass, self._frames = number, self._frames_of(number)
        return int(self._frames[position])

    def _frames_of(self, number: int) -> np.ndarray:
        rng = np.random.default_rng((self._seed, number))
        return class_balanced(self._labels, rng) if self._balance else rng.permutation(len(self._labels))


class Clouds(Dataset[Item]):
    """Draw n -> a frame, with pasted objects, as `encode` makes an item of it with a generator for its chances."""

    def __init__(
        self,
        read: Read,
        order: Order,
        plan: Plan,
        bank: ObjectBank | None,
        encode: Callable[[RigSample, np.random.Generator], Item],
    ) -> None:
        self._read, self._order, self._plan, self._bank, self._encode = read, order, plan, bank, encode

    def __getitem__(self, draw: int) -> Item:
        cv2.setNumThreads(0)  # a worker is one thread; also keeps OpenCV off the training threads
        rng = np.random.default_rng((self._plan.recipe.seed, 1, draw))
        sample = self._read(self._order[draw])
        if self._bank is not None and self._plan.recipe.paste:
            counts = dict.fromkeys(self._plan.contract.classes, self._plan.recipe.paste)
            sample, _ = paste(sample, self._bank, counts, rng)
        return self._encode(sample, rng)


def student_item(plan: Plan) -> Callable[[RigSample, np.random.Generator], Item]:
    """The strong view of a cloud with its targets; where views are compared, the weak one too, and the way between."""
    return partial(_student_item, plan)


def _student_item(plan: Plan, sample: RigSample, rng: np.random.Generator) -> Item:
    transform = plan.augmentation.draw(rng)
    strong, sample = transform.apply(sample).grounded(), sample.grounded()
    assert strong.boxes is not None
    # What no return has hit, or none any more after points were left out, is nothing to learn from.
    found = _pillars("", strong, plan.contract) | encode(strong.boxes[strong.hits > 0], plan.contract)
    if plan.recipe.compare == "none":
        return found
    found |= _pillars("weak_", sample, plan.contract) | {"matrix": transform.matrix.astype(np.float32)}
    if plan.recipe.compare == "points":
        assert sample.prompts is not None
        mask, objects = point_mask(sample.prompts, plan.contract, plan.recipe.size_factor)
        found |= {"mask": mask, "objects": np.array(objects, np.float32)}
    return found


def teacher_item(plan: Plan) -> Callable[[RigSample, np.random.Generator], Item]:
    """A cloud, its cameras, prompts, and the objects that are meant."""
    return partial(_teacher_item, plan)


def _teacher_item(plan: Plan, sample: RigSample, rng: np.random.Generator) -> Item:
    heights = [size[2] for size in plan.contract.mean_sizes]
    assert sample.boxes is not None
    hit = sample.hits > 0  # nobody clicks on the others
    clicks = simulate(sample, plan.prompts, heights, rng)[hit]
    sample = replace(sample, boxes=sample.boxes[hit], hits=sample.hits[hit], prompts=clicks)
    moved = plan.augmentation.draw(rng).apply(sample).grounded()
    images, matrices = network_views(moved.views, plan.contract)
    return _pillars("", moved, plan.contract) | {
        **asked(moved, plan, rng),
        "images": images,
        "image_from_lidar": matrices,
    }


def _pillars(prefix: str, sample: RigSample, contract: Contract) -> Item:
    found = pillars(sample.points, contract.grid, contract.per_pillar, contract.max_pillars)
    return {f"{prefix}features": found.features, f"{prefix}cell": found.cell}


# Of an item's arrays, those whose length differs from cloud to cloud are joined; the others are stacked.
JOINED = ("points", "roi", "label", "object", "center", "size", "yaw", "images")


def collate(contract: Contract, joined: bool) -> Callable[[list[Item]], dict[str, Any]]:
    """Items -> a batch. joined: whether items are the teacher's, whose objects have the number of their cloud in
    `frame`, and whose matrices stay a list."""
    return partial(_batch, contract.grid.nx * contract.grid.ny, joined)


def _batch(cells: int, joined: bool, items: list[Item]) -> dict[str, Any]:
    found: dict[str, Any] = {"batch": len(items)}
    for prefix in ("", "weak_"):
        if f"{prefix}cell" in items[0]:
            names = f"{prefix}features", f"{prefix}cell"
            each = [tuple(torch.from_numpy(item[name]) for name in names) for item in items]
            found |= dict(zip(names, batch_of(each, cells)))
    if joined:
        found |= {name: torch.from_numpy(np.concatenate([i[name] for i in items])) for name in JOINED}
        found["frame"] = torch.from_numpy(np.repeat(np.arange(len(items)), [len(i["label"]) for i in items]))
        found["image_from_lidar"] = [torch.from_numpy(i["image_from_lidar"]) for i in items]
        return found
    stacked = [name for name in items[0] if name not in found]
    return found | {name: torch.from_numpy(np.stack([i[name] for i in items])) for name in stacked}


def stream(
    clouds: Clouds, batch: int, plan: Plan, processes: Processes, joined: bool
) -> Callable[[int], Iterable[dict[str, Any]]]:
    """Batches from a step on."""

    def batches(step: int) -> Iterator[dict[str, Any]]:
        workers, on_gpu = plan.recipe.workers, processes.device.type == "cuda"
        steps = FromStep(step, batch, processes.rank, processes.count)
        for found in loader(clouds, steps, workers, on_gpu, collate(plan.contract, joined)):
            yield {name: _on(value, processes) for name, value in found.items()}

    return batches


def _on(value: Any, processes: Processes) -> Any:
    return value.to(processes.device, non_blocking=True) if isinstance(value, Tensor) else value
