"""The recipe of a KM3D-Net training: everything a researcher may change, with its default, its help and its check."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from km3d_ros.contract import Contract
from km3d_ros.losses import LossWeights
from voxbox.training.limits import require, settle
from voxbox.training.options import PRECISIONS, option
from voxbox.training.plans import read_parts
from voxbox_core.datasets.augment import Augmentation
from voxbox_core.errors import InputError
from voxbox_core.files import write_json

LENGTHS = ("minutes", "steps", "epochs")  # exactly one says how long a run is


@dataclass(frozen=True)
class Recipe:
    """Raises InputError on a value that cannot be; the command line makes options from the fields."""

    data: tuple[str, ...] = option((), "training folders in KITTI layout (image_2, calib, label_2)")
    validation: tuple[str, ...] = option((), "validation folders in KITTI layout")
    minutes: float = option(0.0, "length of the run in wall-clock minutes; the schedule follows the clock", least=0)
    steps: int = option(0, "length of the run in optimiser steps", least=0)
    epochs: float = option(0.0, "length of the run in passes over the data", least=0)
    batch: int = option(16, "images per step and process", above=0)
    learning_rate: float = option(1e-3, "peak learning rate of AdamW", above=0)
    drops: tuple[float, ...] = option(
        (), "divide the rate by 10 at these fractions of the run, instead of warm-up and cosine", above=0, below=1
    )
    warmup: float = option(0.05, "fraction of the run with rising learning rate", least=0, below=1)
    weight_decay: float = option(0.01, "AdamW's weight decay, of convolution weights only", least=0)
    clip: float = option(35.0, "largest gradient norm", above=0)
    ema: float = option(
        0.998, "decay per step of the averaged weights, which are validated and released", least=0, below=1
    )
    precision: str = option(
        "bf16", "of the network's forward pass: bf16 or fp32; geometry and losses are float32", among=PRECISIONS
    )
    validate_every: float = option(0.1, "fraction of the run between validations", above=0, most=1)
    validation_frames: int = option(200, "most frames per validation, evenly spread over the folders", above=0)
    checkpoint_minutes: float = option(5.0, "minutes between checkpoints", least=0)
    pretrained: str = option("", "local file with ImageNet weights of the backbone")
    initial: str = option("", "weights.pt of a former training to begin with; heads it lacks begin anew")
    workers: int = option(0, "processes that prepare images; 0 does it in the training process", least=0)
    threads: int = option(0, "CPU threads of the training process; 0 leaves PyTorch's choice", least=0)
    compile: bool = option(False, "compile the network (torch.compile); needs a C++ compiler")
    packed_width: int = option(0, "width at which images are packed; 0 takes 1.25 times the network's input", least=0)
    cache: str = option("", "folder of packed data sets; empty takes $VOXBOX_CACHE, else ~/.cache/voxbox")
    seed: int = option(317, "of weights, order and augmentation")

    def __post_init__(self) -> None:
        settle(self)
        lengths = [n for n in LENGTHS if getattr(self, n) > 0]
        if len(lengths) != 1:
            raise InputError("length of the run", lengths or "not given", "one of minutes, steps, epochs", "Set one.")
        require(self, not (self.pretrained and self.initial), "pretrained", "empty, where initial is given")


@dataclass(frozen=True)
class Plan:
    """All that decides a run: the network, how it is trained, how images are varied. Saved as recipe.json with it."""

    contract: Contract
    recipe: Recipe
    losses: LossWeights
    augmentation: Augmentation

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Reads what `save` wrote. Raises InputError for anything else."""
        return cls(**read_parts(path, PARTS))


PARTS: dict[str, Any] = {
    "contract": Contract,
    "recipe": Recipe,
    "losses": LossWeights,
    "augmentation": Augmentation,
}
"""What a plan is made of; the command line makes options from the fields of each."""

# A preset is what differs from the defaults: of the contract, the recipe, the loss weights, the augmentation.
Preset = dict[str, dict[str, Any]]
_HALF_SIZE = {"input_width": 640, "input_height": 192}
PRESETS: dict[str, Preset] = {
    # Overfits a handful of frames in under a minute on one CPU thread: shows that every part learns.
    "tiny": {
        "contract": {"input_width": 320, "input_height": 96, "width": 0.25, "neck": "skip", "head_channels": 32},
        "recipe": {"steps": 150, "batch": 4, "learning_rate": 4e-3, "ema": 0.95, "weight_decay": 0.0},
        "augmentation": asdict(Augmentation.none()),
    },
    # The released model: small enough to train from nothing and to run on one CPU thread.
    "street": {
        "contract": _HALF_SIZE | {"width": 0.5, "neck": "skip", "depth_head": True},
        "recipe": {"minutes": 90.0, "batch": 8, "clip": 10.0, "ema": 0.999},
        # At its published weight the position loss drowns the heat map when a short run begins to solve for positions:
        # overfitting 20 KITTI frames, Car 2D and 3D AP at 0.5 end at 39 and 23; at 0.2 at 70 and 33.
        "losses": {"position": 0.2},
        "augmentation": {},
    },
    # KM3D as published (A7): full size, Adam without decay, 200 epochs, rate dropped at 90 and 120.
    "paper": {
        "contract": {},
        "recipe": {
            "epochs": 200.0,
            "batch": 32,
            "learning_rate": 1.25e-4,
            "weight_decay": 0.0,
            "drops": (0.45, 0.6),
        },
        # Released: crop side 0.6 to 1.3 times the image's.
        "augmentation": {"scale_min": 0.77, "scale_max": 1.67, "shade": 0.0},
    },
}
