"""What several verbs check of their command lines."""

import argparse

from voxbox_core.errors import InputError


def require_least(args: argparse.Namespace, **least: int) -> None:
    """Raises InputError for an option below its least value; one that was not given, None, will do."""
    for name, limit in least.items():
        value = getattr(args, name)
        if value is not None and value < limit:
            option = f"--{name.replace('_', '-')}"
            raise InputError(option, value, f"at least {limit}", "Correct it or leave it out.")
