"""The recipe of SSZ: everything a researcher may change, with its default, its help and its check."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssz_ros.contract import PRESETS as CONTRACTS
from ssz_ros.contract import Contract
from ssz_ros.losses import POSE_LOSSES, LossWeights
from ssz_ros.pose_codec import ROTATIONS
from voxbox.training.limits import require, settle
from voxbox.training.options import PRECISIONS, option
from voxbox.training.plans import read_parts
from voxbox_core.files import write_json

SCHEDULES = ("cosine", "linear")


@dataclass(frozen=True)
class Recipe:
    """Raises InputError on a value that cannot be; the command line makes options from the fields."""

    data: tuple[str, ...] = option((), "training folders of voxels (`voxbox street voxels`)")
    validation: tuple[str, ...] = option((), "validation folders of voxels")
    steps: int = option(20000, "optimiser steps", above=0)
    batch: int = option(8, "images per step and process", above=0)
    discriminator: bool = option(False, "train against the Pose6DoF discriminator, too")
    alone: float = option(0.2, "fraction of the run before the discriminator comes in", least=0, most=1)
    pose_loss: str = option("stable", "of the discriminator: stable, or paper (equation 3)", among=tuple(POSE_LOSSES))
    rotation: str = option(
        "double_yaw", "what it says of rotations: double_yaw, yaw, or quaternion as the paper's", among=tuple(ROTATIONS)
    )
    learning_rate: float = option(2e-3, "peak learning rate of the generator", above=0)
    discriminator_rate: float = option(2e-4, "peak learning rate of the discriminator", above=0)
    schedule: str = option(
        "cosine", "of the learning rates: cosine, or linear: constant for a half, then down to zero", among=SCHEDULES
    )
    warmup: float = option(0.05, "fraction of the run with rising learning rates", least=0, below=1)
    momentum: float = option(0.9, "AdamW's beta 1 of the generator; the discriminator's is 0.5", least=0, below=1)
    weight_decay: float = option(0.01, "AdamW's weight decay, of weights of layers only", least=0)
    clip: float = option(10.0, "largest gradient norm", above=0)
    ema: float = option(
        0.998, "decay per step of the averaged weights, which are validated and released", least=0, below=1
    )
    precision: str = option("bf16", "of the forward pass: bf16 or fp32; losses are float32", among=PRECISIONS)
    flip: float = option(0.5, "probability of a mirrored world", least=0, most=1)
    appearance: float = option(
        1.0, "variation of colour and tone, sensor faults: 0 none, 1 as much as KM3D's", least=0, most=1
    )
    rarity: float = option(
        1.0, "what rare classes count: power of the inverse square root of their frequency; 0 none", least=0, most=1
    )
    initial: str = option("", "weights.pt of a former generator to begin with; it begins anew when empty")
    validate_every: float = option(0.1, "fraction of the run between validations", above=0, most=1)
    validation_frames: int = option(200, "most frames per validation, evenly spread", above=0)
    checkpoint_minutes: float = option(5.0, "minutes between checkpoints", least=0)
    kept: int = option(20000, "frames that stay in memory, shrunk and deflated, once they were read", least=0)
    workers: int = option(0, "processes that prepare images; 0 does it in the training process", least=0)
    threads: int = option(0, "CPU threads of the training process; 0 leaves PyTorch's choice", least=0)
    seed: int = option(0, "seed of weights, order and augmentation", least=0)

    def __post_init__(self) -> None:
        settle(self)
        paper = self.pose_loss != "paper" or self.rotation == "quaternion"
        require(self, paper, "rotation", "quaternion, with the paper's pose loss")


@dataclass(frozen=True)
class Plan:
    """All that decides a run. Saved as recipe.json with it."""

    contract: Contract
    recipe: Recipe
    losses: LossWeights

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Reads what `save` wrote. Raises InputError for anything else."""
        return cls(**read_parts(path, PARTS))


PARTS: dict[str, Any] = {"contract": Contract, "recipe": Recipe, "losses": LossWeights}
"""What a plan is made of; the command line makes options from the fields of each."""

# A preset is what differs from the defaults, part by part.
Preset = dict[str, dict[str, Any]]
PRESETS: dict[str, Preset] = {
    # The released model: a grid as far as a car must look, on the CPU many times a second.
    "street": {"recipe": {"rarity": 0.7}, "losses": {"jaccard": 1.0}},
    # The paper's system in its frustum, in few cells, narrow and quick, for the many runs of an ablation.
    "compact": {"contract": asdict(CONTRACTS["compact32"]), "recipe": {"discriminator": True}},
    # Grid, order of layers, optimiser and schedule as published; the paper does not tell widths and loss weights.
    "paper": {
        "contract": asdict(CONTRACTS["ssz128"]),
        "recipe": {
            "discriminator": True,
            "learning_rate": 2e-4,
            "schedule": "linear",
            "warmup": 0.0,
            "momentum": 0.5,
            "weight_decay": 0.0,
            "batch": 4,
            "pose_loss": "paper",
            "rotation": "quaternion",
        },
        "losses": {"nll": 100.0, "adversarial": 1.0, "pose": 1.0},
    },
}
