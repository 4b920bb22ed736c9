"""Between boxes and head maps: `encode` makes what the network should say, `decode` reads what it said.

Cells of the output grid have integer coordinates at their centres, like pixels; input pixel x is at grid (x - 1.5) / 4.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from km3d_ros.contract import INPUT_TO_GRID, Contract
from km3d_ros.geometry import KEYPOINTS, fit_location, ray_angle, subset_weights, wrap
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.image import apply, compose, invert

# Centres of the two bins of the observation angle; each bin reaches 120 degrees to either side, so they overlap.
BIN_CENTERS = (-math.pi / 2, math.pi / 2)
BIN_REACH = 2 * math.pi / 3

# A box whose corners move within the Gaussian's radius still overlaps the true one by this IoU. The published 0.7 goes
# with a formula that lacks a division and so gives radii three times too large; the correct formula at 0.3 gives about
# the same radii, which are the ones that every published number was trained with.
MINIMUM_OVERLAP = 0.3

# Keypoints nearer to the image plane, or behind it, have no image.
NEAREST = 0.1

# KITTI's evaluation forgives detecting these as the class on the right; so does training.
NEIGHBOURS = {"Van": "Car", "Person_sitting": "Pedestrian"}


def encode(
    contract: Contract,
    boxes: Boxes3D,
    camera: Camera,
    affine: np.ndarray,
    dont_care: np.ndarray | None = None,
    ignored: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Training targets of one image.

    boxes: optical frame of `camera`, with 2D boxes; any classes, those unknown to the contract are background.
    camera: of the original image (mirrored, if image and boxes were).  affine: (2, 3) original pixels -> network input.
    dont_care: (M, 4) regions, px, where nothing is known.  ignored: (N,) bool, boxes neither learned nor punished.

    Returns, with C classes, grid (H, W) and M = max_objects slots, nearest objects first:
    hm (C, H, W) Gaussians at 2D-box centres; hm_weight (C, H, W) 0 where the heat map is not punished;
    valid (M,) bool; index (M,) cell y W + x; label (M,); hps (M, 9, 2) cells from the centre cell; hps_mask (M, 9);
    dim (M, 3) log ratios; rot (M, 2, 2) sin, cos from each bin's centre; rot_mask (M, 2); reg (M, 2); wh (M, 2);
    depth (M,), see `encode_depth`;
    center (M, 3), size (M, 3), yaw (M,) of the boxes; intrinsics (3, 3); grid_to_image (2, 3); with auxiliary heads
    hm_hp (9, H, W), hp_offset (M, 9, 2), hp_index (M, 9), hp_mask (M, 9). Floats are float32, integers int64.

    Deviations from the released code: ignored regions (Van for Car, Person_sitting for Pedestrian, DontCare for all,
    where the release punishes detections); keypoints behind the camera are masked; one object, the nearest, per cell;
    cells are those nearest to the centre; sizes are residuals, so that they are positive.
    """
    affine_to_grid = compose(INPUT_TO_GRID, affine)
    targets = _empty(contract)
    targets["intrinsics"] = camera.intrinsics.astype(np.float32)
    targets["grid_to_image"] = invert(affine_to_grid).astype(np.float32)

    names = np.array(boxes.names(), dtype=object)
    skipped = np.zeros(len(boxes), bool) if ignored is None else np.asarray(ignored, bool)
    grid_boxes, visible = _grid_boxes(contract, boxes.box2d, affine_to_grid)
    ahead = boxes.center[:, 2] > NEAREST

    channels = [contract.classes.index(n) if n in contract.classes else -1 for n in names]
    forgiven = [contract.classes.index(t) if (t := NEIGHBOURS.get(n)) in contract.classes else -1 for n in names]
    learned = visible & ahead & ~skipped & (np.array(channels, dtype=int) >= 0)
    for i in np.flatnonzero(visible & ~learned):
        channel = channels[i] if channels[i] >= 0 else forgiven[i]
        if channel >= 0:
            _blank(targets["hm_weight"][channel], grid_boxes[i])
    if dont_care is not None and len(dont_care):
        regions, seen = _grid_boxes(contract, dont_care, affine_to_grid)
        for region in regions[seen]:
            for weight in targets["hm_weight"]:
                _blank(weight, region)

    order = np.flatnonzero(learned)
    order = order[np.argsort(boxes.center[order, 2], kind="stable")]
    if len(order):
        labels = np.array(channels, dtype=np.int64)[order]
        _write_objects(contract, targets, boxes[order], labels, grid_boxes[order], camera, affine_to_grid)
    return targets


