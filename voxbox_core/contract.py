"""Contracts of all systems as text: what a checkpoint or an ONNX file says of its network."""

import json
from dataclasses import fields
from typing import Any, TypeVar

from voxbox_core.errors import InputError

T = TypeVar("T")

_REMEDY = "Use a model made by this version of voxbox."


def read_contract(cls: type[T], text: str) -> T:
    """The contract, of a frozen dataclass `cls`, that a JSON object of its fields describes; fields that it does not
    name have their defaults. Raises InputError for text that is no JSON object, unknown keys and bad values."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError("model contract", repr(text[:80]), f"JSON ({error})", _REMEDY) from error
    if not isinstance(values, dict):
        raise InputError("model contract", f"a JSON {type(values).__name__}", "a JSON object", _REMEDY)
    known: Any = cls
    unknown = sorted(set(values) - {f.name for f in fields(known)})
    if unknown:
        raise InputError("model contract", f"one with the unknown keys {unknown}", "known keys only", _REMEDY)
    try:
        return cls(**values)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError("model contract", repr(text[:80]), f"values of the right types ({error})", _REMEDY) from error
