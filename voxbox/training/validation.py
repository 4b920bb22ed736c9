"""What a network in training is worth so far: KITTI's average precision, and pictures for eyes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from km3d_ros.detector import KM3D
from km3d_ros.network import Deployed, KM3DNet
from voxbox.evaluation.command import SCORE
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.kitti import KittiFolder, Labels, from_boxes
from voxbox_core.datasets.sample import Sample
from voxbox_core.draw import TRUTH_COLOUR, draw_boxes
from voxbox_core.errors import InputError
from voxbox_core.metrics.kitti import RULES, evaluate
from voxbox_core.runtime import DeployedModule
from voxbox_core.runtime.torch import Runner

SHOWN_FRAMES = 4


@dataclass(frozen=True)
class Report:
    """scores: average precision in percent, by class/metric/overlap/difficulty.  pictures: (H, W, 3) uint8 RGB."""

    scores: dict[str, float]
    pictures: list[np.ndarray]


class Validation:
    """At most `limit` frames, evenly spread over labelled folders in KITTI layout.

    Raises InputError for a folder without labels now, and not when the first tenth of the run is done.
    """

    def __init__(self, folders: Sequence[str], limit: int) -> None:
        opened = [KittiFolder(folder, points=False) for folder in folders]
        for folder in opened:
            if not (folder.root / "label_2").is_dir():
                raise InputError(f"labels of {folder.root}", "absent", "label_2", "Validate on labelled frames.")
        every = [(folder, i) for folder in opened for i in range(len(folder))]
        chosen = np.unique(np.linspace(0, len(every) - 1, min(limit, len(every))).round().astype(int))
        self._frames = [every[i] for i in chosen]

    def __call__(self, network: KM3DNet) -> Report:
        """Score a network, which is left in evaluation mode."""
        deployed = DeployedModule(Deployed(network), Deployed.OUTPUTS, {})
        detect = KM3D(network.contract, Runner(deployed), SCORE)
        truth: list[Labels] = []
        found: list[Labels] = []
        pictures: list[np.ndarray] = []
        for folder, i in self._frames:
            labels, sample = folder.labels(i), folder[i]
            assert labels is not None  # label_2 was there at the start
            boxes = detect(sample.image, sample.camera)
            truth.append(labels)
            found.append(from_boxes(boxes, folder.calibration(i)))
            if len(pictures) < SHOWN_FRAMES:
                confident = boxes[network.contract.confident(boxes.label, boxes.score)]
                pictures.append(_picture(sample, confident))
        scores = evaluate(truth, found, RULES["kitti_r40"]).average_precision
        return Report({key: value for key, value in scores.items() if value is not None}, pictures)


def _picture(sample: Sample, boxes: Boxes3D) -> np.ndarray:
    image = sample.image
    if sample.boxes is not None:
        image = draw_boxes(image, sample.boxes, sample.camera, colour=TRUTH_COLOUR)
    return draw_boxes(image, boxes, sample.camera)
