"""Point-DETR3D's student in the straightforward way: numpy around the network alone, by any engine.

Points are cut to the range, sorted by their cell once (`np.argsort`), and from then on every step is a call on whole
arrays: where each cell begins, each point's place in its pillar, means by `np.add.reduceat`, the ten features. The same
points stay in a full pillar as in the detector, so that answers can be compared. The network gives its maps; numpy
takes the sigmoid, keeps the peaks of 3x3 cells (`cv2.dilate`) and reads the boxes there. Boxes of one place are not
thinned out, which the detector does besides: that is to the peers' favour.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from point_detr3d_ros.contract import OUTPUT_STRIDE, SIZE_RANGE, Contract
from point_detr3d_ros.detector import PointDETR3D
from voxbox.benchmark.agreement import of_boxes
from voxbox.benchmark.peer_engines import Network
from voxbox.benchmark.peers import Answer, Ours, System
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.cloud import FEATURES
from voxbox_core.datasets.rig import RigSample
from voxbox_core.runtime.model import read_manifest

Arrays = dict[str, np.ndarray]


class Pipeline:
    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._group = np.array([[n in g for g in contract.groups].index(True) for n in contract.classes])

    def before(self, sample: RigSample) -> tuple[Arrays, None]:
        """-> the network's `features` (P, per_pillar, FEATURES) float32 and `cell` (P,) int64."""
        contract, grid = self.contract, self.contract.grid
        points = sample.points + np.array([0, 0, sample.height, 0, 0], np.float32)
        low, high = np.array([grid.x, grid.y, grid.z], np.float32).T
        points = points[((points[:, :3] >= low) & (points[:, :3] < high)).all(1)]
        place = ((points[:, :2] - np.array([grid.x[0], grid.y[0]])) / grid.cell).astype(np.int64)
        column, row = np.minimum(place, [grid.nx - 1, grid.ny - 1]).T
        of_point = row * grid.nx + column

        order = np.argsort(of_point, kind="stable")
        points, of_point = points[order], of_point[order]
        begin = np.flatnonzero(np.diff(of_point, prepend=-1))
        count = np.diff(begin, append=len(points))
        pillar = np.repeat(np.arange(len(begin)), count)
        slot, rest = np.divmod((np.arange(len(points)) - begin[pillar]) * contract.per_pillar, count[pillar])
        spread = rest < contract.per_pillar  # of a full pillar's points as many as it holds, evenly over their order
        points, pillar, slot = points[spread], pillar[spread], slot[spread]
        cell, kept = of_point[begin], np.minimum(count, contract.per_pillar)

        middle = np.stack([cell % grid.nx + 0.5, cell // grid.nx + 0.5], 1) * grid.cell + [grid.x[0], grid.y[0]]
        mean = np.add.reduceat(points[:, :3], np.cumsum(kept) - kept) / kept[:, None] if len(cell) else points[:, :3]
        features = np.zeros((len(cell), contract.per_pillar, FEATURES), np.float32)
        features[pillar, slot] = np.concatenate(
            [points, points[:, :3] - mean[pillar], points[:, :2] - middle[pillar]], 1
        )
        if len(cell) > contract.max_pillars:
            fullest = np.sort(np.argsort(-count, kind="stable")[: contract.max_pillars])
            features, cell = features[fullest], cell[fullest]
        return {"features": features, "cell": cell}, None

    def after(self, maps: Mapping[str, np.ndarray], made: None, sample: RigSample) -> Boxes3D:
        """Boxes of enough score in the LiDAR frame, best first."""
        contract = self.contract
        heat = 1 / (1 + np.exp(-maps["heatmap"][0]))
        around = np.stack([cv2.dilate(channel, np.ones((3, 3), np.uint8)) for channel in heat])
        peaks = np.where(around == heat, heat, 0).ravel()
        best = np.argpartition(-peaks, contract.max_detections)[: contract.max_detections]
        best = best[np.argsort(-peaks[best])]
        label, row, column = np.unravel_index(best, heat.shape)
        kept = contract.confident(label, peaks[best])
        label, row, column, score = label[kept], row[kept], column[kept], peaks[best][kept]

        code = maps["box"][0][self._group[label], :, row, column].astype(np.float64)
        cell = OUTPUT_STRIDE * contract.cell
        x, y = contract.x[0] + (column + code[:, 0]) * cell, contract.y[0] + (row + code[:, 1]) * cell
        return Boxes3D(
            center=np.stack([x, y, code[:, 2] - sample.height], 1),
            size=np.clip(np.exp(code[:, 3:6]), *SIZE_RANGE),
            yaw=np.arctan2(code[:, 6], code[:, 7]),
            label=label,
            score=score,
            box2d=np.full((len(label), 4), np.nan),
            classes=contract.classes,
            axes=Axes.BODY,
        )


def pipeline(model: Path) -> Pipeline:
    """Of a released model's folder."""
    return Pipeline(contract_of(model))


def contract_of(model: Path) -> Contract:
    """What the manifest says."""
    return Contract.from_json(json.dumps(read_manifest(model)["contract"]))


def network(weights: Path) -> Network:
    """The student from pillars to its maps."""
    import torch
    from torch import nn

    from point_detr3d_ros.detector import load_deployed
    from point_detr3d_ros.student import Deployed, Student

    class Maps(nn.Module):
        def __init__(self, student: Student) -> None:
            super().__init__()
            self.student = student

        def forward(self, features: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            maps = self.student(features, cell, 1)
            return maps.heatmap, maps.box

    student = cast(Deployed, load_deployed(weights).module).student
    example = torch.zeros(3, student.contract.per_pillar, FEATURES), torch.arange(3)
    pillars = {"features": "pillars", "cell": "pillars"}
    return Network(Maps(student).eval(), example, ("features", "cell"), ("heatmap", "box"), pillars)


def ours(model: Path, backend: str, threads: int, precision: str = "auto") -> Ours:
    """The detector."""
    detector = PointDETR3D.open(model, backend, threads, precision=precision)
    return Ours(lambda sample: detector(sample.points, sample.height), detector.backend, detector.precision)


def agreement(model: Path, answers: Sequence[tuple[Answer, Answer]]) -> dict[str, float]:
    """answers: ours and a peer's, frame by frame. The peer's boxes are thinned out first, as the detector's are."""
    thinned = PointDETR3D(contract_of(model), run=lambda inputs: {}).best_of_each_place
    return of_boxes([(mine, thinned(theirs)) for mine, theirs in answers])


SYSTEM = System(ours, pipeline, network, agreement)
