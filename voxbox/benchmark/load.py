"""`voxbox benchmark load`: how many frames a node takes, how late its answers are, and what it needs for them.

After the method of isaac_ros_benchmark: the node runs in its own process and is sent one recorded frame over DDS at a
fixed rate; the highest rate at which fewer than 5 % of the frames go unanswered is found by doubling and halving.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from tqdm import tqdm

from voxbox.benchmark.options import chosen
from voxbox.benchmark.processes import in_own_process
from voxbox.benchmark.setting import SYSTEMS, Exchange, Setting

MOST_DROPPED = 0.05
LOWEST, HIGHEST = 1.0, 400.0  # frames/s that are tried
_FIRST = 10.0  # frames/s
_PRECISION = 1.1  # ratio of the lowest rate that is too high to the highest that is not
_WARM = 10  # frames: engines make room for their first ones


@dataclass(frozen=True)
class Steady:
    """A node at a fixed rate.

    latency: ms from sending a frame to having its answer, percentiles.  jitter: ms, how far the time between two
    answers is from the period, on average.  dropped: percent.  cpu: percent of a core.  rss: MiB.
    """

    rate_hz: float
    latency_p50: float | None
    latency_p99: float | None
    jitter: float | None
    dropped: float
    cpu: float
    rss: float


def highest_rate(dropped: Callable[[float], float]) -> float:
    """The highest rate, frames/s, with less than MOST_DROPPED, of those tried; 0 when LOWEST is too high already.

    dropped: tries a rate, and tells the share of frames that went unanswered.
    """
    good, bad, rate = 0.0, HIGHEST * _PRECISION, _FIRST
    while bad > _PRECISION * max(good, LOWEST):
        if dropped(rate) < MOST_DROPPED:
            good = rate
        else:
            bad = rate
        if good >= HIGHEST or bad <= LOWEST:
            break
        unbounded = bad > HIGHEST
        rate = min(2 * good, HIGHEST) if unbounded else max((good * bad) ** 0.5 if good else bad / 2, LOWEST)
    return good


def steady(exchange: Exchange, rate: float, cpu: float, rss: float) -> Steady:
    """What an exchange at a rate, frames/s, was worth."""
    late = exchange.latencies
    times = np.sort(list(exchange.answered.values()))
    p50, p99 = (float(np.percentile(late, p)) for p in (50, 99)) if late else (None, None)
    jitter = float(1e3 * np.abs(np.diff(times) - 1 / rate).mean()) if len(times) > 1 else None
    return Steady(rate, p50, p99, jitter, 100 * exchange.dropped, cpu, rss)


def measure_node(setting: Setting, rates: tuple[float, ...], seconds: float, highest: bool) -> dict[str, Any]:
    """One node at each rate for `seconds`, and the highest rate that it takes where that is asked for."""
    from voxbox.benchmark.running import running  # ROS

    (system,) = setting.systems
    with running(setting) as node:
        talk = node.traffic
        talk.send(min(rates), _WARM / min(rates))
        found = []
        for rate in rates:
            (before,) = node.usage()
            exchange = talk.send(rate, seconds)[system]
            (after,) = node.usage()
            found.append(steady(exchange, rate, after.percent_since(before), after.rss))
        most = highest_rate(lambda rate: talk.send(rate, seconds)[system].dropped) if highest else None
        report = talk.next_report().get(system, {})
    return {
        "system": system,
        "backend": report.get("backend", setting.backend),
        "precision": report.get("precision", ""),
        "profile": setting.profile,
        "highest_rate_hz": most,
        "steady": [asdict(each) for each in found],
    }


def table(results: list[dict[str, Any]]) -> str:
    """A line per node, backend, profile and rate."""
    heads = ("node", "backend", "profile", "< 5% dropped", "at", "p50", "p99", "jitter", "dropped", "CPU", "RSS")
    widths = (14, 13, 9, 14, 8, 10, 10, 10, 9, 8, 9)
    lines = ["".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))]
    for r in results:
        most = "" if r["highest_rate_hz"] is None else f"{r['highest_rate_hz']:.1f} Hz"
        first = (r["system"], r["backend"], "yes" if r["profile"] else "no", most)
        for s in r["steady"]:
            late = [f"{v:.1f} ms" if v is not None else "-" for v in (s["latency_p50"], s["latency_p99"], s["jitter"])]
            rest = (f"{s['dropped']:.0f}%", f"{s['cpu']:.0f}%", f"{s['rss']:.0f} MiB")
            cells = (*first, f"{s['rate_hz']:g} Hz", *late, *rest)
            lines.append("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    return "\n".join(lines)


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--systems", default=",".join(SYSTEMS), help="comma-separated (default: %(default)s)")
    add("--rates", type=_rates, default="10,30", help="frames/s of latency and jitter (default: %(default)s)")
    add("--seconds", type=float, default=10.0, help="how long each rate lasts (default: %(default)s)")
    add("--no-highest", action="store_true", help="leave out the search for the highest rate")


def measure(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    """Every node with every backend, and with the first one without the DDS profile too."""
    systems = chosen(args.systems, SYSTEMS, "--systems")
    settings = [Setting((system,), backend=backend, threads=args.threads) for system in systems for backend in backends]
    settings += [replace(each, profile=False) for each in settings if each.backend == backends[0]]
    results = [
        in_own_process(measure_node, setting, args.rates, args.seconds, not args.no_highest)
        for setting in tqdm(settings, desc="load", unit="node")
    ]
    print(table(results))
    return {"load": results}


def _rates(text: str) -> tuple[float, ...]:
    try:
        rates = tuple(float(word) for word in text.split(","))
    except ValueError:
        rates = ()
    if not rates or not all(0 < rate <= HIGHEST for rate in rates):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of frames/s, up to {HIGHEST:g}, such as 10,30")
    return rates
