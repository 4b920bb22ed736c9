"""Cases that take turns, so that a drifting machine treats all alike."""

from collections.abc import Callable, Mapping

import numpy as np
from tqdm import tqdm

WARM_UP = 3

# One go at a case -> the seconds of its stages.
Case = Callable[[], Mapping[str, float]]


def in_turn(cases: Mapping[str, Case], rounds: int, label: str) -> dict[str, dict[str, np.ndarray]]:
    """Each case `rounds` times. Returns by case and stage (rounds,) ms."""
    times: dict[str, list[Mapping[str, float]]] = {name: [] for name in cases}
    for turn in tqdm(range(WARM_UP + rounds), desc=label, unit="round"):
        for name, case in cases.items():
            stages = case()
            if turn >= WARM_UP:
                times[name].append(dict(stages))
    return {
        name: {stage: 1e3 * np.array([row[stage] for row in rows]) for stage in rows[0]} for name, rows in times.items()
    }


def spread(times: np.ndarray) -> dict[str, float]:
    """times: (rounds,) ms -> median and 90th percentile."""
    return {"p50": float(np.median(times)), "p90": float(np.percentile(times, 90))}


def ratio(times: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """times, reference: (rounds,) ms -> their ratio round by round: median, and the low and high tenth."""
    low, median, high = np.percentile(times / reference, (10, 50, 90))
    return {"median": float(median), "low": float(low), "high": float(high)}
