"""`voxbox benchmark km3d`: the detector by backend, the node over DDS, what DDS delivers, cuts of the graph, peers, and
the device's ceilings."""

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from km3d_ros.detector import KM3D
from voxbox.arguments import require_least
from voxbox.bag.samples import samples
from voxbox.benchmark import engines
from voxbox.benchmark.options import chosen
from voxbox.benchmark.processes import in_own_process
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.sample import Sample
from voxbox_core.ros.models import model_path

USUAL = ("engines", "node", "delivery")
PARTS = (*USUAL, "graph", "peers", "scaling", "roofline")


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bag", nargs="?", type=Path, default=SHIPPED_DRIVE, help="ROS 2 bag (default: the shipped street drive)")
    add("--model", default="km3d-street", help="released model's name, folder or .onnx file (default: %(default)s)")
    add("--parts", default=",".join(USUAL), help=f"of {','.join(PARTS)} (default: %(default)s)")
    add("--rates", type=_rates, default="10,30", help="images/s played into the node (default: %(default)s)")
    add("--frames", type=int, default=100, help="images per case over DDS (default: %(default)s)")


def measure(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    """The result of each part. Raises InputError for unknown parts."""
    require_least(args, frames=1)
    parts = chosen(args.parts, PARTS, "--parts")
    result: dict[str, Any] = {}
    if "engines" in parts:
        model = model_path(args.model)
        result["engines"] = engines.measure(model, backends, first_samples(args.bag, 1)[0], args.rounds, args.threads)
        print(engines.table(result["engines"]))
    if "node" in parts:
        result["node"] = _node(args, backends)
    if "delivery" in parts:
        result["delivery"] = _delivery(args)
    if "graph" in parts:
        result["graph"] = _graph(args, backends)
    if "peers" in parts:
        result["peers"] = _peers(args, backends[0])
    if "scaling" in parts:
        result["scaling"] = _scaling(args, backends[0])
    if "roofline" in parts:
        result["roofline"] = _roofline(args, backends)
    return result


def _node(args: argparse.Namespace, backends: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every backend at the first rate; then the first backend at the other rates; then both without the DDS profile."""
    from voxbox.benchmark import node

    rates = args.rates
    cases = [node.Case(backend, rates[0]) for backend in backends]
    cases += [node.Case(backends[0], rate) for rate in rates[1:]]
    cases += [node.Case(backends[0], rate, profile=False) for rate in rates]
    results = [in_own_process(node.measure, case, args.bag, args.model, args.frames) for case in cases]
    print(node.table(results))
    return results


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


def _peers(args: argparse.Namespace, backend: str) -> dict[str, Any]:
    from voxbox.benchmark import peers, plain_km3d

    seen, model = first_samples(args.bag, peers.COMPARED), model_path(args.model)
    found = peers.measure(plain_km3d.SYSTEM, model, seen, backend, args.peers, args.rounds, args.threads)
    print(peers.table(found))
    return found


def _scaling(args: argparse.Namespace, backend: str) -> dict[str, Any]:
    from voxbox.benchmark import plain_km3d, scaling

    what = plain_km3d.SYSTEM, model_path(args.model), first_samples(args.bag, 1)[0], backend, args.peers, args.rounds
    found = {"image": scaling.by_image(*what, args.threads), "threads": scaling.by_threads(*what)}
    print("\n".join(map(scaling.table, found.values())))
    return found


def _roofline(args: argparse.Namespace, backends: tuple[str, ...]) -> dict[str, Any]:
    from voxbox.benchmark import roofline

    sample, model = first_samples(args.bag, 1)[0], model_path(args.model)
    found = roofline.measure(KM3D.open, model, (sample.image, sample.camera), backends, args.rounds, args.threads)
    print(roofline.table(found))
    return found


def _rates(text: str) -> list[float]:
    try:
        rates = [float(word) for word in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0 < rate < math.inf for rate in rates):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of images/s such as 10,30")
    return rates


def first_samples(path: Path, count: int) -> list[Sample]:
    """The first images of a bag, with their cameras."""
    with Bag(path) as bag:
        return list(samples(bag, find_topics(bag), limit=count))
