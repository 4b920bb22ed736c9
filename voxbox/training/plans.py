"""The plan of a run, as it lies in its folder: a JSON object of parts, each with all values of its dataclass."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from voxbox_core.errors import InputError

_REMEDY = "Resume a run folder made by this version of voxbox."


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
