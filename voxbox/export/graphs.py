"""The graphs of a release: one for each precision, all made of the fp32 one, held against PyTorch and scored."""

import argparse
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from voxbox.export import accuracy, release
from voxbox.export.accuracy import Scores
from voxbox.export.parity import Arrays
from voxbox.export.precision import lower

Found = TypeVar("Found")


def lowered(
    args: argparse.Namespace,
    graph: Path,
    calibration: Callable[[], Iterable[Arrays]],
    check: Callable[[Path, str], Mapping[str, Found]],
) -> tuple[dict[str, Found], dict[str, Scores]]:
    """graph: the fp32 one, which becomes that of the first of `args.precision`; those of the others come beside it.

    calibration: gives inputs that int8 is calibrated on.  check: of a graph in a precision, by backend, how it compares
    with PyTorch; raises InputError where one strays.
    Returns what was found, by backend and precision, and the scores by precision, fp32 first.
    """
    first, *others = dict.fromkeys(args.precision)
    files = {first: graph} | {precision: release.beside(graph, precision) for precision in others}
    for precision in others:
        shutil.copyfile(graph, files[precision])
    scores = {"fp32": accuracy.measure(args, graph)}
    found: dict[str, Found] = {}
    for precision, file in files.items():
        lower(file, precision, calibration())
        found |= {f"{backend} {precision}": value for backend, value in check(file, precision).items()}
        if precision not in scores:
            scores[precision] = accuracy.measure(args, file)
    return found, scores
