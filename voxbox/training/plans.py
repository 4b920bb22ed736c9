"""The plan of a run: as the command line describes it, and as it lies in the run's folder, a JSON object of parts, each
with all values of its dataclass."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

from voxbox.training.options import given, make
from voxbox_core.errors import InputError

RECIPE = "recipe.json"
"""The plan's file in the folder of a run."""

_REMEDY = "Resume a run folder made by this version of voxbox."


class _Plan(Protocol):
    """All that decides a run."""

    @classmethod
    def load(cls, path: Path) -> Any: ...


P = TypeVar("P", bound=_Plan)


def planned(
    args: argparse.Namespace, kind: type[P], parts: Mapping[str, Any], preset: Mapping[str, Mapping[str, Any]]
) -> P:
    """The plan of the run in the folder `args.out`: with `args.resume` its own, else a new one of the given options.

    parts: dataclasses by the names that `kind` has for them.  preset: values by part that overrule their defaults.
    Raises InputError when it cannot be.
    """
    record = args.out / RECIPE
    if args.resume:
        if changed := sorted(name for part in parts.values() for name in given(args, part)):
            raise InputError(
                "options with --resume", changed, "none of the recipe's", "A run goes on with its own recipe."
            )
        return kind.load(record)
    if record.exists():
        raise InputError("run folder", args.out, "a new folder", "Add --resume to go on with the run in it.")
    return kind(**{name: make(part, preset.get(name, {}), args) for name, part in parts.items()})


def read_parts(path: Path, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a plan by name.

    parts: their dataclasses, of which that of the contract reads its own JSON.
    Raises InputError for a file that is absent, or anything but a plan with these parts and all of their values.
    """
    try:
        content = json.loads(path.read_text())
        for name, kind in parts.items():  # a default of today may not be what the run began with
            if missing := {f.name for f in fields(kind)} - content[name].keys():
                value = f"unusable ({name} without {', '.join(sorted(missing))})"
                raise InputError(f"recipe {path}", value, "all values of this version", _REMEDY)
        contract = parts["contract"].from_json(json.dumps(content["contract"]))
        return {"contract": contract} | {n: kind(**content[n]) for n, kind in parts.items() if n != "contract"}
    except FileNotFoundError:
        raise InputError(f"recipe {path}", "absent", "the recipe of a run", _REMEDY) from None
    except (TypeError, KeyError, AttributeError, json.JSONDecodeError) as error:
        raise InputError(f"recipe {path}", f"unusable ({error})", "a recipe that voxbox wrote", _REMEDY) from None
