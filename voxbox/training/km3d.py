"""Training KM3D-Net: sample -> view -> targets -> network -> losses -> step, until the clock says it is over."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from km3d_ros.codec import encode
from km3d_ros.contract import Contract
from km3d_ros.losses import loss_terms, total
from km3d_ros.network import KM3DNet, normalise
from voxbox.training.checkpoint import Run
from voxbox.training.data import Draws, Frames, FromStep, loader, open_frames
from voxbox.training.plans import RECIPE
from voxbox.training.processes import Processes
from voxbox.training.recipe import Plan, Recipe
from voxbox.training.running import Average, board_of, optimiser, signals
from voxbox.training.schedule import Clock, learning_rate, stepped_rate
from voxbox.training.validation import Validation
from voxbox_core import weights
from voxbox_core.backbones import load_imagenet
from voxbox_core.datasets.augment import View
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.files import write_json
from voxbox_core.image import apply

# What nobody could learn from its pixels is neither learned nor punished: KITTI's occlusion "unknown", and boxes that
# are lower than this in the network's input, px.
UNKNOWN_OCCLUSION = 3
LOWEST = 5.0
CHECKPOINT, WEIGHTS, VALIDATION = "checkpoint.pt", "weights.pt", "validation.json"
SHOWN = ("Car/2d/0.7/moderate", "Car/bev/0.5/moderate", "Car/3d/0.5/moderate", "Car/3d/0.7/moderate")
_LOG_EVERY = 20  # steps between TensorBoard points


@dataclass(frozen=True)
class Targets:
    """Encodes a view for the contract's network: the input image and `codec.encode`'s targets."""

    contract: Contract

    def __call__(self, sample: Sample, view: View) -> dict[str, np.ndarray]:
        height = np.diff(apply(view.affine, view.boxes.box2d.reshape(-1, 2, 2))[..., 1])[:, 0]
        ignored = (sample.occlusion >= UNKNOWN_OCCLUSION) | (height < LOWEST)
        targets = encode(self.contract, view.boxes, view.camera, view.affine, view.dont_care, ignored)
        return {"image": view.image, **targets}


def train(plan: Plan, out: Path, resume: bool = False, progress_bar: bool = True) -> dict[str, Any]:
    """Run the plan in the folder `out`: recipe.json, checkpoint.pt, TensorBoard events and, at the end, weights.pt.

    Ends early on SIGTERM or SIGINT, with a checkpoint that `resume` takes up. Returns what happened, JSON-able.
    Raises InputError for unusable data or files, and when loss or gradient is not finite; the checkpoint stays then.
    """
    recipe = plan.recipe
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    processes = Processes.join()
    frames = _open_together(plan, processes, progress_bar)
    validate = Validation(recipe.validation, recipe.validation_frames) if recipe.validation else None
    run = _start(plan, processes, len(frames), resume)
    if resume:
        run.restore(out / CHECKPOINT)
        if not processes.leads:  # the checkpoint's random state is the leader's, and no two may drop the same keypoints
            torch.manual_seed(recipe.seed + 1 + processes.rank + run.clock.step)
    if processes.leads:
        plan.save(out / RECIPE)
    with signals() as stopped, board_of(out, processes, run.clock.step) as board:
        trainer = _Trainer(plan, out, run, processes, board, validate)
        finished = trainer.go(frames, stopped, progress_bar)
    processes.leave()
    return {
        "finished": finished,
        "steps": run.clock.step,
        "images": run.clock.step * recipe.batch * processes.count,
        "seconds": round(run.clock.elapsed, 1),
        "weights": str(out / WEIGHTS) if finished else None,
        "validation": trainer.scores,
    }


def _open_together(plan: Plan, processes: Processes, progress_bar: bool) -> Frames:
    """The training frames; the leading process packs them, the others find them packed."""
    recipe = plan.recipe
    width = recipe.packed_width or round(1.25 * plan.contract.input_width)
    if not processes.leads:
        processes.wait()
    frames = open_frames(recipe.data, width, recipe.cache, progress_bar and processes.leads)
    if processes.leads:
        processes.wait()
    return frames


def _start(plan: Plan, processes: Processes, frames: int, resume: bool) -> Run:
    recipe = plan.recipe
    torch.manual_seed(recipe.seed)
    network = KM3DNet(plan.contract)
    if not resume:  # else the checkpoint has all, and the files may be gone
        _take_former_weights(network, recipe)
    network.to(processes.device).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    steps = recipe.steps or round(recipe.epochs * frames / (recipe.batch * processes.count))
    torch.manual_seed(recipe.seed + 1 + processes.rank)  # keypoint dropout differs between processes
    return Run(
        network,
        AveragedModel(network, multi_avg_fn=Average(recipe.ema), use_buffers=True),
        optimiser(network, recipe.learning_rate, recipe.weight_decay),
        Clock(steps, recipe.minutes),
    )


def _take_former_weights(network: KM3DNet, recipe: Recipe) -> None:
    if recipe.pretrained:
        load_imagenet(network.backbone, Path(recipe.pretrained))
    if recipe.initial:
        former = weights.load(recipe.initial)
        theirs, ours = Contract.from_json(former.contract), network.contract
        if (theirs.classes, theirs.mean_dims) != (ours.classes, ours.mean_dims):
            value, expected = f"{theirs.classes} of {theirs.mean_dims} m", f"{ours.classes} of {ours.mean_dims} m"
            raise InputError(f"classes of {recipe.initial}", value, expected, "Give weights of the same classes.")
        weights.load_known(network, former)


class _Trainer:
    """The loop over steps, and what happens between them: reports, validations, checkpoints."""

    def __init__(
        self,
        plan: Plan,
        out: Path,
        run: Run,
        processes: Processes,
        board: SummaryWriter | None,
        validate: Validation | None,
    ) -> None:
        self.plan, self.out, self.run, self.processes = plan, out, run, processes
        self.board, self.validate = board, validate
        self.scores: dict[str, float] = {}
        self._saved = run.clock.elapsed

    def go(self, frames: Frames, stopped: list[int], progress_bar: bool) -> bool:
        """Train to the end, or until `stopped` holds a signal; whether the end was reached."""
        clock, recipe = self.run.clock, self.plan.recipe
        shared = self.processes.share(self.run.network)
        forward = torch.compile(shared) if recipe.compile else shared
        before = clock.progress
        with _bar(self.out, clock, progress_bar and self.processes.leads) as bar:
            for batch in _batches(self.plan, frames, self.processes, clock.step):
                done, stop = self.processes.agree(clock.progress, bool(stopped))
                if done >= 1 or stop:
                    break
                if int(done / recipe.validate_every) > int(before / recipe.validate_every):
                    self._validate()
                before = done
                terms, norm = _step(self.plan, self.run, forward, batch, done)
                clock.step += 1
                bar.update()
                if self.board and clock.step % _LOG_EVERY == 0:
                    _report(self.board, bar, self.run, terms, norm, done)
                self._checkpoint()
        if done >= 1:
            self._release()
        self._checkpoint(now=True)
        return done >= 1

    def _validate(self) -> None:
        """Score the averaged weights; the other processes go on to the next step and wait there."""
        if not (self.validate and self.board):
            return
        report = self.validate(cast(KM3DNet, self.run.averaged.module))
        self.scores = {key: round(value, 2) for key, value in report.scores.items()}
        step = self.run.clock.step
        for key, value in report.scores.items():
            self.board.add_scalar(f"validation/{key}", value, step)
        for i, picture in enumerate(report.pictures):
            self.board.add_image(f"validation/{i}", picture, step, dataformats="HWC")
        write_json(self.out / VALIDATION, {"step": step, "scores": self.scores})
        tqdm.write(f"step {step}: " + ", ".join(f"{key} {self.scores.get(key, 0.0):.1f}" for key in SHOWN))

    def _checkpoint(self, now: bool = False) -> None:
        elapsed = self.run.clock.elapsed
        if self.processes.leads and (now or elapsed - self._saved > 60 * self.plan.recipe.checkpoint_minutes):
            self.run.save(self.out / CHECKPOINT)
            self._saved = elapsed

    def _release(self) -> None:
        self._validate()
        if self.processes.leads:
            state = cast(KM3DNet, self.run.averaged.module).state_dict()
            weights.save(self.out / WEIGHTS, state, self.plan.contract.to_json(), half=True)


def _bar(out: Path, clock: Clock, shown: bool) -> Any:
    return tqdm(total=clock.steps or None, initial=clock.step, desc=out.name, unit="step", disable=not shown)


def _batches(plan: Plan, frames: Frames, processes: Processes, step: int) -> Iterator[dict[str, Tensor]]:
    recipe, contract = plan.recipe, plan.contract
    size = (contract.input_width, contract.input_height)
    draws = Draws(frames, *size, plan.augmentation, recipe.seed, Targets(contract))
    on_gpu = processes.device.type == "cuda"
    steps = FromStep(step, recipe.batch, processes.rank, processes.count)
    for batch in loader(draws, steps, recipe.workers, on_gpu):
        yield {name: value.to(processes.device, non_blocking=on_gpu) for name, value in batch.items()}


def _step(
    plan: Plan, run: Run, forward: Any, batch: dict[str, Tensor], done: float
) -> tuple[dict[str, Tensor], Tensor]:
    """One optimiser step at progress `done`; returns the loss terms and the gradient's norm before clipping."""
    recipe = plan.recipe
    rate = stepped_rate(done, recipe.drops) if recipe.drops else learning_rate(done, recipe.warmup)
    for group in run.optimiser.param_groups:
        group["lr"] = recipe.learning_rate * rate
    image = normalise(batch["image"])  # NHWC in memory, which is what channels_last convolutions want
    with torch.autocast(image.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        outputs = forward(image, at=_cells(batch))
    terms = loss_terms(outputs, batch, plan.contract, plan.losses, done)
    loss = total(terms, plan.losses, done)
    run.optimiser.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip)
    if not norm.isfinite():  # a step would spoil the weights, and the next checkpoint with them
        raise InputError("gradient norm", norm.item(), "a finite number", "Lower the learning rate.")
    run.optimiser.step()
    run.averaged.update_parameters(run.network)
    return terms | {"total": loss}, norm


def _cells(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Where the losses will read the heads that are not heat maps."""
    cells = {"objects": batch["index"]}
    return cells | ({"keypoints": batch["hp_index"].flatten(1)} if "hp_index" in batch else {})


def _report(board: SummaryWriter, bar: Any, run: Run, terms: dict[str, Tensor], norm: Tensor, done: float) -> None:
    step = run.clock.step
    for name, value in terms.items():
        board.add_scalar(f"loss/{name}", value.item(), step)
    board.add_scalar("gradient_norm", norm.item(), step)
    board.add_scalar("learning_rate", run.optimiser.param_groups[0]["lr"], step)
    board.add_scalar("progress", done, step)
    shown = {name: f"{terms[name].item():.2f}" for name in ("total", "hm", "hps", "position") if name in terms}
    bar.set_postfix(done=f"{done:.0%}", **shown)
