"""Measure speed: the detector by backend, the node over DDS, what DDS alone delivers, and what to put into the graph.

  voxbox benchmark km3d                          every backend, the node at 10 and 30 images/s, and DDS alone
  voxbox benchmark km3d --parts engines          the backends alone, in turn, ratios round by round
  voxbox benchmark km3d --parts node --rates 30  the node alone
  voxbox benchmark km3d --parts delivery         images that reach a node, with the shipped DDS profile and without
  voxbox benchmark km3d --parts graph            an untrained network with more or less of a frame's work in its graph

The image is the first of the bag. Machines are noisy: trust the ratios of one run, not times of different days.
"""

import argparse
import math
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxbox.bag.samples import samples
from voxbox.benchmark import engines
from voxbox.demo.command import SHIPPED_DRIVE
from voxbox.demo.outcome import machine
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.ros.models import model_path
from voxbox_core.runtime import available

USUAL = ("engines", "node", "delivery")
PARTS = (*USUAL, "graph")


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("system", choices=("km3d",), help="the system to measure")
    add("bag", nargs="?", type=Path, default=SHIPPED_DRIVE, help="ROS 2 bag (default: the shipped street drive)")
    add("--model", default="km3d-street", help="released model's name, folder or .onnx file (default: %(default)s)")
    add("--parts", default=",".join(USUAL), help=f"of {','.join(PARTS)} (default: %(default)s)")
    add("--backends", default="", help="comma-separated (default: all that are installed here)")
    add("--rounds", type=int, default=50, help="times each backend runs (default: %(default)s)")
    add("--threads", type=int, default=0, help="CPU threads of the engine; 0 leaves it the choice")
    add("--rates", type=_rates, default="10,30", help="images/s played into the node (default: %(default)s)")
    add("--frames", type=int, default=100, help="images per case over DDS (default: %(default)s)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Returns machine facts and the result of each part. Raises InputError for unknown parts and backends."""
    for name, least in (("rounds", 1), ("threads", 0), ("frames", 1)):
        if getattr(args, name) < least:
            raise InputError(f"--{name}", getattr(args, name), f"at least {least}", "Correct it or leave it out.")
    parts = _chosen(args.parts, PARTS, "--parts")
    installed = tuple(name for name in available() if name != "tensorrt")
    backends = _chosen(args.backends, installed, "--backends") if args.backends else installed
    result: dict[str, Any] = {"system": args.system, "model": args.model, "machine": machine()}
    if "engines" in parts:
        model = model_path(args.model)
        result["engines"] = engines.measure(model, backends, _first(args.bag), args.rounds, args.threads)
        print(engines.table(result["engines"]))
    if "node" in parts:
        result["node"] = _node(args, backends)
    if "delivery" in parts:
        result["delivery"] = _delivery(args)
    if "graph" in parts:
        result["graph"] = _graph(args, backends)
    return result


def _node(args: argparse.Namespace, backends: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every backend at the first rate; then the first backend at the other rates; then both without the DDS profile."""
    from voxbox.benchmark import node

    rates = args.rates
    cases = [node.Case(backend, rates[0]) for backend in backends]
    cases += [node.Case(backends[0], rate) for rate in rates[1:]]
    cases += [node.Case(backends[0], rate, profile=False) for rate in rates]
    results = [_in_own_process(node.measure, case, args.bag, args.model, args.frames) for case in cases]
    print(node.table(results))
    return results


def _in_own_process(work: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """DDS reads its profile once per process; the images' sender is to have the case's too."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def _delivery(args: argparse.Namespace) -> list[dict[str, Any]]:
    from voxbox.benchmark import delivery

    found = delivery.measure_all(args.rates, args.frames)
    print(delivery.table(found))
    return [{**asdict(each), "percent": each.percent} for each in found]


def _graph(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    from voxbox.benchmark import graph

    exported = tuple(name for name in backends if name != "torch")
    found = graph.measure(graph.street_contract(), exported, args.rounds, args.threads)
    print(graph.table(found))
    return found


def _chosen(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(option, ",".join(unknown), f"of {', '.join(known)}", "Choose among these.")
    return names


def _rates(text: str) -> list[float]:
    try:
        rates = [float(word) for word in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0 < rate < math.inf for rate in rates):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of images/s such as 10,30")
    return rates


def _first(path: Path) -> Sample:
    with Bag(path) as bag:
        return next(samples(bag, find_topics(bag), limit=1))
