"""What a precision costs: the scores of `voxbox evaluate` on labelled frames, before and after."""

import argparse
import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxbox.evaluation import command as evaluate
from voxbox.evaluation.point_detr3d_assist import USUAL
from voxbox.export import release
from voxbox_core.errors import InputError

Scores = dict[str, float]
"""By name, in percent."""


def require_frames(args: argparse.Namespace) -> None:
    """Raises InputError where --validation is given and no folder."""
    if args.validation is not None and not args.validation.is_dir():
        raise InputError("--validation", args.validation, "a folder of labelled frames", "Check the path.")


def measure(args: argparse.Namespace, model: Path) -> Scores:
    """The scores of a model, an ONNX file or a folder, on the frames of --validation; none where that is not given.

    Raises InputError where they cannot be evaluated.
    """
    if args.validation is None:
        return {}
    parser = argparse.ArgumentParser()
    evaluate.configure(parser)
    words = [args.system, "--data", str(args.validation), "--model", str(model), "--backend", release.engines()[0]]
    words += [] if args.limit is None else ["--limit", str(args.limit)]
    with contextlib.redirect_stdout(io.StringIO()):  # two tables that nobody can compare
        result = evaluate.run(parser.parse_args(words))
    return _of_interest(args.system, result)


def table(accuracy: Mapping[str, Scores]) -> str:
    """accuracy: scores by precision, fp32 first."""
    names = list(accuracy)
    whole = accuracy[names[0]]
    heads = "".join(f"{name:>9}" for name in names) + f"{'change of ' + names[-1]:>16}" * (len(names) > 1)
    lines = [f"{'percent':30}{heads}"]
    for score, value in whole.items():
        values = [accuracy[name][score] for name in names]
        change = f"{values[-1] - value:+16.2f}" * (len(names) > 1)
        lines.append(f"{score:30}" + "".join(f"{v:9.2f}" for v in values) + change)
    return "\n".join(lines)


def _of_interest(system: str, result: Mapping[str, Any]) -> Scores:
    if system == "km3d":
        chosen = [key for key in result if key.endswith("/moderate") and key.split("/")[1] in ("2d", "bev", "3d")]
        return {key: result[key] for key in chosen if result[key] is not None}
    if system == "point-detr3d-assist":
        return {f"IoU, {USUAL}": 100 * result["clicks"][USUAL]["iou"]}
    found = result["model"] if system == "ssz" else result
    chosen = [key for key in found if key in ("mAP", "SPNDS", "IoU") or key.startswith("IoU/") or key.endswith("/AP")]
    return {key: 100 * found[key] for key in chosen if found[key] is not None}
