"""Boxes to the student's targets and back. Both directions stand here, and a test holds them together.

All boxes are in the network frame: the LiDAR frame shifted up, so that ground is at z = 0.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from point_detr3d_ros.contract import OUTPUT_STRIDE, SIZE_RANGE, Contract
from point_detr3d_ros.gaussian import draw_gaussian, gaussian_radius
from voxbox_core.boxes import Boxes3D

MAX_OBJECTS = 100  # of a training cloud; more are in the heat map, but their boxes are not learned
CODE = 8  # dx, dy, z, log l, log w, log h, sin, cos


def encode(boxes: Boxes3D, contract: Contract) -> dict[str, np.ndarray]:
    """N boxes (Axes.BODY, network frame) -> targets of one cloud.

    heatmap: (C, h, w) float32, a Gaussian at each centre.  index: (MAX_OBJECTS,) int64 flat cell of each object.
    label: (MAX_OBJECTS,) int64.  code: (MAX_OBJECTS, CODE) float32.  valid: (MAX_OBJECTS,) bool.
    Boxes whose centre is outside of the range are left out.
    """
    grid, size = contract.grid, OUTPUT_STRIDE * contract.cell
    height, width = grid.ny // OUTPUT_STRIDE, grid.nx // OUTPUT_STRIDE
    targets: dict[str, np.ndarray] = {
        "heatmap": np.zeros((len(contract.classes), height, width), np.float32),
        "index": np.zeros(MAX_OBJECTS, np.int64),
        "label": np.zeros(MAX_OBJECTS, np.int64),
        "code": np.zeros((MAX_OBJECTS, CODE), np.float32),
        "valid": np.zeros(MAX_OBJECTS, bool),
    }
    boxes = boxes[grid.contains(boxes.center)]
    place = (boxes.center[:, :2] - [grid.x[0], grid.y[0]]) / size
    cells = np.minimum(place.astype(np.int64), [width - 1, height - 1])
    radius = gaussian_radius(boxes.size[:, 0] / size, boxes.size[:, 1] / size)
    for i, (ix, iy) in enumerate(cells):
        draw_gaussian(targets["heatmap"][boxes.label[i]], int(ix), int(iy), int(radius[i]))
    count = min(len(boxes), MAX_OBJECTS)
    targets["index"][:count] = (cells[:, 1] * width + cells[:, 0])[:count]
    targets["label"][:count] = boxes.label[:count]
    targets["valid"][:count] = True
    code = [
        place - cells,
        boxes.center[:, 2:],
        np.log(boxes.size),
        np.sin(boxes.yaw)[:, None],
        np.cos(boxes.yaw)[:, None],
    ]
    targets["code"][:count] = np.concatenate(code, 1)[:count]
    return targets


def group_of_class(contract: Contract) -> list[int]:
    """Index of the group of each class."""
    return [next(g for g, group in enumerate(contract.groups) if name in group) for name in contract.classes]


def gather(box: Tensor, group: Tensor, index: Tensor) -> Tensor:
    """Regressions (B, G, R, h, w) of groups (B, K) at flat cells (B, K) -> (B, K, R)."""
    batch, _, channels, height, width = box.shape
    flat = box.permute(0, 1, 3, 4, 2).reshape(batch, -1, channels)
    at = (group * (height * width) + index)[..., None].expand(-1, -1, channels)
    return flat.gather(1, at)


def decode(heatmap: Tensor, box: Tensor, contract: Contract) -> dict[str, Tensor]:
    """Heat map logits (B, C, h, w) and regressions (B, G, R, h, w) -> the K = max_detections highest peaks, best first.

    score: (B, K).  label: (B, K) int64.  center: (B, K, 3) m, network frame.  size: (B, K, 3) length, width, height, m.
    heading: (B, K, 2) sine and cosine of yaw, of any length.  velocity: (B, K, 2) m/s, where the contract has it.
    A peak is the greatest of its 3x3 cells.
    """
    height, width = heatmap.shape[2:]
    score = heatmap.float().sigmoid()
    score = score * (F.max_pool2d(score, 3, 1, 1) == score)
    best, at = score.flatten(1).topk(contract.max_detections)
    label = torch.div(at, height * width, rounding_mode="floor")
    index = at - label * (height * width)
    group = torch.tensor(group_of_class(contract), device=label.device)[label]
    code = gather(box.float(), group, index)
    iy = torch.div(index, width, rounding_mode="floor")
    ix = index - iy * width
    cell = OUTPUT_STRIDE * contract.cell
    x = contract.x[0] + (ix + code[..., 0]) * cell
    y = contract.y[0] + (iy + code[..., 1]) * cell
    low, high = (float(np.log(limit)) for limit in SIZE_RANGE)
    found = {
        "score": best,
        "label": label,
        "center": torch.stack([x, y, code[..., 2]], -1),
        "size": code[..., 3:6].clamp(low, high).exp(),
        "heading": code[..., 6:8],
    }
    return found | ({"velocity": code[..., 8:10]} if contract.velocity else {})
