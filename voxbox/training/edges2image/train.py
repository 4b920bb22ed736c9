"""One run of edges2image, from a plan to weights, in a folder that keeps all it decides on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from voxbox.training.checkpoint import Run
from voxbox.training.edges2image.networks import Critic, Painter, as_picture
from voxbox.training.edges2image.recipe import Plan
from voxbox.training.loop import WEIGHTS, Course, Terms, follow
from voxbox.training.plans import RECIPE
from voxbox.training.processes import Processes
from voxbox.training.running import Average
from voxbox.training.schedule import Clock, linear_rate
from voxbox_core.datasets.edges import Canny
from voxbox_core.datasets.kitti import read_image
from voxbox_core.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png")
Pair = tuple[Tensor, Tensor]


def train(plan: Plan, out: Path, progress_bar: bool = True) -> dict[str, Any]:
    """Train in the folder `out`, or go on there. Returns what happened, JSON-able.

    Ends early on SIGTERM or SIGINT; the same call goes on. Raises InputError for unusable data or files, and when a
    loss is not finite."""
    recipe = plan.recipe
    photos = _photos(recipe.data, recipe.held_out)
    processes = Processes.join()
    torch.manual_seed(recipe.seed)
    painter, critic = Painter(plan.contract).to(processes.device), Critic().to(processes.device)
    averaged = AveragedModel(painter, multi_avg_fn=Average(recipe.ema))
    duel = _Duel(plan, painter, critic, averaged, processes.device)
    run = Run(
        painter,
        averaged,
        duel.optimisers[0],
        Clock(recipe.steps, 0.0),
        {"critic": critic, "critic_optimiser": duel.optimisers[1]},
    )
    plan.save(out / RECIPE)
    shown = photos[: recipe.held_out]
    course = Course(
        folder=out,
        run=run,
        contract=plan.contract.to_json(),
        batches=lambda step: _batches(photos[recipe.held_out :], plan, step),
        step=duel,
        validate=lambda network: _pictures(network, shown, plan, processes.device),
        validate_every=recipe.validate_every,
        checkpoint_minutes=recipe.checkpoint_minutes,
        shown=("l1",),
    )
    done = (out / WEIGHTS).is_file()
    finished = done or follow(course, processes, progress_bar)
    processes.leave()
    steps = recipe.steps if done else run.clock.step
    return {"finished": finished, "steps": steps, "photos": len(photos), "weights": str(out / WEIGHTS)}


class _Duel:
    """A step of critic and painter: least squares (Mao et al., ICCV 2017), and L1 between painted and photo."""

    def __init__(
        self, plan: Plan, painter: Painter, critic: Critic, averaged: AveragedModel, device: torch.device
    ) -> None:
        self.recipe, self.painter, self.critic = plan.recipe, painter, critic
        self.averaged, self.device = averaged, device
        rate = plan.recipe.learning_rate
        self.optimisers = [torch.optim.Adam(n.parameters(), rate, betas=(0.5, 0.999)) for n in (painter, critic)]

    def __call__(self, batch: Pair, progress: float) -> Terms:
        edges, photos = (part.to(self.device) for part in batch)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.recipe.learning_rate * linear_rate(progress, 0.0)
        painted = self.painter(edges)
        real, fake = self.critic(edges, photos), self.critic(edges, painted.detach())
        critic = ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2
        self._step(1, critic)
        l1 = functional.l1_loss(painted, photos)
        adversarial = ((self.critic(edges, painted) - 1) ** 2).mean()
        self._step(0, adversarial + self.recipe.l1 * l1)
        self.averaged.update_parameters(self.painter)
        terms = {"loss/critic": critic, "loss/adversarial": adversarial, "loss/l1": l1}
        return {name: value.detach() for name, value in terms.items()}

    def _step(self, which: int, loss: Tensor) -> None:
        if not loss.isfinite():
            name = ("painter", "critic")[which]
            raise InputError(f"loss of the {name}", loss.item(), "a finite number", "Lower the learning rate.")
        self.optimisers[which].zero_grad()
        loss.backward()
        self.optimisers[which].step()


def _photos(folders: tuple[str, ...], held_out: int) -> list[Path]:
    found = sorted(p for folder in folders for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
    if len(found) <= held_out:
        raise InputError(f"photos in {folders}", len(found), f"more than the {held_out} held out", "Give more.")
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))]


def _batches(photos: list[Path], plan: Plan, step: int) -> Iterator[Pair]:
    """Without end; what is drawn depends on the step alone, so that a resumed run goes on alike."""
    recipe, canny = plan.recipe, plan.contract.canny
    while True:
        rng = np.random.default_rng([recipe.seed, step])
        cuts = [_cut(read_image(photos[i]), recipe.size, rng) for i in rng.integers(0, len(photos), recipe.batch)]
        yield _tensors(cuts, canny)
        step += 1


def _cut(image: np.ndarray, size: int, rng: np.random.Generator | None) -> np.ndarray:
    """(size, size, 3), as much as there is of the shorter side; the middle, not mirrored, without rng."""
    height, width = image.shape[:2]
    scale = size / min(height, width)
    # Of a photo shrunk without averaging the edges would be those of its noise.
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, (max(round(width * scale), size), max(round(height * scale), size)), interpolation=how)
    room = scaled.shape[0] - size, scaled.shape[1] - size
    y, x = (r // 2 for r in room) if rng is None else (int(rng.integers(r + 1)) for r in room)
    cut = scaled[y : y + size, x : x + size]
    return np.ascontiguousarray(cut[:, ::-1] if rng is not None and rng.random() < 0.5 else cut)


def _tensors(cuts: list[np.ndarray], canny: Canny) -> Pair:
    """Edges (B, 1, S, S) in [0, 1] and photos (B, 3, S, S) in [-1, 1]."""
    edges = torch.from_numpy(np.stack([canny(cut) for cut in cuts]))[:, None].float() / 255
    return edges, torch.from_numpy(np.stack(cuts)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _pictures(
    painter: nn.Module, photos: list[Path], plan: Plan, device: torch.device
) -> tuple[dict[str, float], list[Any]]:
    """L1, and edges, painted and photo side by side."""
    edges, real = _tensors([_cut(read_image(p), plan.recipe.size, None) for p in photos], plan.contract.canny)
    painted = painter(edges.to(device)).cpu()
    rows = torch.cat([edges.expand(-1, 3, -1, -1) * 2 - 1, painted, real], -1)
    return {"l1": functional.l1_loss(painted, real).item()}, [as_picture(row) for row in rows[:4]]
