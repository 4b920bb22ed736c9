"""Voxels in a file with their geometry inside: one .npz without pickles, which numpy alone can read too.

format: "voxbox fruxel 1".  labels: (slices, rows, columns) uint8.  fruxel: JSON of the grid.  classes: names by label.
probability: as labels, or empty where nobody said.
"""

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.files import whole_file
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN, Voxels

FORMAT = "voxbox fruxel 1"

_NAMES = {"format", "labels", "fruxel", "classes", "probability"}

_REMEDY = "Convert it anew, or take it from where it was written."


def save(path: str | Path, voxels: Voxels) -> None:
    """Write voxels to a file, whole or not at all. Raises InputError where there is no place to write to."""
    unsaid = np.zeros(0, np.uint8)
    try:
        with whole_file(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                format=np.array(FORMAT),
                labels=voxels.labels,
                fruxel=np.array(voxels.fruxel.to_json()),
                classes=np.array(voxels.classes),
                probability=unsaid if voxels.probability is None else voxels.probability,
            )
    except OSError as error:
        value = f"not writable ({error.strerror or error})"
        raise InputError(f"file {path}", value, "room to write to", "Free some, or choose another.") from error


def load(path: str | Path, expected: Fruxel | None = None) -> Voxels:
    """The voxels that `save` wrote. expected: the only grid that is accepted, such as a model's; None for any.

    Raises InputError for files that are absent, damaged or something else's, and naming the values of a grid that
    differ from the expected one.
    """
    arrays = _arrays(Path(path))
    if missing := sorted(_NAMES - set(arrays)):
        _refuse(path, f"without {', '.join(missing)}", f"all of {', '.join(sorted(_NAMES))}")
    found = str(arrays["format"])
    if found != FORMAT:
        _refuse(path, f"of the format {found[:40]!r}", f"{FORMAT!r}")
    fruxel = _fruxel(path, str(arrays["fruxel"]))
    if expected is not None:
        require_same(fruxel, expected, f"grid of {path}")
    labels, classes = arrays["labels"], tuple(str(name) for name in np.atleast_1d(arrays["classes"]))
    if len(set(classes)) != len(classes) or classes[:1] != CLASSES[:1]:
        _refuse(path, f"one of the classes {classes}", f"distinct classes, {CLASSES[AIR]!r} first")
    probability = arrays["probability"] if arrays["probability"].size else None
    try:
        voxels = Voxels(labels, fruxel, probability, classes)
    except InputError as error:
        raise InputError(f"{error.what} in {path}", error.value, error.expected, _REMEDY) from None
    unnamed = (labels >= len(classes)) & (labels != UNKNOWN)
    if unnamed.any():
        _refuse(path, f"one with label {labels[unnamed][0]}", f"labels below {len(classes)}, or {UNKNOWN} for unknown")
    return voxels


def require_same(found: Fruxel, expected: Fruxel, what: str) -> None:
    """Raises InputError, which names every value that differs, unless two grids are the same but for rounding."""
    ours, theirs = asdict(found), asdict(expected)
    different = [name for name in ours if not _same(ours[name], theirs[name])]
    if different:
        value, wanted = (", ".join(f"{n} = {grid[n]}" for n in different) for grid in (ours, theirs))
        raise InputError(what, f"one of {value}", wanted, "Convert the data to this grid, or use a model of the other.")


def _same(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return all(_same(x, y) for x, y in zip(a, b))
    if isinstance(a, float | int) and isinstance(b, float | int):
        return math.isclose(a, b, rel_tol=1e-9)
    return a == b


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise InputError(f"fruxel file {path}", "absent", "a file", "Check the path.") from None
    except Exception as error:  # a damaged file makes numpy and zipfile raise whatever they stumble over
        value = f"unreadable ({' '.join(str(error).split())[:160] or type(error).__name__})"
        raise InputError(f"fruxel file {path}", value, "a file as saved", _REMEDY) from error


def _fruxel(path: str | Path, text: str) -> Fruxel:
    try:
        return Fruxel.from_json(text)
    except InputError as error:
        raise InputError(f"grid of {path}: {error.what}", error.value, error.expected, _REMEDY) from None


def _refuse(path: str | Path, value: str, expected: str) -> None:
    raise InputError(f"fruxel file {path}", value, expected, _REMEDY)
