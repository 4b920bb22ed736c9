"""Files that are whole or absent: written beside their place, then renamed."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxbox_core.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes when it does not.

    Raises InputError, before the block, where nothing can be written.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Raises InputError where no file `path` could be written, so that work need not be done for nothing."""
    if path.is_dir():
        raise InputError(f"file {path}", "a folder", "a name for a file", "Choose another.")
    existing = next(parent for parent in path.absolute().parents if parent.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        value = f"not writable, because of {existing}"
        raise InputError(f"file {path}", value, "a place to write to", "Choose another.")


def _beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        value = f"not writable ({error.strerror})"
        raise InputError(f"file {path}", value, "a place to write to", "Choose another.") from None
    os.close(handle)
    return Path(name)


@contextmanager
def whole_folder(path: Path, marker: str) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well, and vanishes when it does not.

    marker: a file that the block writes. A folder already at `path` is replaced only if it is empty or holds it, so
    that nothing is lost but a former result. Raises InputError otherwise.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or (path / marker).is_file())):
        raise InputError(
            f"output {path}", "something else's", f"a new folder, or a former result with {marker}", "Choose another."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def cache_folder() -> Path:
    """What can be made again lives here: $VOXBOX_CACHE, else $XDG_CACHE_HOME/voxbox, else ~/.cache/voxbox."""
    if own := os.environ.get("VOXBOX_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voxbox"


def write_json(path: Path, content: object) -> None:
    """Write JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
