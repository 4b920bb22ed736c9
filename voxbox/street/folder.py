"""A folder of frames remembers what it was made with, so that going on with it means the same frames."""

import json
from pathlib import Path

from voxbox_core.errors import InputError
from voxbox_core.files import write_json

RECORD = "street.json"


def claim(folder: Path, wanted: dict, record_name: str = RECORD) -> None:
    """Record what the frames of a new folder have in common, in a file of it. Raises InputError when the folder holds
    other frames."""
    record = folder / record_name
    if record.is_file():
        _agree(record, wanted)
    elif folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"folder {folder}", "in use by something else", "an empty or absent folder", "Choose another folder."
        )
    write_json(record, wanted)


def _agree(record: Path, wanted: dict) -> None:
    try:
        found = json.loads(record.read_text())
    except ValueError:
        raise InputError(str(record), "no JSON", "what `voxbox` wrote", "Delete the folder.") from None
    for key, value in wanted.items():
        if found.get(key) != value:
            raise InputError(
                f"{key} of the frames in {record.parent}",
                found.get(key),
                f"{value}, as asked for now",
                "Choose another folder or the same settings.",
            )
