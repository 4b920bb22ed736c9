"""The loop over steps: batches in, averaged weights out, interrupted and resumed at any step.

What a step does is the training's own; what happens between steps is here: reports, validations, checkpoints.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from voxbox.training.checkpoint import Run
from voxbox.training.processes import Processes
from voxbox.training.running import board_of, signals
from voxbox_core import weights
from voxbox_core.files import write_json

CHECKPOINT, WEIGHTS, VALIDATION = "checkpoint.pt", "weights.pt", "validation.json"
_LOG_EVERY = 20  # steps between TensorBoard points

Terms = dict[str, Tensor]
# A batch and the run's progress in [0, 1] -> what TensorBoard is told of the step, which has been made.
Step = Callable[[Any, float], Terms]
# A network in evaluation mode -> scores by name, and pictures (H, W, 3) uint8 RGB.
Validate = Callable[[nn.Module], tuple[dict[str, float], list[Any]]]


@dataclass(frozen=True)
class Course:
    """One optimisation.

    folder: gets checkpoint.pt, weights.pt, validation.json and TensorBoard's events.  contract: saved with the weights.
    batches: from a step on, without end.  validate_every: fraction of the run.  shown: names of the scores to print.
    watched: scalars of the latest step for TensorBoard that are not worth computing at every step.
    """

    folder: Path
    run: Run
    contract: str
    batches: Callable[[int], Iterable[Any]]
    step: Step
    validate: Validate | None
    validate_every: float
    checkpoint_minutes: float
    shown: tuple[str, ...] = ()
    watched: Callable[[], Mapping[str, float]] | None = None


def follow(course: Course, processes: Processes, progress_bar: bool) -> bool:
    """Go to the end of a course, or until SIGTERM or SIGINT; whether the end was reached. It goes on from its
    checkpoint.

    Raises InputError when the checkpoint is of another network, and what the steps raise; the checkpoint stays then.
    """
    if (course.folder / CHECKPOINT).is_file():
        course.run.restore(course.folder / CHECKPOINT)
    with signals() as stopped, board_of(course.folder, processes, course.run.clock.step) as board:
        _Loop(course, processes, board).go(stopped, progress_bar)
    return course.run.clock.progress >= 1


class _Loop:
    def __init__(self, course: Course, processes: Processes, board: SummaryWriter | None) -> None:
        self.course, self.run, self.processes, self.board = course, course.run, processes, board
        self._saved = self.run.clock.elapsed

    def go(self, stopped: list[int], progress_bar: bool) -> None:
        clock, folder = self.run.clock, self.course.folder
        shown = progress_bar and self.processes.leads
        with tqdm(total=clock.steps, initial=clock.step, desc=folder.name, unit="step", disable=not shown) as bar:
            for batch in self.course.batches(clock.step):
                (stop,) = self.processes.agree(bool(stopped))
                if clock.progress >= 1 or stop:
                    break
                before = clock.progress
                terms = self.course.step(batch, before)
                clock.step += 1
                bar.update()
                if self.board and clock.step % _LOG_EVERY == 0:
                    self._report(bar, terms)
                if int(clock.progress / self.course.validate_every) > int(before / self.course.validate_every):
                    self._validate()
                self._checkpoint()
        self._checkpoint(now=True)
        if clock.progress >= 1 and self.processes.leads:
            weights.save(folder / WEIGHTS, self.run.averaged.module.state_dict(), self.course.contract, half=True)

    def _report(self, bar: Any, terms: Mapping[str, Tensor]) -> None:
        assert self.board is not None
        for name, value in terms.items():
            self.board.add_scalar(name, value.item(), self.run.clock.step)
        for name, number in self.course.watched().items() if self.course.watched else ():
            self.board.add_scalar(name, number, self.run.clock.step)
        self.board.add_scalar("learning_rate", self.run.optimiser.param_groups[0]["lr"], self.run.clock.step)
        losses = {name.removeprefix("loss/"): v for name, v in terms.items() if name.startswith("loss/")}
        bar.set_postfix({name: f"{value.item():.3f}" for name, value in losses.items()})

    def _validate(self) -> None:
        """Score the averaged weights; the other processes go on to the next step and wait there."""
        if self.course.validate is None or self.board is None:
            return
        step = self.run.clock.step
        with torch.no_grad():
            scores, pictures = self.course.validate(self.run.averaged.module.eval())
        for name, value in scores.items():
            self.board.add_scalar(f"validation/{name}", value, step)
        for i, picture in enumerate(pictures):
            self.board.add_image(f"validation/{i}", picture, step, dataformats="HWC")
        write_json(self.course.folder / VALIDATION, {"step": step, "scores": scores})
        tqdm.write(f"step {step}: " + ", ".join(f"{name} {scores[name]:.3f}" for name in self.course.shown))

    def _checkpoint(self, now: bool = False) -> None:
        elapsed = self.run.clock.elapsed
        if self.processes.leads and (now or elapsed - self._saved > 60 * self.course.checkpoint_minutes):
            self.run.save(self.course.folder / CHECKPOINT)
            self._saved = elapsed
