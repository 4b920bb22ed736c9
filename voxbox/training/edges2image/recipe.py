"""The recipe of edges2image: everything a researcher may change, with its default, its help and its check."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxbox.training.edges2image.contract import PainterContract
from voxbox.training.limits import settle
from voxbox.training.options import option
from voxbox.training.plans import read_parts
from voxbox_core.errors import InputError
from voxbox_core.files import write_json


@dataclass(frozen=True)
class Recipe:
    """Raises InputError on a value that cannot be; the command line makes options from the fields."""

    data: tuple[str, ...] = option((), "folders of photos, searched with all in them")
    steps: int = option(20000, "optimiser steps", above=0)
    batch: int = option(4, "images per step", above=0)
    size: int = option(256, "side of the square cut out of each photo, px, a multiple of 2 ** levels", above=0)
    l1: float = option(100.0, "weight of the difference to the photo; the critic's is 1", least=0)
    learning_rate: float = option(2e-4, "Adam's, constant for a half of the run, then down to zero", above=0)
    ema: float = option(0.999, "decay per step of the averaged weights, which are saved", least=0, below=1)
    held_out: int = option(8, "photos kept for pictures of the progress", above=0)
    validate_every: float = option(0.1, "fraction of the run between pictures", above=0, most=1)
    checkpoint_minutes: float = option(5.0, "minutes between checkpoints", least=0)
    seed: int = option(0, "seed of weights, order and cuts", least=0)

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class Plan:
    """All that decides a run. Saved as recipe.json with it. Raises InputError where size and levels do not agree."""

    contract: PainterContract
    recipe: Recipe

    def __post_init__(self) -> None:
        step = 2**self.contract.levels
        if self.recipe.size % step:
            raise InputError("recipe value size", self.recipe.size, f"a multiple of {step}", "Correct the recipe.")

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Reads what `save` wrote. Raises InputError for anything else."""
        return cls(**read_parts(path, PARTS))


PARTS: dict[str, Any] = {"contract": PainterContract, "recipe": Recipe}
"""What a plan is made of; the command line makes options from the fields of each."""
