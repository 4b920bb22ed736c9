"""A frozen dataclass as command-line options: each field one option, its default and help written once, there."""

import argparse
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from voxbox.training.limits import Limits

T = TypeVar("T")

PRECISIONS = ("bf16", "fp32")
"""Of a network's forward pass in training."""


def option(default: Any, text: str, **limits: Any) -> Any:
    """A dataclass field with the help text of its command-line option, and its `Limits`, which `settle` judges."""
    return field(default=default, metadata={"help": text, "limits": Limits(**limits)})


def run_parser(systems: Any, name: str, summary: str, description: str, presets: Collection[str] = ()) -> Any:
    """The parser of a system's training, with the options that every run has. Presets begin with "street"."""
    parser = systems.add_parser(
        name,
        help=summary,
        description=description,
        usage=f"voxbox train {name} --data DIR [DIR …] --out DIR [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder of the run")
    if presets:
        parser.add_argument(
            "--preset", choices=sorted(presets), default="street", help="start from it (default street)"
        )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own recipe")
    return parser


def add_options(parser: argparse.ArgumentParser, cls: type, title: str, texts: Mapping[str, str] | None = None) -> None:
    """One option per field of `cls`, with its own help, or for each of `texts`, with that one.

    What is not given on the command line is absent in the parsed arguments.
    """
    group = parser.add_argument_group(title)
    hints = get_type_hints(cls)
    texts = texts or {f.name: f.metadata["help"] for f in fields(cls)}
    for f in fields(cls):
        if f.name in texts:
            _add(group, f, hints[f.name], texts[f.name])


def given(args: argparse.Namespace, cls: type) -> dict[str, Any]:
    """The fields of `cls` that were given on the command line."""
    return {f.name: getattr(args, f.name) for f in fields(cls) if hasattr(args, f.name)}


def make(cls: type[T], preset: Mapping[str, Any], args: argparse.Namespace) -> T:
    """`cls` from its defaults, overruled by the preset, overruled by the command line."""
    return cls(**{**preset, **given(args, cls)})


_METAVARS = {int: "N", float: "X", str: "TEXT"}


def _add(group: Any, f: "Field[Any]", hint: Any, text: str) -> None:
    flag = "--" + f.name.replace("_", "-")
    default = "" if f.default in (MISSING, "", ()) else f" (default {f.default})"
    text = (text + default).replace("%", "%%")
    common = {"dest": f.name, "default": argparse.SUPPRESS, "help": text}
    if hint is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
    elif get_origin(hint) is tuple:
        kind = get_args(hint)[0]
        group.add_argument(flag, type=kind, nargs="+", metavar=_METAVARS[kind], **common)
    else:
        group.add_argument(flag, type=hint, metavar=_METAVARS[hint], **common)
