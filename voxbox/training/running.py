"""What every training does around its steps: an optimiser, averaged weights, signals heard between steps, a board."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from voxbox.training.processes import Processes


@dataclass(frozen=True)
class Average:
    """Exponential moving average whose memory grows with the steps done, up to `decay`."""

    decay: float

    def __call__(self, averaged: Any, current: Any, count: Any) -> None:
        if not averaged[0].is_floating_point():
            torch._foreach_copy_(averaged, current)
            return
        done = float(count)
        torch._foreach_lerp_(averaged, current, 1 - min(self.decay, (1 + done) / (10 + done)))


def optimiser(
    network: nn.Module, learning_rate: float, weight_decay: float, momentum: float = 0.9
) -> torch.optim.Optimizer:
    """AdamW, whose beta 1 is the momentum; biases and normalisation are not decayed."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(momentum, 0.999))


@contextmanager
def signals() -> Iterator[list[int]]:
    """A list that SIGTERM and SIGINT append to, instead of ending the process in mid-step."""
    caught: list[int] = []
    handlers = {s: signal.signal(s, lambda number, _: caught.append(number)) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def board_of(out: Path, processes: Processes, step: int) -> Iterator[SummaryWriter | None]:
    if not processes.leads:
        yield None
        return
    with SummaryWriter(str(out), purge_step=step or None) as board:
        yield board
