"""The loop over steps that the stages share: batches in, averaged weights out, interrupted and resumed at any step."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from voxbox.training.checkpoint import Run
from voxbox.training.point_detr3d.recipe import Recipe
from voxbox.training.processes import Processes
from voxbox.training.running import Average, board_of, optimiser, signals
from voxbox.training.schedule import Clock, learning_rate
from voxbox_core import weights
from voxbox_core.errors import InputError
from voxbox_core.files import write_json

CHECKPOINT, WEIGHTS, VALIDATION = "checkpoint.pt", "weights.pt", "validation.json"
_LOG_EVERY = 20  # steps between TensorBoard points

Terms = dict[str, Tensor]
# A network (shared between processes) and a batch -> the loss terms, and the sum to minimise.
Losses = Callable[[nn.Module, Any], tuple[Terms, Tensor]]
# A network in evaluation mode -> scores by name, and pictures (H, W, 3) uint8 RGB.
Validate = Callable[[nn.Module], tuple[dict[str, float], list[Any]]]


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
    if (stage.folder / CHECKPOINT).is_file():
        run.restore(stage.folder / CHECKPOINT)
    with signals() as stopped, board_of(stage.folder, processes, run.clock.step) as board:
        _Loop(stage, recipe, processes, run, board).go(stopped, progress_bar)
    return run.clock.progress >= 1


class _Loop:
    """The steps, and what happens between them: reports, validations, checkpoints."""

    def __init__(
        self, stage: Stage, recipe: Recipe, processes: Processes, run: Run, board: SummaryWriter | None
    ) -> None:
        self.stage, self.recipe, self.processes, self.run, self.board = stage, recipe, processes, run, board
        self._saved = run.clock.elapsed

    def go(self, stopped: list[int], progress_bar: bool) -> None:
        clock, stage = self.run.clock, self.stage
        forward = self.processes.share(self.run.network)
        shown = progress_bar and self.processes.leads
        with tqdm(total=stage.steps, initial=clock.step, desc=stage.folder.name, unit="step", disable=not shown) as bar:
            for batch in stage.batches(clock.step):
                (stop,) = self.processes.agree(bool(stopped))
                if clock.progress >= 1 or stop:
                    break
                before = clock.progress
                terms, norm = self._step(forward, batch)
                clock.step += 1
                bar.update()
                if self.board and clock.step % _LOG_EVERY == 0:
                    self._report(bar, terms, norm)
                if int(clock.progress / self.recipe.validate_every) > int(before / self.recipe.validate_every):
                    self._validate()
                self._checkpoint()
        self._checkpoint(now=True)
        if clock.progress >= 1 and self.processes.leads:
            weights.save(stage.weights, self.run.averaged.module.state_dict(), stage.contract, half=True)

    def _step(self, forward: nn.Module, batch: Any) -> tuple[Terms, Tensor]:
        """One optimiser step -> the loss terms, and the gradient's norm before clipping."""
        run, recipe = self.run, self.recipe
        for group in run.optimiser.param_groups:
            group["lr"] = self.stage.learning_rate * learning_rate(run.clock.progress, recipe.warmup)
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            terms, loss = self.stage.losses(forward, batch)
        run.optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip)
        if not norm.isfinite():  # a step would spoil the weights, and the next checkpoint with them
            raise InputError("gradient norm", norm.item(), "a finite number", "Lower the learning rate.")
        run.optimiser.step()
        run.averaged.update_parameters(run.network)
        return terms | {"total": loss}, norm

    def _report(self, bar: Any, terms: Terms, norm: Tensor) -> None:
        assert self.board is not None
        step = self.run.clock.step
        for name, value in terms.items():
            self.board.add_scalar(f"loss/{name}", value.item(), step)
        for name, number in self.stage.watched().items() if self.stage.watched else ():
            self.board.add_scalar(name, number, step)
        self.board.add_scalar("gradient_norm", norm.item(), step)
        self.board.add_scalar("learning_rate", self.run.optimiser.param_groups[0]["lr"], step)
        bar.set_postfix({name: f"{value.item():.2f}" for name, value in terms.items()})

    def _validate(self) -> None:
        """Score the averaged weights; the other processes go on to the next step and wait there."""
        if self.stage.validate is None or self.board is None:
            return
        step = self.run.clock.step
        with torch.no_grad():
            scores, pictures = self.stage.validate(self.run.averaged.module.eval())
        for name, value in scores.items():
            self.board.add_scalar(f"validation/{name}", value, step)
        for i, picture in enumerate(pictures):
            self.board.add_image(f"validation/{i}", picture, step, dataformats="HWC")
        write_json(self.stage.folder / VALIDATION, {"step": step, "scores": scores})
        tqdm.write(f"step {step}: " + ", ".join(f"{name} {scores[name]:.3f}" for name in self.stage.shown))

    def _checkpoint(self, now: bool = False) -> None:
        elapsed = self.run.clock.elapsed
        if self.processes.leads and (now or elapsed - self._saved > 60 * self.recipe.checkpoint_minutes):
            self.run.save(self.stage.folder / CHECKPOINT)
            self._saved = elapsed
