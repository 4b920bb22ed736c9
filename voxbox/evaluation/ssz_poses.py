"""Where SSZ's discriminator says that objects stand, in true volumes and in those of a model (section 3.3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssz_ros.contract import Contract
from ssz_ros.discriminator import Pose6DoF, true_volume
from ssz_ros.network import normalise
from ssz_ros.pose_codec import PoseGrid
from ssz_ros.reconstructor import align
from voxbox.training.ssz.opponent import load_pose6dof
from voxbox_core.datasets.voxel_sample import Poses, VoxelSample
from voxbox_core.fruxel_file import require_same
from voxbox_core.voxels import Voxels

TRUE, FOUND = "true volumes", "the model's volumes"


def _lists() -> dict[str, list[float]]:
    return {TRUE: [], FOUND: []}


@dataclass(frozen=True)
class PoseErrors:
    """Errors of the poses of all objects whose cells a discriminator was asked, by the volumes that it looked at.

    distance: m.  angle: deg, of objects that have a front; of a discriminator that was taught none, half a turn is no
    error.
    """

    network: Pose6DoF
    contract: Contract
    distance: dict[str, list[float]] = field(default_factory=_lists)
    angle: dict[str, list[float]] = field(default_factory=_lists)

    @classmethod
    def open(cls, file: Path, model: Contract) -> "PoseErrors":
        """Raises InputError for anything but the discriminator.pt of a run against Pose6DoF in the model's grid."""
        network, contract = load_pose6dof(file)
        require_same(contract.fruxel, model.fruxel, f"grid of {file}")
        return cls(network.eval(), contract)

    @torch.inference_mode()
    def add(self, sample: VoxelSample, truth: Voxels, found: Voxels) -> None:
        """Read both volumes of a sample whose poses are known."""
        if sample.poses is None:
            return
        image = align(sample.image, sample.camera, self.contract.fruxel, self.contract.per_cell).image
        for name, voxels in ((TRUE, truth), (FOUND, found)):
            volume = true_volume(torch.from_numpy(voxels.labels[None]), len(self.contract.classes))
            certificate = self.network(normalise(torch.from_numpy(image[None])), volume)
            distance, angle = pose_errors(self.network.grid, certificate, sample.poses)
            self.distance[name] += distance.tolist()
            self.angle[name] += angle.tolist()

    @property
    def means(self) -> Mapping[str, Mapping[str, float | None]]:
        """JSON-able: null without objects."""
        return {
            name: {"distance": _mean(self.distance[name]), "angle": _mean(self.angle[name])} for name in self.distance
        }

    def table(self) -> str:
        lines = [f"{'poses read from':24}{'off by, m':>12}{'turned, deg':>14}{'objects':>10}"]
        for name, means in self.means.items():
            cells = (math.nan if value is None else value for value in means.values())
            lines.append("{:24}{:12.2f}{:14.1f}{:10d}".format(name, *cells, len(self.distance[name])))
        return "\n".join(lines)


def pose_errors(grid: PoseGrid, certificate: Tensor, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    """A certificate (1, channels, u, v, w) against the objects that have a cell -> (N,) m, and (M,) deg of those among
    them that have a front."""
    truth = replace(grid, rotation="quaternion").encode(poses)
    there = truth["object"]
    translation, rotation = grid.poses(certificate, {"object": torch.from_numpy(there)})
    distance = np.linalg.norm(translation - truth["translation"][:, there].T, axis=-1)
    agree = np.abs((rotation * truth["rotation"][:, there].T).sum(-1))
    angle = np.degrees(2 * np.arccos(np.clip(agree, 0, 1)))
    if grid.rotation == "double_yaw":
        angle = np.minimum(angle, 180 - angle)
    return distance, angle[truth["rotates"][there]]


def _mean(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 6) if values else None
