"""One run of SSZ's training, from a plan to weights, in a folder that keeps all it decides on."""

from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from ssz_ros.losses import class_weights
from ssz_ros.network import build
from voxbox.training.checkpoint import Run
from voxbox.training.loop import WEIGHTS, Course, follow
from voxbox.training.plans import RECIPE
from voxbox.training.processes import Processes
from voxbox.training.running import Average, optimiser
from voxbox.training.schedule import Clock
from voxbox.training.ssz.data import Draws, Frames, stream
from voxbox.training.ssz.duel import Duel
from voxbox.training.ssz.opponent import Opponent
from voxbox.training.ssz.recipe import Plan
from voxbox.training.ssz.validation import SHOWN, Validation
from voxbox_core import weights

DISCRIMINATOR = "discriminator.pt"


def train(plan: Plan, out: Path, progress_bar: bool = True) -> dict[str, Any]:
    """Train in the folder `out`, or go on there. Returns what happened, JSON-able.

    Ends early on SIGTERM or SIGINT; the same call goes on. Raises InputError for unusable data or files, and when loss
    or gradient is not finite.
    """
    recipe, contract = plan.recipe, plan.contract
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    processes = Processes.join()
    frames = Frames(recipe.data, contract, recipe.kept)
    validation = Validation(recipe.validation, recipe.validation_frames, contract) if recipe.validation else None
    frequencies = torch.from_numpy(frames.frequencies()).float()
    run, opponent = _begin(plan, processes)
    if processes.leads:
        plan.save(out / RECIPE)
    processes.wait()
    course = Course(
        folder=out,
        run=run,
        contract=contract.to_json(),
        batches=stream(Draws(frames, recipe), recipe, processes, opponent.grid if opponent else None),
        step=Duel(plan, run, opponent, processes, class_weights(frequencies) ** recipe.rarity),
        validate=validation,
        validate_every=recipe.validate_every,
        checkpoint_minutes=recipe.checkpoint_minutes,
        shown=SHOWN,
    )
    results = [out / name for name in ((WEIGHTS, DISCRIMINATOR) if opponent else (WEIGHTS,))]
    done = all(file.is_file() for file in results)
    finished = done or follow(course, processes, progress_bar)
    if finished and not done and opponent and processes.leads:
        opponent.save(out / DISCRIMINATOR, contract, recipe)
    processes.leave()
    steps = recipe.steps if done else run.clock.step
    return {"finished": finished, "steps": steps, "frames": len(frames), "weights": str(out / WEIGHTS)}


def _begin(plan: Plan, processes: Processes) -> tuple[Run, Opponent | None]:
    recipe = plan.recipe
    torch.manual_seed(recipe.seed)
    network = build(plan.contract)
    if recipe.initial:
        weights.load_known(network, weights.load(recipe.initial))
    opponent = Opponent.of(plan.contract, recipe) if recipe.discriminator else None
    network.to(processes.device).train()
    if plan.contract.architecture == "c2d":  # the format is of images, not of volumes
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    if opponent:
        opponent.network.to(processes.device).train()
    torch.manual_seed(recipe.seed + 1 + processes.rank)  # Z-GAN's dropout differs between processes
    run = Run(
        network,
        AveragedModel(network, multi_avg_fn=Average(recipe.ema), use_buffers=True),
        optimiser(network, recipe.learning_rate, recipe.weight_decay, recipe.momentum),
        Clock(recipe.steps, 0.0),
        opponent.beside if opponent else {},
    )
    return run, opponent