def _empty(contract: Contract) -> dict[str, np.ndarray]:
    m, height, width = contract.max_objects, contract.grid_height, contract.grid_width
    shapes: dict[str, tuple[int, ...]] = {
        "hm": (len(contract.classes), height, width), "hps": (m, KEYPOINTS, 2), "hps_mask": (m, KEYPOINTS),
        "dim": (m, 3), "rot": (m, 2, 2), "rot_mask": (m, 2), "reg": (m, 2), "wh": (m, 2), "depth": (m,),
        "center": (m, 3), "size": (m, 3), "yaw": (m,),
    }  # fmt: skip
    integers: dict[str, tuple[int, ...]] = {"index": (m,), "label": (m,)}
    if contract.auxiliary_heads:
        shapes |= {"hm_hp": (KEYPOINTS, height, width), "hp_offset": (m, KEYPOINTS, 2), "hp_mask": (m, KEYPOINTS)}
        integers |= {"hp_index": (m, KEYPOINTS)}
    targets = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    targets |= {name: np.zeros(shape, np.int64) for name, shape in integers.items()}
    targets["valid"] = np.zeros(m, bool)
    targets["hm_weight"] = np.ones_like(targets["hm"])
    targets["size"][:] = 1.0  # empty slots hold a harmless box, not a degenerate one
    return targets


