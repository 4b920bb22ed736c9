"""KM3D in the straightforward way: OpenCV and numpy around the network alone, by any engine.

A frame is warped, made float, normalised and transposed by numpy; the network gives its maps; numpy takes the sigmoid,
keeps the peaks of 3x3 cells (`cv2.dilate`), reads the other maps there and solves the least squares of all candidates
at once. Each step is one or two whole-array calls; nothing is done twice or in a Python loop but the classes' few maps.
Boxes of one place are not thinned out, which the detector does besides: that is to the peers' favour.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D, SAME_PLACE
from voxbox.benchmark.agreement import of_boxes
from voxbox.benchmark.peer_engines import Network
from voxbox.benchmark.peers import Answer, Ours, System
from voxbox_core.boxes import CORNER_SIGNS, Boxes3D, apart
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.image import compose, invert, letterbox
from voxbox_core.runtime.model import read_manifest

Arrays = dict[str, np.ndarray]

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_CELL = np.array([[0.25, 0.0, -0.375], [0.0, 0.25, -0.375]])  # input pixels to cells of 4x4
_KEYPOINTS = np.concatenate([CORNER_SIGNS[:, [0, 2, 1]] * [1, -1, 1], np.zeros((1, 3))]) / 2  # along, down, across
_NEAREST = 0.1  # m: boxes nearer than this are none


class Pipeline:
    """Raises InputError for a contract that solves with fewer keypoints than the released models do."""

    def __init__(self, contract: Contract) -> None:
        if contract.keypoints_used < 8:
            raise InputError("keypoints_used", contract.keypoints_used, "8 or 9", "Measure a model as released.")
        self.contract = contract

    def before(self, sample: Sample) -> tuple[Arrays, Arrays]:
        """-> the network's `image` (1, 3, H, W) float32, and the affine (2, 3) from cells to the sample's pixels."""
        width, height = self.contract.input_width, self.contract.input_height
        affine = letterbox(sample.camera.width, sample.camera.height, width, height)
        warped = cv2.warpAffine(sample.image, affine, (width, height), flags=cv2.INTER_LINEAR)
        normal = (warped.astype(np.float32) / 255 - _MEAN) / _STD
        image = np.ascontiguousarray(normal.transpose(2, 0, 1)[None])
        return {"image": image}, {"grid_to_image": invert(compose(_CELL, affine))}

    def after(self, maps: Mapping[str, np.ndarray], made: Arrays, sample: Sample) -> Boxes3D:
        """Boxes of enough score in the camera's frame, best first."""
        contract, grid_to_image = self.contract, made["grid_to_image"]
        heat = _sigmoid(maps["hm"][0])
        label, row, column, score = _peaks(heat, contract.max_detections)
        at = {name: values[0][:, row, column].T for name, values in maps.items() if name != "hm"}
        score = score * _sigmoid(at["prob"][:, 0])

        cell = np.stack([column, row], 1)
        keypoints = _through(grid_to_image, cell[:, None] + at["hps"].reshape(-1, 9, 2))
        k = sample.camera.intrinsics
        seen = (keypoints - k[:2, 2]) / k[[0, 1], [0, 1]]
        yaw = _angle(at["rot"]) + np.arctan(seen[:, 8, 0])
        mean = np.array(contract.mean_dims)[label]
        size = (mean * np.exp(np.clip(at["dim"], -3, 3)))[:, ::-1]  # height, width, length -> length, width, height
        used = slice(contract.keypoints_used)
        center = _least_squares(seen[:, used], _offsets(size, yaw)[:, used])
        if contract.depth_head:
            focal = k[1, 1] / grid_to_image[1, 1]
            depth = focal * mean[:, 0] * np.exp(-np.clip(at["depth"][:, 0], -3, 7))
            further = _sigmoid(at["depth"][:, 1]) * (depth - center[:, 2])
            center[:, :2] += seen[:, used].mean(1) * further[:, None]
            center[:, 2] += further

        kept = np.flatnonzero(contract.confident(label, score) & (center[:, 2] > _NEAREST))
        kept = kept[np.argsort(-score[kept])]
        corners = [keypoints.min(1), keypoints.max(1)]
        if contract.auxiliary_heads:
            middle, half = cell + at["reg"], np.maximum(at["wh"], 0) / 2
            corners = [_through(grid_to_image, middle + sign * half) for sign in (-1, 1)]
        limit = np.array([sample.camera.width - 1, sample.camera.height - 1] * 2)
        box2d = np.clip(np.concatenate(corners, 1), 0, limit)
        yaw = (yaw + np.pi) % (2 * np.pi) - np.pi
        return Boxes3D(center, size, yaw, label, score, box2d, contract.classes)[kept]


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def _peaks(heat: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    """heat (C, h, w) -> label, row, column, score, (K,) each, of the best cells that are the greatest of their 3x3."""
    around = np.stack([cv2.dilate(channel, np.ones((3, 3), np.uint8)) for channel in heat])
    score = np.where(around == heat, heat, 0).ravel()
    best = np.argpartition(-score, count)[:count]
    return (*np.unravel_index(best, heat.shape), score[best])


def _through(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points @ affine[:, :2].T + affine[:, 2])


def _angle(rot: np.ndarray) -> np.ndarray:
    """(K, 8) two bins of (outside, inside, sin, cos) -> observation angle (K,), of the likelier one."""
    first = rot[:, 1] - rot[:, 0] > rot[:, 5] - rot[:, 4]
    angles = np.arctan2(rot[:, 2], rot[:, 3]) - np.pi / 2, np.arctan2(rot[:, 6], rot[:, 7]) + np.pi / 2
    return np.where(first, *angles)


def _offsets(size: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """(K, 9, 3) m, the keypoints about the centre."""
    x, y, z = np.moveaxis(_KEYPOINTS * size[:, None, [0, 2, 1]], 2, 0)
    cos, sin = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    return np.stack([cos * x + sin * z, y, cos * z - sin * x], -1)


def _least_squares(seen: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """seen (K, n, 2) in focal lengths off the axis, offsets (K, n, 3) m -> centres (K, 3), m: the normal equations."""
    count, points, _ = seen.shape
    matrix = np.zeros((count, 2 * points, 3))
    matrix[:, :points, 0] = matrix[:, points:, 1] = 1
    matrix[..., 2] = -np.concatenate([seen[..., 0], seen[..., 1]], 1)
    right = seen * offsets[..., 2:] - offsets[..., :2]
    right = np.concatenate([right[..., 0], right[..., 1]], 1)[..., None]
    across = matrix.transpose(0, 2, 1)
    return np.asarray(np.linalg.solve(across @ matrix, across @ right)[..., 0])


def pipeline(model: Path) -> Pipeline:
    """Of a released model's folder."""
    return Pipeline(contract_of(model))


def contract_of(model: Path) -> Contract:
    """What the manifest says."""
    return Contract.from_json(json.dumps(read_manifest(model)["contract"]))


def network(weights: Path) -> Network:
    """The network up to its heads."""
    import torch

    from km3d_ros.detector import load_deployed
    from km3d_ros.network import Deployed
    from voxbox.benchmark.graph import Heads

    deployed = cast(Deployed, load_deployed(weights).module)
    contract = deployed.contract
    names = tuple(name for name in contract.heads if name not in deployed.TRAINING_ONLY)
    example = torch.zeros(1, 3, contract.input_height, contract.input_width)
    return Network(Heads(deployed.network, names), (example,), ("image",), names)


def ours(model: Path, backend: str, threads: int, precision: str = "auto") -> Ours:
    """The detector."""
    detector = KM3D.open(model, backend, threads, precision=precision)
    return Ours(lambda sample: detector(sample.image, sample.camera), detector.backend, detector.precision)


def agreement(model: Path, answers: Sequence[tuple[Answer, Answer]]) -> dict[str, float]:
    """answers: ours and a peer's, frame by frame. The peer's boxes are thinned out first, as the detector's are."""
    return of_boxes([(mine, theirs[apart(theirs, SAME_PLACE)]) for mine, theirs in answers])


SYSTEM = System(ours, pipeline, network, agreement)
