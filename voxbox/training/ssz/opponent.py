"""What SSZ's generator is trained against: the discriminator, its optimiser, and its weights in a file."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from ssz_ros.contract import Contract
from ssz_ros.discriminator import Pose6DoF
from ssz_ros.pose_codec import PoseGrid
from ssz_ros.zgan import PatchGAN3d
from voxbox.training.running import optimiser
from voxbox.training.ssz.recipe import Recipe
from voxbox_core import weights
from voxbox_core.errors import InputError

_MOMENTUM = 0.5  # of the optimiser, as Z-GAN's and SSZ's Adam have it


@dataclass(frozen=True)
class Opponent:
    """The discriminator and its optimiser.  grid: of the poses it gives, None for Z-GAN's, which gives none."""

    network: nn.Module
    optimiser: Optimizer
    grid: PoseGrid | None

    @classmethod
    def of(cls, contract: Contract, recipe: Recipe) -> "Opponent":
        """Pose6DoF, but for Z-GAN its own."""
        if contract.architecture == "zgan":
            patches = PatchGAN3d(len(contract.classes))
            return cls(patches, optimiser(patches, recipe.discriminator_rate, 0.0, _MOMENTUM), None)
        network = Pose6DoF(contract, recipe.rotation)
        return cls(network, optimiser(network, recipe.discriminator_rate, 0.0, _MOMENTUM), network.grid)

    @property
    def beside(self) -> dict[str, nn.Module | Optimizer]:
        """What a checkpoint keeps of it."""
        return {"discriminator": self.network, "discriminator_optimiser": self.optimiser}

    def save(self, path: Path, contract: Contract, recipe: Recipe) -> None:
        """Its weights, for `load_pose6dof`."""
        facts = {"rotation": recipe.rotation if self.grid else "", "generator": contract.to_json()}
        weights.save(path, self.network.state_dict(), json.dumps(facts), half=True)


def load_pose6dof(path: Path) -> tuple[Pose6DoF, Contract]:
    """The discriminator of a run, and the contract of the generator it judges. Raises InputError for another file."""
    stored = weights.load(path)
    try:
        facts = json.loads(stored.contract)
        rotation, contract = facts["rotation"], Contract.from_json(facts["generator"])
    except (ValueError, KeyError, TypeError):
        rotation = ""
    if not rotation:
        expected = "the discriminator.pt of a run against Pose6DoF"
        raise InputError(f"discriminator {path}", "another network's weights", expected, "Check the path.")
    network = Pose6DoF(contract, rotation)
    weights.load_into(network, stored)
    return network, contract
