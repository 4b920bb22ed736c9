"""The state of a run between two steps: enough to go on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from voxbox.training.schedule import Clock
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file
from voxbox_core.weights import read_archive

_REMEDY = "Start the run afresh in another folder."


@dataclass(frozen=True)
class Run:
    """What changes from step to step.

    beside: what else has a state, by name: an opponent and its optimiser.
    """

    network: nn.Module
    averaged: AveragedModel
    optimiser: Optimizer
    clock: Clock
    beside: Mapping[str, nn.Module | Optimizer] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.clock.step,
            "elapsed": self.clock.elapsed,
            "random": torch.get_rng_state(),
            "beside": {name: other.state_dict() for name, other in self.beside.items()},
        }
        with whole_file(path) as partial:
            torch.save(state, partial)

    def restore(self, path: Path) -> None:
        """Take up a saved state. Raises InputError when the file is damaged or of another network."""
        state: Any = read_archive(path, _REMEDY)
        try:
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimiser.load_state_dict(state["optimiser"])
            for name, other in self.beside.items():
                other.load_state_dict(state["beside"][name])
            self.clock.step, self.clock.resumed = state["step"], state["elapsed"]
            torch.set_rng_state(state["random"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"checkpoint {path}", f"unusable ({reason})", "a checkpoint of this run", _REMEDY
            ) from None
