"""How keypoint errors become position errors in KM3D's geometric reasoning module.

`python -m voxbox.evaluation.geometry_tables` prints the tables. A car of KITTI's mean size is projected by KITTI's
camera, its keypoints are disturbed by Gaussian noise, and the module recovers where it stands.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from km3d_ros.geometry import KEYPOINTS, fit_location, project_keypoints

CAR = (3.88, 1.63, 1.53)  # length, width, height, m
INTRINSICS = ((721.5, 0.0, 609.6), (0.0, 721.5, 172.9), (0.0, 0.0, 1.0))

# Keypoints solved with, under the name that the tables print.
CHOICES = {
    "2: opposite corners": (0, 6),
    "4: two opposite edges": (0, 2, 4, 6),
    "4: alternating corners": (0, 2, 5, 7),
    "8: all corners": tuple(range(8)),
    "9: corners and centre": tuple(range(9)),
}


@dataclass(frozen=True)
class DepthError:
    """Error of the recovered depth, m: root mean square, and mean (negative: towards the camera)."""

    rms: float
    bias: float


def depth_error(keypoints: tuple[int, ...], sigma: float, depth: float = 30.0, trials: int = 20_000) -> DepthError:
    """Depth error of a car at `depth` m, of any yaw, whose keypoints err by `sigma` px, over seeded trials."""
    generator = torch.Generator().manual_seed(0)
    yaw = (torch.rand(trials, generator=generator, dtype=torch.float64) * 2 - 1) * math.pi
    center, size, intrinsics = _car(3.0, depth, trials)
    exact = project_keypoints(center, size, yaw, intrinsics)
    noise = torch.randn(trials, KEYPOINTS, 2, generator=generator, dtype=torch.float64)
    weights = torch.tensor([float(j in keypoints) for j in range(KEYPOINTS)]).expand(trials, -1)
    found, _ = fit_location(exact + sigma * noise, size, yaw, intrinsics, weights)
    error = found[:, 2] - depth
    return DepthError(error.square().mean().sqrt().item(), error.mean().item())


def condition(depth: float) -> float:
    """Condition number of the uncentred normal equations of the eight corners, for a car straight ahead at 0.7 rad."""
    center, size, intrinsics = _car(0.0, depth, 1)
    yaw = torch.full((1,), 0.7, dtype=torch.float64)
    seen = project_keypoints(center, size, yaw, intrinsics)[0, :8] - intrinsics[:2, 2]
    seen = seen / intrinsics[[0, 1], [0, 1]]
    ones, zeros = torch.ones(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    u_rows = torch.stack([-ones, zeros, seen[:, 0]], -1)
    v_rows = torch.stack([zeros, -ones, seen[:, 1]], -1)
    system = torch.cat([u_rows, v_rows])
    return torch.linalg.cond(system.mT @ system).item()


def float32_error(depth: float, trials: int = 256) -> float:
    """Largest position error, m, of the module in float32 on exact keypoints, over cars of all yaws at `depth` m."""
    yaw = torch.linspace(-math.pi, math.pi, trials, dtype=torch.float64)
    center, size, intrinsics = _car(3.0, depth, trials)
    keypoints = project_keypoints(center, size, yaw, intrinsics)
    found, _ = fit_location(keypoints.float(), size.float(), yaw.float(), intrinsics.float())
    return (found.double() - center).norm(dim=-1).max().item()


def _car(x: float, depth: float, count: int) -> tuple[Tensor, Tensor, Tensor]:
    center = torch.tensor([x, 0.9, depth], dtype=torch.float64).expand(count, 3)
    size = torch.tensor(CAR, dtype=torch.float64).expand(count, 3)
    return center, size, torch.tensor(INTRINSICS, dtype=torch.float64)


def main() -> None:
    sigmas = (1.0, 2.0, 4.0)
    print("Depth error at 30 m, RMS / bias, m, by keypoint noise")
    print(f"{'keypoints':<24}" + "".join(f"{sigma:>12.0f} px" for sigma in sigmas))
    for name, keypoints in CHOICES.items():
        errors = [depth_error(keypoints, sigma) for sigma in sigmas]
        print(f"{name:<24}" + "".join(f"{e.rms:>8.2f} /{e.bias:>5.2f}" for e in errors))
    print("\ndepth, m   condition of A'A   float32 error, m")
    for depth in (10.0, 40.0, 80.0):
        print(f"{depth:>8.0f}   {condition(depth):>16.0f}   {float32_error(depth):>16.1e}")


if __name__ == "__main__":
    main()
