"""`voxbox benchmark together`: all nodes in one process against a process each, at the same rate on the same frames."""

import argparse
from typing import Any

from tqdm import tqdm

from voxbox.benchmark.options import chosen
from voxbox.benchmark.processes import in_own_process
from voxbox.benchmark.setting import SYSTEMS, Setting

_WARM = 5.0  # s


def measure_way(setting: Setting, rate: float, seconds: float) -> dict[str, Any]:
    """Sums over the processes: `cpu`, percent of a core; `each`, ms of CPU for an answer; `rss` and `own`, MiB resident
    and shared with no process; `threads`, `handles`; and the frames answered, percent, by node."""
    from voxbox.benchmark.running import running  # ROS

    with running(setting) as nodes:
        nodes.traffic.send(rate, _WARM)
        before = nodes.usage()
        exchanges = nodes.traffic.send(rate, seconds)
        after = nodes.usage()
    spent = sum(a.cpu - b.cpu for a, b in zip(after, before, strict=True))
    return {
        "processes": len(after),
        "each": 1e3 * spent / max(sum(len(exchange.latencies) for exchange in exchanges.values()), 1),
        "cpu": sum(a.percent_since(b) for a, b in zip(after, before, strict=True)),
        **{name: sum(getattr(a, name) for a in after) for name in ("rss", "own", "threads", "handles")},
        "answered": {system: 100 * (1 - each.dropped) for system, each in exchanges.items()},
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """A line per way, and the ratio of the first to the second."""
    columns = {
        "cpu": "CPU %",
        "each": "ms/answer",
        "rss": "RSS MiB",
        "own": "own MiB",
        "threads": "threads",
        "handles": "handles",
    }
    lines = [f"{'':16}" + "".join(f"{head:>10}" for head in columns.values()) + "   frames answered"]
    for way, r in results.items():
        answered = ", ".join(f"{system} {percent:.0f}%" for system, percent in r["answered"].items())
        lines.append(f"{way:16}" + "".join(f"{r[name]:10.0f}" for name in columns) + f"   {answered}")
    one, several = results.values()
    lines.append(f"{'ratio':16}" + "".join(f"{one[name] / max(several[name], 1e-6):10.2f}" for name in columns))
    return "\n".join(lines)


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--systems", default=",".join(SYSTEMS), help="comma-separated (default: %(default)s)")
    add("--rate", type=float, default=10.0, help="frames/s of every sensor (default: %(default)s)")
    add("--seconds", type=float, default=30.0, help="how long each way lasts (default: %(default)s)")


def measure(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    """Both ways, with the first backend."""
    systems = chosen(args.systems, SYSTEMS, "--systems")
    ways = {"one process": True, "a process each": False}
    results = {
        way: in_own_process(measure_way, Setting(systems, one, backends[0], args.threads), args.rate, args.seconds)
        for way, one in tqdm(ways.items(), desc="together", unit="way")
    }
    print(table(results))
    return {"together": results, "backend": backends[0], "rate_hz": args.rate}
