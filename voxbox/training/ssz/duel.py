"""A step of SSZ's training: the generator's on voxels, and, where there is an opponent, its own and its judgement
(section 3.3)."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ssz_ros.discriminator import generated_volume, true_volume
from ssz_ros.losses import POSE_LOSSES, discriminator_total, generator_total, realness, soft_jaccard, voxel_nll
from ssz_ros.network import normalise
from voxbox.training.checkpoint import Run
from voxbox.training.loop import Terms
from voxbox.training.processes import Processes
from voxbox.training.schedule import learning_rate, linear_rate
from voxbox.training.ssz.opponent import Opponent
from voxbox.training.ssz.recipe import Plan, Recipe
from voxbox_core.errors import InputError


class Duel:
    """Makes a step: `duel(batch, progress)`, as `loop.Step` says.

    frequency_weights: (n,) of the classes in the voxel loss.
    """

    def __init__(
        self, plan: Plan, run: Run, opponent: Opponent | None, processes: Processes, frequency_weights: Tensor
    ) -> None:
        self.plan, self.run, self.opponent = plan, run, opponent
        self._generate = processes.share(run.network)
        self._judge = processes.share(_Both(opponent.network)) if opponent else None
        self._class_weights = frequency_weights.to(processes.device)
        device, low = processes.device.type, plan.recipe.precision == "bf16"
        self._autocast = partial(torch.autocast, device, torch.bfloat16, enabled=low)

    def __call__(self, batch: Mapping[str, Tensor], progress: float) -> Terms:
        recipe, weights = self.plan.recipe, self.plan.losses
        image = normalise(batch["image"])
        with self._autocast():
            logits = self._generate(image)
        terms = {"nll": voxel_nll(logits, batch["labels"], self._class_weights)}
        if weights.jaccard > 0:
            terms["jaccard"] = soft_jaccard(logits, batch["labels"])
        seen: Terms = {}
        if self.opponent and progress >= recipe.alone:
            volume = generated_volume(logits, batch["labels"])
            seen |= self._teach_opponent(batch, image, volume.detach(), progress)
            terms |= self._judged(self.opponent, batch, image, volume)
        loss = generator_total(terms, weights)
        norm = _step(self.run.network, self.run.optimiser, loss, recipe, recipe.learning_rate, progress)
        self.run.averaged.update_parameters(self.run.network)
        return {f"loss/{k}": v for k, v in (terms | {"total": loss}).items()} | seen | {"gradient_norm": norm}

    def _judged(self, opponent: Opponent, batch: Mapping[str, Tensor], image: Tensor, volume: Tensor) -> Terms:
        """The opponent's opinion of generated volumes, from which it does not learn itself."""
        opponent.network.requires_grad_(False)
        with self._autocast():
            certificate = opponent.network(image, volume)
        opponent.network.requires_grad_(True)
        targets = batch if opponent.grid else None
        return {"adversarial": realness(certificate, True, targets)} | self._pose(opponent, certificate, batch)

    def _teach_opponent(self, batch: Mapping[str, Tensor], image: Tensor, generated: Tensor, progress: float) -> Terms:
        """The opponent's own step, on volumes true and generated; poses are learned from true ones alone."""
        opponent, recipe = self.opponent, self.plan.recipe
        assert opponent is not None and self._judge is not None
        true = true_volume(batch["labels"], generated.shape[1])
        with self._autocast():
            of_true, of_generated = self._judge(image, true, generated)
        targets = batch if opponent.grid else None
        terms = {"real": realness(of_true, True, targets), "fake": realness(of_generated, False, targets)}
        terms |= self._pose(opponent, of_true, batch)
        loss = discriminator_total(terms, self.plan.losses)
        _step(opponent.network, opponent.optimiser, loss, recipe, recipe.discriminator_rate, progress)
        return {f"discriminator/{name}": value.detach() for name, value in terms.items()}

    def _pose(self, opponent: Opponent, certificate: Tensor, batch: Mapping[str, Tensor]) -> Terms:
        if opponent.grid is None:
            return {}
        return {"pose": POSE_LOSSES[self.plan.recipe.pose_loss](certificate, batch, opponent.grid)}


class _Both(nn.Module):
    """True and generated volumes judged in one forward pass, as several processes need it, each by its own batch
    statistics."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, true: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(image, true), self.network(image, generated)


def _step(
    network: nn.Module, optimiser: Optimizer, loss: Tensor, recipe: Recipe, peak: float, progress: float
) -> Tensor:
    """One optimiser step at the schedule's rate -> the gradient's norm before clipping."""
    rate = (linear_rate if recipe.schedule == "linear" else learning_rate)(progress, recipe.warmup)
    for group in optimiser.param_groups:
        group["lr"] = peak * rate
    optimiser.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
    if not norm.isfinite():  # a step would spoil the weights, and the next checkpoint with them
        raise InputError("gradient norm", norm.item(), "a finite number", "Lower the learning rate.")
    optimiser.step()
    return norm
