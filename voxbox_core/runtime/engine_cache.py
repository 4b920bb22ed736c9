"""Where a built engine lives, and under which name: a stale engine is simply not found.

An engine depends on the ONNX bytes, the library and its version, the GPU, the precision and the shape profile; all of
them are in the name, and in a JSON sidecar for people, which also knows the engine's own bytes.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from voxbox_core.files import cache_folder, whole_file, write_json


@dataclass(frozen=True)
class EngineKey:
    """All that a built engine depends on.

    engine, engine_version: the library.  device: the GPU it was built on, or the targets it was built for.
    precision: of the network, as the ONNX file holds it.  profile: which shapes it takes.
    """

    onnx_sha256: str
    engine: str
    engine_version: str
    device: str
    precision: str
    profile: str = "static"

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Found:
    """The engine of a key, or None and the reason in words."""

    engine: bytes | None
    reason: str = ""


def find(key: EngineKey) -> Found:
    """The engine built for exactly this key, whole and unchanged."""
    path = path_of(key)
    if not path.is_file():
        return Found(None, _nearest(key))
    sidecar = _sidecar(path.with_suffix(".json"))
    if not sidecar:
        return Found(None, f"{path} has no readable .json beside it")
    others = _differences(sidecar, key)
    if others:
        return Found(None, f"{path} is foreign: {others}")
    try:
        engine = path.read_bytes()
    except OSError as error:  # another user's, or just removed
        return Found(None, f"{path} cannot be read ({error.strerror})")
    if len(engine) != sidecar.get("bytes"):
        return Found(None, f"{path} has {len(engine)} of {sidecar.get('bytes')} bytes")
    if _checksum(engine) != sidecar.get("sha256"):
        return Found(None, f"{path} is corrupt: its bytes are not those that were built")
    return Found(engine)


def store(key: EngineKey, engine: bytes) -> Path:
    """Write the engine and its sidecar, each whole or not at all; returns the engine's path.

    Raises InputError where nothing can be written.
    """
    path = path_of(key)
    with whole_file(path) as temporary:
        temporary.write_bytes(engine)
    # Last: until it is there the pair does not count. One of another build would not fit the bytes.
    write_json(path.with_suffix(".json"), asdict(key) | {"bytes": len(engine), "sha256": _checksum(engine)})
    return path


def path_of(key: EngineKey) -> Path:
    """Where the engine is, or would be."""
    return _folder() / f"{key.digest()}.engine"


def _folder() -> Path:
    return cache_folder() / "engines"


def _nearest(key: EngineKey) -> str:
    """Why there is none: what the engine of this model that is most alike was built for instead."""
    others = [_sidecar(path) for path in sorted(_folder().glob("*.json"))]
    mine = [_differences(other, key) for other in others if other.get("onnx_sha256") == key.onnx_sha256]
    return f"those in {_folder()} are for others: {min(mine, key=len)}" if mine else f"there is none in {_folder()}"


def _differences(sidecar: dict[str, object], key: EngineKey) -> str:
    """Empty for a sidecar of this key."""
    differing = {name: value for name, value in asdict(key).items() if sidecar.get(name) != value}
    return ", ".join(f"{name} {sidecar.get(name)!s} instead of {value}" for name, value in differing.items())


def _sidecar(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _checksum(engine: bytes) -> str:
    return hashlib.sha256(engine).hexdigest()
