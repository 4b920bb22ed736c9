"""The geometric reasoning module: where a box of known size and yaw stands, from where its keypoints are seen.

Each keypoint j gives two equations that are linear in the box centre T (Li, 2020, section 3.3). With o_j the keypoint
relative to the centre, u, v its image position in focal lengths from the principal point:

    Tx - u Tz = u o_z - o_x        Ty - v Tz = v o_z - o_y

The weighted least-squares solution is written out with Tx and Ty eliminated, which centres the sums. In float32 that
is exact to 1e-5 m, where the plain normal equations lose 3e-3 m; and it needs no matrix inverse, which ONNX lacks.

A depth that was found otherwise can join as one more equation, Tz = depth, which the paper does not have (RTM3D, Li et
al., 2020, starts its iterative solver from such a depth).
All arrays are torch tensors, differentiable; frames are optical (x right, y down, z forward), lengths m, angles rad.
"""

import math

import torch
from torch import Tensor

from voxbox_core.boxes import CORNER_SIGNS

KEYPOINTS = 9  # the corners in the order of Boxes3D.corners, then the centre
# Where a true horizontal mirror (yaw -> pi - yaw) puts each keypoint: left and right change places.
MIRRORED = (1, 0, 3, 2, 5, 4, 7, 6, 8)

# Keypoints to solve with at inference: opposite corners, alternating corners, all corners, all.
SUBSETS = {2: (0, 6), 4: (0, 2, 5, 7), 8: tuple(range(8)), 9: tuple(range(9))}

# Keypoints closer together than this (RMS, rad; a hundredth of a pixel at KITTI's focal length) say nothing of depth.
MINIMUM_SPREAD = 1.4e-5
# Beyond this nothing is a measurement: keypoints in focal lengths off the axis, sizes in m, yaw in rad.
PLAUSIBLE = 1e3


def template(like: Tensor) -> Tensor:
    """(9, 3) keypoints of a unit box about its centre, along length, height (down) and width, as `like`'s type."""
    forward, left, up = CORNER_SIGNS.T / 2
    corners = [[f, -u, w] for f, w, u in zip(forward, left, up, strict=True)]
    return torch.tensor([*corners, [0.0, 0.0, 0.0]], dtype=like.dtype, device=like.device)


def keypoint_offsets(size: Tensor, yaw: Tensor) -> Tensor:
    """Keypoints relative to the box centre, (..., 9, 3) m, from size (..., 3) length, width, height and yaw (...,)."""
    length, width, height = size.unbind(-1)
    along = template(size) * torch.stack([length, height, width], -1)[..., None, :]
    x, y, z = along.unbind(-1)
    cos, sin = yaw.cos()[..., None], yaw.sin()[..., None]
    return torch.stack([cos * x + sin * z, y, cos * z - sin * x], -1)


