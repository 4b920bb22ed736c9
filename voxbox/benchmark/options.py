"""Options of all that is measured."""

import argparse

from voxbox_core.errors import InputError


def check(args: argparse.Namespace, **least: int) -> None:
    """Raises InputError for an option below its least value."""
    for name, limit in least.items():
        if getattr(args, name) < limit:
            raise InputError(f"--{name}", getattr(args, name), f"at least {limit}", "Correct it or leave it out.")


def chosen(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    """Comma-separated names. Raises InputError for one that is not known."""
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(option, ",".join(unknown), f"of {', '.join(known)}", "Choose among these.")
    return names
