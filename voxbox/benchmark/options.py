"""Options of all that is measured."""

from voxbox_core.errors import InputError


def chosen(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    """Comma-separated names. Raises InputError for one that is not known."""
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(option, ",".join(unknown), f"of {', '.join(known)}", "Choose among these.")
    return names