def _grid_boxes(contract: Contract, box2d: np.ndarray, affine_to_grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel boxes (N, 4) -> boxes in cells, clipped to the grid, and whether anything of them is left.

    Clipping moves the centre of a truncated object into the image, where the network can find it.
    """
    corners = apply(affine_to_grid, np.asarray(box2d, dtype=np.float64).reshape(-1, 2, 2))
    limit = np.array([contract.grid_width, contract.grid_height]) - 0.5
    clipped = np.clip(corners, -0.5, limit)
    visible = (clipped[:, 1] - clipped[:, 0] > 0).all(-1)  # False for NaN
    return clipped.reshape(-1, 4), visible


def _blank(weight: np.ndarray, box: np.ndarray) -> None:
    """Sets the weight (H, W) to 0 on the cells of a box in cells."""
    x1, y1, x2, y2 = np.round(box).astype(int)
    weight[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1] = 0.0


def _write_objects(
    contract: Contract,
    targets: dict[str, np.ndarray],
    boxes: Boxes3D,
    labels: np.ndarray,
    grid_boxes: np.ndarray,
    camera: Camera,
    affine_to_grid: np.ndarray,
) -> None:
    """Fills the slots with boxes sorted by distance, all of them visible and of the contract's classes."""
    limit = np.array([contract.grid_width, contract.grid_height])
    centers = (grid_boxes[:, :2] + grid_boxes[:, 2:]) / 2
    extents = grid_boxes[:, 2:] - grid_boxes[:, :2]
    cells = np.clip(np.floor(centers + 0.5).astype(int), 0, limit - 1)
    radii = np.floor(gaussian_radius(extents)).astype(int)
    for cell, radius, label in zip(cells, radii, labels, strict=True):
        splat(targets["hm"][label], cell, radius)

    index = cells[:, 1] * contract.grid_width + cells[:, 0]
    first = np.sort(np.unique(index, return_index=True)[1])[: contract.max_objects]
    n = len(first)
    boxes, labels, cells, centers, radii = boxes[first], labels[first], cells[first], centers[first], radii[first]

    points = np.concatenate([boxes.corners(), boxes.center[:, None]], 1)
    pixels, depth = camera.project(points)
    keypoints = apply(affine_to_grid, pixels)
    in_front = depth > NEAREST
    mean = np.array(contract.mean_dims)[labels]
    alpha = boxes.yaw - np.arctan2(boxes.center[:, 0], boxes.center[:, 2])
    residual, member = encode_angle(alpha)

    targets["valid"][:n] = True
    targets["index"][:n] = index[first]
    targets["label"][:n] = labels
    targets["hps"][:n] = np.where(in_front[..., None], keypoints - cells[:, None], 0.0)
    targets["hps_mask"][:n] = in_front
    targets["dim"][:n] = np.log(boxes.size[:, [2, 1, 0]] / mean)
    targets["rot"][:n] = np.stack([np.sin(residual), np.cos(residual)], -1)
    targets["rot_mask"][:n] = member
    targets["reg"][:n] = centers - cells
    targets["wh"][:n] = extents[first]
    targets["depth"][:n] = encode_depth(boxes.center[:, 2], mean[:, 0], camera.intrinsics[1, 1] * affine_to_grid[1, 1])
    targets["center"][:n], targets["size"][:n], targets["yaw"][:n] = boxes.center, boxes.size, boxes.yaw
    if contract.auxiliary_heads:
        _write_keypoint_maps(contract, targets, keypoints, in_front, radii)


def _write_keypoint_maps(
    contract: Contract, targets: dict[str, np.ndarray], keypoints: np.ndarray, in_front: np.ndarray, radii: np.ndarray
) -> None:
    """Heat maps and sub-cell offsets of the keypoints (N, 9, 2), in cells, that lie on the grid."""
    n = len(keypoints)
    safe = np.where(in_front[..., None], keypoints, -1e3)
    cells = np.floor(np.clip(safe, -1e3, 1e6) + 0.5).astype(int)
    inside = np.all((cells >= 0) & (cells < [contract.grid_width, contract.grid_height]), axis=-1)
    for k, j in zip(*np.nonzero(inside), strict=True):
        splat(targets["hm_hp"][j], cells[k, j], radii[k])
    targets["hp_mask"][:n] = inside
    targets["hp_index"][:n] = np.where(inside, cells[..., 1] * contract.grid_width + cells[..., 0], 0)
    targets["hp_offset"][:n] = np.where(inside[..., None], safe - cells, 0.0)


def gaussian_radius(extents: np.ndarray, overlap: float = MINIMUM_OVERLAP) -> np.ndarray:
    """Largest shift, in cells, of both corners of boxes (N, 2) (width, height) that keeps the IoU at `overlap`.

    The least of three cases (CornerNet, Law and Deng, 2018, with the division their code lacks): both corners shifted
    alike, both inwards, both outwards. Extents are rounded up, as in the released code.
    """
    width, height = np.ceil(extents).T
    total, area = width + height, width * height
    alike = (total - np.sqrt(total**2 - 4 * area * (1 - overlap) / (1 + overlap))) / 2
    inwards = (2 * total - np.sqrt(4 * total**2 - 16 * area * (1 - overlap))) / 8
    outwards = (-total + np.sqrt(total**2 + 4 * area * (1 - overlap) / overlap)) / 4
    return np.minimum(np.minimum(alike, inwards), outwards)


def splat(heat: np.ndarray, cell: np.ndarray, radius: int) -> None:
    """Raises the map (H, W) to a Gaussian about `cell` (x, y), of deviation (2 radius + 1) / 6, in a square window."""
    height, width = heat.shape
    x, y = int(cell[0]), int(cell[1])
    left, right = max(x - radius, 0), min(x + radius + 1, width)
    top, bottom = max(y - radius, 0), min(y + radius + 1, height)
    across = np.exp(-18.0 * ((np.arange(left, right) - x) / (2 * radius + 1)) ** 2)
    down = np.exp(-18.0 * ((np.arange(top, bottom) - y) / (2 * radius + 1)) ** 2)
    window = heat[top:bottom, left:right]
    np.maximum(window, down[:, None] * across, out=window)


def encode_angle(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observation angles (N,) -> residuals from both bin centres, (N, 2) in [-pi, pi), and membership (N, 2) bool."""
    residual = alpha[:, None] - np.array(BIN_CENTERS)
    residual = (residual + np.pi) % (2 * np.pi) - np.pi
    return residual, np.abs(residual) < BIN_REACH


def decode_angle(rot: Tensor) -> Tensor:
    """Head values (..., 8), per bin (outside, inside, sin, cos) -> observation angle (...,), of the likelier bin."""
    first, second = rot[..., :4], rot[..., 4:]
    # Likelihood of being inside, not the bare logit: softmax of a pair is known by its difference.
    use_first = first[..., 1] - first[..., 0] > second[..., 1] - second[..., 0]
    alpha_first = torch.atan2(first[..., 2], first[..., 3]) + BIN_CENTERS[0]
    alpha_second = torch.atan2(second[..., 2], second[..., 3]) + BIN_CENTERS[1]
    return torch.where(use_first, alpha_first, alpha_second)


def decode_size(dim: Tensor, label: Tensor, contract: Contract) -> Tensor:
    """Head values (..., 3), log ratios of h, w, l, and labels (...,) -> length, width, height (..., 3), m."""
    mean = torch.tensor(contract.mean_dims, dtype=dim.dtype, device=dim.device)[label]
    return (mean * dim.clamp(-3.0, 3.0).exp()).flip(-1)


def encode_depth(depth: np.ndarray, mean_height: np.ndarray, focal: float) -> np.ndarray:
    """Depths (N,), m -> logarithm of the cells that the class's mean height, m, spans there.

    focal: cells. So what the network sees does not depend on the camera, nor on how the image was scaled.
    """
    return np.log(focal * mean_height / depth)


def decode_depth(head: Tensor, label: Tensor, contract: Contract, intrinsics: Tensor, grid_to_image: Tensor) -> Tensor:
    """Head values (B, K, 2), `encode_depth`'s logarithm and the logit of its trust -> depth, m, and trust, 0..1.

    label (B, K), intrinsics (B, 3, 3), grid_to_image (B, 2, 3).
    """
    mean_height = torch.tensor(contract.mean_dims, dtype=head.dtype, device=head.device)[label][..., 0]
    focal = (intrinsics[:, 1, 1] / grid_to_image[:, 1, 1])[:, None]
    depth = focal * mean_height * (-head[..., 0].clamp(-3.0, 7.0)).exp()
    return torch.stack([depth, head[..., 1].sigmoid()], -1)


def to_pixels(grid: Tensor, grid_to_image: Tensor) -> Tensor:
    """Points (B, ..., 2) in cells -> pixels of the original images, by affines (B, 2, 3). Float32: see `Deployed`."""
    shape = (len(grid_to_image), *[1] * (grid.ndim - 2), 2)
    linear, shift = grid_to_image[..., :2], grid_to_image[..., 2]
    x_part = grid[..., :1] * linear[..., 0].reshape(shape)
    return x_part + grid[..., 1:] * linear[..., 1].reshape(shape) + shift.reshape(shape)


def gather(maps: Tensor, index: Tensor) -> Tensor:
    """Values (B, K, C) of maps (B, C, H, W) at cells index (B, K) = y W + x."""
    flat = maps.flatten(2)
    return flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)


def cell_centers(index: Tensor, grid_width: int) -> Tensor:
    """Grid coordinates (..., 2), float32 x and y, of cell indices (...,)."""
    row = torch.div(index, grid_width, rounding_mode="floor")
    return torch.stack([index - row * grid_width, row], -1).float()


def read_boxes(
    contract: Contract,
    heads: dict[str, Tensor],
    index: Tensor,
    label: Tensor,
    intrinsics: Tensor,
    grid_to_image: Tensor,
) -> dict[str, Tensor]:
    """What the heads say at given cells: hps, dim and rot as (B, K, C), index and label (B, K).

    intrinsics (B, 3, 3), grid_to_image (B, 2, 3). Returns keypoints (B, K, 9, 2) px, size (B, K, 3) length, width,
    height, m, yaw (B, K), rad, and depth (B, K, 2), m and trust, the latter 0 without a depth head: what
    `fit_location` takes. Training and inference read boxes here and nowhere else.
    """
    offsets = heads["hps"].unflatten(-1, (KEYPOINTS, 2))
    cells = cell_centers(index, contract.grid_width)
    keypoints = to_pixels(cells[..., None, :] + offsets, grid_to_image)
    alpha = decode_angle(heads["rot"])
    yaw = wrap(alpha + ray_angle(keypoints[..., 8, 0], intrinsics[:, None]))
    depth = torch.zeros_like(keypoints[..., 8, :])
    if contract.depth_head:
        depth = decode_depth(heads["depth"], label, contract, intrinsics, grid_to_image)
    return {"keypoints": keypoints, "size": decode_size(heads["dim"], label, contract), "yaw": yaw, "depth": depth}


def decode(contract: Contract, maps: dict[str, Tensor], intrinsics: Tensor, grid_to_image: Tensor) -> dict[str, Tensor]:
    """Head maps -> the K = max_detections best candidates of each image, not yet thresholded.

    maps: {head: (B, C, H, W)} float32.  intrinsics: (B, 3, 3) of the original image.  grid_to_image: (B, 2, 3).
    Returns center (B, K, 3) geometric centre in the camera's optical frame, m; size (B, K, 3) length, width, height, m;
    yaw (B, K), rad; score (B, K) = centre's probability times 3D IoU's, 0 where no location follows from the keypoints;
    label (B, K) int64; box2d (B, K, 4) x1 y1 x2 y2 and keypoints (B, K, 9, 2), pixels, both reaching beyond the image;
    depth (B, K, 2) of the depth head and its trust, 0 without one.
    """
    heat = maps["hm"]
    # Peaks among logits: the sigmoid would make neighbours equal where it saturates. Ordinary values never reach -1e4.
    peak = torch.where(F.max_pool2d(heat, 3, stride=1, padding=1) == heat, heat, -1e4)
    logit, position = peak.flatten(1).topk(contract.max_detections, dim=1)
    cells = contract.grid_height * contract.grid_width
    label = torch.div(position, cells, rounding_mode="floor")
    index = position - label * cells

    heads = {name: gather(value, index) for name, value in maps.items() if name != "hm"}
    found = read_boxes(contract, heads, index, label, intrinsics, grid_to_image)
    weights = subset_weights(contract.keypoints_used, heat).expand(*label.shape, -1)
    place = found["keypoints"], found["size"], found["yaw"], intrinsics[:, None]
    center, valid = fit_location(*place, weights, found["depth"])
    score = logit.sigmoid() * heads["prob"][..., 0].sigmoid()
    in_front = valid & (center[..., 2] > NEAREST)
    return found | {
        "center": center,
        "score": torch.where(in_front, score, 0.0),
        "label": label,
        "box2d": _boxes2d(contract, heads, index, found["keypoints"], grid_to_image),
    }


def _boxes2d(
    contract: Contract, heads: dict[str, Tensor], index: Tensor, keypoints: Tensor, grid_to_image: Tensor
) -> Tensor:
    """2D boxes (B, K, 4), px: from their own heads where the network has them, else the hull of the keypoints."""
    if not contract.auxiliary_heads:
        return torch.cat([keypoints.amin(-2), keypoints.amax(-2)], -1)
    center = cell_centers(index, contract.grid_width) + heads["reg"]
    half = heads["wh"].clamp(min=0) / 2
    return torch.cat([to_pixels(center - half, grid_to_image), to_pixels(center + half, grid_to_image)], -1)
