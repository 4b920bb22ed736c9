"""One optimisation by AdamW, which the stages share: batches in, averaged weights out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from voxbox.training.checkpoint import Run
from voxbox.training.loop import WEIGHTS, Course, Terms, Validate, follow
from voxbox.training.point_detr3d.recipe import Recipe
from voxbox.training.processes import Processes
from voxbox.training.running import Average, optimiser
from voxbox.training.schedule import Clock, learning_rate
from voxbox_core.errors import InputError

# A network (shared between processes) and a batch -> the loss terms, and the sum to minimise.
Losses = Callable[[nn.Module, Any], tuple[Terms, Tensor]]


@dataclass(frozen=True)
class Stage:
    """One optimisation.

    folder: gets checkpoint.pt, weights.pt, validation.json and TensorBoard's events.  contract: saved with the weights.
    batches: from a step on, without end.  shown: names of the scores to print.  watched: scalars of the latest step,
    for TensorBoard.
    """

    folder: Path
    network: nn.Module
    contract: str
    steps: int
    learning_rate: float
    batches: Callable[[int], Iterable[Any]]
    losses: Losses
    validate: Validate | None
    shown: tuple[str, ...] = ()
    watched: Callable[[], Mapping[str, float]] | None = None

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def done(self) -> bool:
        """Whether it has run to its end, now or earlier."""
        return self.weights.is_file()


def optimise(stage: Stage, recipe: Recipe, processes: Processes, progress_bar: bool) -> bool:
    """Run a stage to its end, or until SIGTERM or SIGINT; whether the end was reached. It goes on from its checkpoint.

    Raises InputError when the checkpoint is of another network, and when loss or gradient is not finite; the
    checkpoint stays then.
    """
    network = stage.network.to(processes.device).train()
    run = Run(
        network,
        AveragedModel(network, multi_avg_fn=Average(recipe.ema), use_buffers=True),
        optimiser(network, stage.learning_rate, recipe.weight_decay),
        Clock(stage.steps, 0.0),
    )
    course = Course(
        folder=stage.folder,
        run=run,
        contract=stage.contract,
        batches=stage.batches,
        step=Descent(stage, recipe, processes, run),
        validate=stage.validate,
        validate_every=recipe.validate_every,
        checkpoint_minutes=recipe.checkpoint_minutes,
        shown=stage.shown,
        watched=stage.watched,
    )
    return follow(course, processes, progress_bar)


class Descent:
    """Makes a step, as `loop.Step` says."""

    def __init__(self, stage: Stage, recipe: Recipe, processes: Processes, run: Run) -> None:
        self.stage, self.recipe, self.run = stage, recipe, run
        self._device = processes.device.type
        self._forward = processes.share(run.network)

    def __call__(self, batch: Any, progress: float) -> Terms:
        run, recipe = self.run, self.recipe
        for group in run.optimiser.param_groups:
            group["lr"] = self.stage.learning_rate * learning_rate(progress, recipe.warmup)
        with torch.autocast(self._device, torch.bfloat16, enabled=recipe.precision == "bf16"):
            terms, loss = self.stage.losses(self._forward, batch)
        run.optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip)
        if not norm.isfinite():  # a step would spoil the weights, and the next checkpoint with them
            raise InputError("gradient norm", norm.item(), "a finite number", "Lower the learning rate.")
        run.optimiser.step()
        run.averaged.update_parameters(run.network)
        return {f"loss/{name}": value for name, value in (terms | {"total": loss}).items()} | {"gradient_norm": norm}
