"""`voxbox benchmark soak`: the nodes for half an hour, what grows meanwhile, and which frames were dropped and why."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from voxbox.benchmark.options import chosen
from voxbox.benchmark.processes import in_own_process
from voxbox.benchmark.setting import SYSTEMS, Exchange, Setting
from voxbox.benchmark.usage import Usage
from voxbox_core.errors import InputError
from voxbox_core.files import require_writable

WATCHED = ("rss", "handles", "threads")
_SAMPLES = 600  # at most, of a whole run
_LONG = 5.0  # minutes
_OFTEN = 0.5  # s between two samples, at least
_REASONS = ("superseded", "too old", "refused")


def soak(setting: Setting, rate: float, seconds: float, warm: float) -> dict[str, Any]:
    """Frames at `rate` Hz for `seconds`, of which growth is judged after the first `warm`.

    Returns the samples of each process, the growth of each quantity per minute, and by node the frames sent, answered,
    and dropped by reason.
    """
    from voxbox.benchmark.running import running  # ROS

    period = max(seconds / _SAMPLES, _OFTEN)
    samples: list[list[Usage]] = []
    with running(setting) as nodes, tqdm(total=round(seconds), desc="soak", unit="s") as bar:
        counted = {system: _frames(report) for system, report in nodes.traffic.next_report().items()}
        begun = time.monotonic()

        def look() -> None:
            now = time.monotonic()
            if samples and now - samples[-1][0].at < period:
                return
            nodes.check()
            samples.append(nodes.usage())
            bar.set_postfix(MiB=round(sum(each.rss for each in samples[-1])), refresh=False)
            bar.update(min(round(now - begun), bar.total) - bar.n)

        exchanges = nodes.traffic.send(rate, seconds, look)
        reports = nodes.traffic.next_report()
    table = {system: frames(exchanges[system], counted.get(system, {}), _frames(reports[system])) for system in reports}
    if len(table) < len(setting.systems):
        raise InputError("nodes that report", sorted(table), f"all of {', '.join(setting.systems)}", "See their logs.")
    series = [[replace(each, at=each.at - begun) for each in process] for process in zip(*samples, strict=True)]
    return {
        "seconds": seconds,
        "rate_hz": rate,
        "growth_per_minute": {name: growth(series, name, warm) for name in WATCHED},
        "frames": table,
        "samples": [[asdict(each) for each in process] for process in series],
    }


def growth(series: Sequence[Sequence[Usage]], name: str, warm: float) -> float:
    """Of a quantity, summed over the processes, per minute, by Theil and Sen: the median of the slopes between any two
    samples after `warm` s. A few samples that are far off do not move it."""
    times = np.array([each.at for each in series[0]])
    values = np.sum([[getattr(each, name) for each in process] for process in series], axis=0)
    kept = times >= warm
    times, values = times[kept], values[kept]
    i, j = np.triu_indices(len(times), 1)
    if not len(i):
        raise InputError("samples after the warm-up", len(times), "at least 2", "Run for longer.")
    return float(60 * np.median((values[j] - values[i]) / (times[j] - times[i])))


def frames(exchange: Exchange, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What became of the frames of a node.  before, after: its own counts.

    What it counts, it has received; a frame that it never received was lost on the way.
    """
    counted = {name: after.get(name, 0) - before.get(name, 0) for name in after}
    sent = len(exchange.sent)
    return {
        "sent": sent,
        "answered": len(exchange.latencies),
        "lost on the way": sent - counted.get("received", 0),
        **{reason: counted.get(reason, 0) for reason in _REASONS},
    }


def _frames(report: Mapping[str, str]) -> dict[str, int]:
    """A node's counts, by what became of the frames."""
    found = {key.removeprefix("frames "): value for key, value in report.items() if key.startswith("frames ")}
    return {name: int(value) for name, value in found.items() if name != "per second"}


def summary(result: dict[str, Any]) -> str:
    """Growth, and a line per node."""
    growths, last = result["growth_per_minute"], [process[-1] for process in result["samples"]]
    lines = [f"{'':10}{'at the end':>12}{'per minute':>12}"]
    for name, unit in zip(WATCHED, (" MiB", "", ""), strict=True):
        total = sum(each[name] for each in last)
        lines.append(f"{name:10}{f'{total:.0f}{unit}':>12}{growths[name]:+12.3f}")
    names = next(iter(result["frames"].values()))
    lines.append(f"{'':16}" + "".join(f"{name:>18}" for name in names))
    lines += [
        f"{system:16}" + "".join(f"{count:18}" for count in counts.values())
        for system, counts in result["frames"].items()
    ]
    return "\n".join(lines)


def draw(result: dict[str, Any], path: Path) -> None:
    """The curves of all processes, one picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    for axes, name in zip(figure.subplots(len(WATCHED), 1, sharex=True), WATCHED, strict=True):
        for number, process in enumerate(result["samples"]):
            minutes = [each["at"] / 60 for each in process]
            axes.plot(minutes, [each[name] for each in process], label=f"process {number + 1}")
        axes.set_ylabel({"rss": "RSS, MiB"}.get(name, name))
        axes.set_title(f"{result['growth_per_minute'][name]:+.3f} per minute", fontsize=9, loc="right")
        axes.grid(alpha=0.3)
    axes.set_xlabel("minutes")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--systems", default=",".join(SYSTEMS), help="comma-separated (default: %(default)s)")
    add("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    add("--rate", type=float, default=10.0, help="frames/s of every sensor (default: %(default)s)")
    add("--separate", action="store_true", help="a process for each node (default: one for all)")
    add("--picture", type=Path, metavar="PNG", help="draw the curves")


def measure(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    """With the first backend. A tenth of the time is warm-up, a fifth of a short one."""
    systems = chosen(args.systems, SYSTEMS, "--systems")
    for name in ("minutes", "rate"):
        if not getattr(args, name) > 0:
            raise InputError(f"--{name}", getattr(args, name), "above 0", "Correct it or leave it out.")
    if args.picture:
        require_writable(args.picture)
    seconds = 60 * args.minutes
    setting = Setting(systems, not args.separate, backends[0], args.threads)
    result = in_own_process(soak, setting, args.rate, seconds, seconds * (0.1 if args.minutes >= _LONG else 0.2))
    print(summary(result))
    if args.picture:
        draw(result, args.picture)
        print(args.picture)
    return {"soak": result, "backend": backends[0]}