def project_keypoints(center: Tensor, size: Tensor, yaw: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels (..., 9, 2) of the keypoints of boxes with centre (..., 3), by intrinsics (..., 3, 3)."""
    points = center[..., None, :] + keypoint_offsets(size, yaw)
    focal, principal = _pinhole(intrinsics)
    return points[..., :2] / points[..., 2:] * focal + principal


def fit_location(
    keypoints: Tensor,
    size: Tensor,
    yaw: Tensor,
    intrinsics: Tensor,
    weights: Tensor | None = None,
    depth: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Box centres from their keypoints.

    keypoints: (..., 9, 2) pixels of the original image.  size: (..., 3) length, width, height, m.  yaw: (...,) rad.
    intrinsics: broadcasts against (..., 3, 3).  weights: (..., 9), >= 0, or None for all ones; 0 leaves one out.
    depth: (..., 2), a depth known otherwise, m, and its trust, 0..1: its part in the centre's depth, the keypoints
    having the rest. That is the least-squares solution with the equation Tz = depth at the weight of trust /
    (1 - trust) times what all keypoints together weigh for the depth. None, or what is not finite, has no trust.
    Returns center (..., 3), m, float32 (float64 if the keypoints are), and valid (...,) bool: False, with a centre of 0
    and no gradient, where an input is not finite or the keypoints that count all but coincide.
    """
    work = torch.float64 if keypoints.dtype == torch.float64 else torch.float32
    keypoints, size, yaw, intrinsics = (x.to(work) for x in (keypoints, size, yaw, intrinsics))
    focal, principal = _pinhole(intrinsics)
    seen = (keypoints - principal) / focal
    if weights is None:
        weights = torch.ones_like(seen[..., 0])

    # Comparisons are False for NaN, so one test finds NaN, infinity and nonsense. Bad values are replaced before any
    # arithmetic, because 0 * NaN is NaN, in the gradient too.
    good_point = (seen.abs() < PLAUSIBLE).all(-1) & (weights >= 0) & (weights < PLAUSIBLE)
    good_box = (size.abs() < PLAUSIBLE).all(-1) & (yaw.abs() < PLAUSIBLE)
    seen = torch.where(good_point[..., None], seen, 0.0)
    weights = torch.where(good_point, weights.to(work), 0.0)
    offsets = keypoint_offsets(torch.where(good_box[..., None], size, 1.0), torch.where(good_box, yaw, 0.0))

    center, spread = _solve(seen, offsets, weights, _usable(depth, work))
    valid = good_box & (spread > MINIMUM_SPREAD**2)
    return torch.where(valid[..., None], center, 0.0), valid


def _usable(depth: Tensor | None, work: torch.dtype) -> Tensor | None:
    if depth is None:
        return None
    depth = depth.to(work)
    good = (depth.abs() < PLAUSIBLE).all(-1, keepdim=True)
    return torch.where(good, depth, 0.0)


def _solve(seen: Tensor, offsets: Tensor, weights: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """Closed form: seen (..., 9, 2), offsets (..., 9, 3), weights (..., 9), known depth and trust (..., 2) or None
    -> centre (..., 3), spread (...,) rad^2."""
    share = (weights / weights.sum(-1, keepdim=True).clamp(min=1e-6))[..., None]
    right = seen * offsets[..., 2:] - offsets[..., :2]
    seen_mean, right_mean = (share * seen).sum(-2), (share * right).sum(-2)
    seen_centred, right_centred = seen - seen_mean[..., None, :], right - right_mean[..., None, :]
    spread = (share * seen_centred.square()).sum((-2, -1))
    # Clamped where the caller discards the result: its `where` needs a finite gradient on the discarded side too.
    depth = -(share * seen_centred * right_centred).sum((-2, -1)) / spread.clamp(min=MINIMUM_SPREAD**2)
    if known is not None:
        depth = depth + known[..., 1] * (known[..., 0] - depth)
    return torch.cat([right_mean + seen_mean * depth[..., None], depth[..., None]], -1), spread


def _pinhole(intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Focal lengths and principal point, (..., 1, 2) each, px, of intrinsics (..., 3, 3) without skew."""
    focal = torch.stack([intrinsics[..., 0, 0], intrinsics[..., 1, 1]], -1)
    return focal[..., None, :], intrinsics[..., None, :2, 2]


def subset_weights(count: int, like: Tensor) -> Tensor:
    """(9,) weights that keep the `count` keypoints of SUBSETS."""
    return torch.tensor([float(j in SUBSETS[count]) for j in range(KEYPOINTS)], dtype=like.dtype, device=like.device)


def draw_kept_keypoints(shape: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
    """Keypoint dropout: (*shape, 9) float32 of 0 and 1, with 2 to 9 ones each, their number and choice uniform.

    Two different keypoints of a box never coincide in space; should their images, `fit_location` says invalid.
    """
    kept = torch.randint(2, KEYPOINTS + 1, (*shape, 1), generator=generator)
    rank = torch.rand(*shape, KEYPOINTS, generator=generator).argsort(-1).argsort(-1)
    return (rank < kept).float()


def wrap(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi)."""
    return angle - 2 * math.pi * torch.floor((angle + math.pi) / (2 * math.pi))


def ray_angle(u: Tensor, intrinsics: Tensor) -> Tensor:
    """Angle of the ray through image column u (...,), px, from straight ahead: yaw = observation angle + this."""
    return torch.atan((u - intrinsics[..., 0, 2]) / intrinsics[..., 0, 0])
