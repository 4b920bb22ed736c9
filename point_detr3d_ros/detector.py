"""Point-DETR3D's student as one callable: a cloud in, boxes out, for node, benchmark and evaluation alike."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from point_detr3d_ros.contract import SIZE_RANGE, Contract
from voxbox_core.boxes import Axes, Boxes3D, apart
from voxbox_core.cloud import FEATURES, Pillars, pillars
from voxbox_core.errors import InputError
from voxbox_core.runtime import DeployedModule, LoadedModel, OnDevice, Run, open_model

SYSTEM = "point_detr3d"
# Two objects do not stand in one place: what overlaps more, from above, was found twice, also by another class's name.
SAME_PLACE = 0.2


@dataclass(frozen=True)
class Overflow:
    """What the networks did not see of a cloud: pillars beyond max_pillars, points beyond those and per_pillar."""

    pillars: int = 0
    points: int = 0


class PointDETR3D:
    """The detector.

    contract: of the model.  run: its deployed graph, by any backend.
    score_threshold: least score of a box, 0..1; None takes the contract's, class by class.
    device: where `run` computes, None for host memory; points may be there already.
    stages: seconds of the last call in pillars, inference and postprocess.  overflow: of the last call.
    """

    def __init__(self, contract: Contract, run: Run, score_threshold: float | None = None) -> None:
        self.contract = contract
        self.run = run
        self.device: OnDevice | None = None
        self.score_threshold = score_threshold
        self.backend = self.precision = "unknown"
        self.stages: dict[str, float] = {}
        self.overflow = Overflow()
        self._group = np.array(
            [next(i for i, group in enumerate(contract.groups) if name in group) for name in contract.classes]
        )

    @classmethod
    def open(
        cls,
        model: Path | str,
        backend: str = "auto",
        threads: int = 0,
        score_threshold: float | None = None,
        precision: str = "auto",
    ) -> "PointDETR3D":
        """Loads a .onnx file or a released model's folder, as `open_model` does.

        Raises InputError when there is none, when it is not of Point-DETR3D, or when the backend cannot run it.
        """
        loaded = open_model(model, backend, threads, load_deployed, precision)
        detector = cls(contract_of(loaded, model), loaded.run, score_threshold)
        detector.backend, detector.precision, detector.device = loaded.backend, loaded.precision, loaded.device
        detector(np.ones((1, 5), np.float32), 0.0)  # compiled and warm now, not at the first cloud
        return detector

    def __call__(self, points: Any, height: float) -> Boxes3D:
        """points: (P, 5) float32 x y z intensity age in the LiDAR frame (z up), m, 0..1, s; those with NaN are ignored;
        an array, or a tensor on the device.
        height: of the LiDAR's origin above the ground, m.

        Returns boxes in the LiDAR frame, best first. Raises InputError for points or a height of another form.
        """
        start = perf_counter()
        if self.device is not None:
            points = self.device.upload("points", points)
        standing = grounded_pillars(points, height, self.contract)
        self.overflow = Overflow(standing.overflow_pillars, standing.overflow_points)
        inputs = graph_inputs(standing)
        before = perf_counter()
        outputs = self.run(inputs) if standing.occupied else {}
        after = perf_counter()
        boxes = self.postprocess(outputs, height) if outputs else Boxes3D.empty(self.contract.classes, Axes.BODY)
        self.stages = {"pillars": before - start, "inference": after - before, "postprocess": perf_counter() - after}
        return boxes

    def postprocess(self, outputs: Mapping[str, np.ndarray], height: float) -> Boxes3D:
        """Boxes whose score reaches the threshold, in the LiDAR frame, best first; of each place and group of classes
        the best one. The vehicle itself is none of them."""
        boxes = grounded_boxes({name: values[0] for name, values in outputs.items()}, height, self.contract.classes)
        if self.score_threshold is None:
            enough = self.contract.confident(boxes.label, boxes.score)
        else:
            enough = boxes.score >= self.score_threshold
        kept = np.flatnonzero(enough & (boxes.score > 0) & np.isfinite(boxes.center).all(1) & np.isfinite(boxes.yaw))
        boxes = boxes[kept]
        return self.best_of_each_place(boxes[~_around_the_lidar(boxes)])

    def best_of_each_place(self, boxes: Boxes3D) -> Boxes3D:
        """Of boxes that overlap and are of one group of classes the best; best first."""
        boxes = boxes[np.argsort(-boxes.score, kind="stable")]
        groups = tuple(map("+".join, self.contract.groups))
        return boxes[apart(replace(boxes, label=self._group[boxes.label], classes=groups), SAME_PLACE)]


def _around_the_lidar(boxes: Boxes3D) -> np.ndarray:
    """Which boxes stand around the LiDAR itself, seen from above: (N,) bool. Such an object is the vehicle that carries
    it, whose roof it sees."""
    place = np.einsum("nji,nj->ni", boxes.rotation(), -boxes.center)
    return np.asarray((np.abs(place[:, :2]) < boxes.size[:, :2] / 2).all(1))


def contract_of(loaded: LoadedModel, model: Path | str) -> Contract:
    """The contract that a graph carries. Raises InputError for a graph of another system."""
    system = loaded.metadata.get("system")
    if system != SYSTEM:
        raise InputError(
            f"system of {model}", system, SYSTEM, "Give a model exported with `voxbox export point-detr3d`."
        )
    return Contract.from_json(loaded.metadata.get("contract", ""))


def grounded_pillars(points: Any, height: float, contract: Contract) -> Pillars:
    """Points (P, 5) of the LiDAR frame -> pillars of the network frame, where ground is at z = 0; tensors of a tensor.

    Raises InputError for points or a height of another form.
    """
    if points.ndim != 2 or points.shape[1] != 5:
        raise InputError(
            "shape of the points", tuple(points.shape), "(P, 5): x y z intensity age", "Give all five columns."
        )
    if not np.isfinite(height):
        raise InputError("height of the LiDAR", height, "a number of metres", "Measure it.")
    return pillars(points, contract.grid, contract.per_pillar, contract.max_pillars, height)


def graph_inputs(standing: Pillars) -> dict[str, Any]:
    """`features` and `cell` of a graph. An empty cloud is one pillar of zeros: engines refuse to run on none."""
    if not len(standing.cell):
        return {"features": np.zeros((1, *standing.features.shape[1:]), np.float32), "cell": np.zeros(1, np.int64)}
    assert standing.features.shape[2] == FEATURES
    return {"features": standing.features, "cell": standing.cell}


def grounded_boxes(outputs: Mapping[str, np.ndarray], height: float, classes: tuple[str, ...]) -> Boxes3D:
    """What a graph says of N boxes in the network frame -> boxes in the LiDAR frame, all of them, in their order.

    outputs: center (N, 3), size (N, 3), heading (N, 2) sine and cosine of the yaw, score (N,), label (N,). Sizes that
    are not finite, or beyond anything on a road, are brought back into range.
    """
    size = np.nan_to_num(outputs["size"].astype(np.float64), nan=SIZE_RANGE[0], posinf=SIZE_RANGE[1])
    heading = outputs["heading"].astype(np.float64)
    return Boxes3D(
        center=outputs["center"].astype(np.float64) - [0.0, 0.0, height],
        size=np.clip(size, *SIZE_RANGE),
        yaw=np.arctan2(heading[:, 0], heading[:, 1]),
        label=outputs["label"],
        score=np.nan_to_num(outputs["score"].astype(np.float64), nan=0.0),
        box2d=np.full((len(size), 4), np.nan),
        classes=classes,
        axes=Axes.BODY,
    )


def load_deployed(file: Path) -> DeployedModule:
    """The student's graph with trained weights, as a torch module. Raises InputError for a file of another kind."""
    from point_detr3d_ros.student import (
        Deployed,
        Student,
    )  # PyTorch: a node that runs another engine is lighter without
    from voxbox_core import weights

    stored = weights.load(file)
    contract = Contract.from_json(stored.contract)
    student = Student(contract)
    weights.load_into(student, stored)
    module = Deployed(student).eval()
    return DeployedModule(module, module.outputs, {"system": SYSTEM, "contract": contract.to_json()})
