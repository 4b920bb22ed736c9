"""Schedules are functions of progress, and progress is measured in steps or minutes."""

import math
from itertools import pairwise

import pytest

from voxbox.training import schedule


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [schedule.learning_rate(p / 1000, 0.05) for p in range(1001)]
    peak = rates.index(max(rates))
    assert peak == 50 and rates[peak] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(rates[1 : peak + 1]))
    assert all(a > b for a, b in pairwise(rates[peak:]))
    assert rates[-1] == pytest.approx(0)


def test_the_published_drops():
    epochs = (0, 89, 90, 119, 120, 199)
    rates = [schedule.stepped_rate(e / 200, (0.45, 0.6)) for e in epochs]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_linear_rate_is_constant_for_a_half():
    rates = [schedule.linear_rate(p / 8, 0.25) for p in range(9)]
    assert rates == pytest.approx([1e-3, 0.5, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    assert schedule.linear_rate(0.0, 0.0) == 1


def test_a_clock_counts_steps_or_minutes(monkeypatch):
    assert schedule.Clock(steps=10, minutes=0, step=4).progress == pytest.approx(0.4)
    now = [100.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now[0])
    clock = schedule.Clock(steps=0, minutes=2, resumed=30.0, _start=100.0)
    now[0] += 30
    assert clock.elapsed == 60 and clock.progress == pytest.approx(0.5)
    now[0] += math.inf
    assert clock.progress == 1
