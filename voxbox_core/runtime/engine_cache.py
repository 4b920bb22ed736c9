"""Where a built engine lives, and under which name: a stale engine is simply not found.

TensorRT engines depend on the ONNX bytes, the TensorRT version, the GPU, the precision and the shape profile; all of
them are in the key, and in a JSON sidecar for people.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from voxbox_core.files import cache_folder, whole_file, write_json


@dataclass(frozen=True)
class EngineKey:
    """All that a built engine depends on."""

    onnx_sha256: str
    engine: str
    engine_version: str
    device: str
    precision: str
    profile: str = "static"

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:24]


def find(key: EngineKey) -> bytes | None:
    """The engine built for exactly this key, or None."""
    path = _path(key)
    return path.read_bytes() if path.is_file() else None


def store(key: EngineKey, engine: bytes) -> Path:
    """Write the engine and its sidecar, each whole or not at all; returns the engine's path."""
    path = _path(key)
    write_json(path.with_suffix(".json"), asdict(key) | {"bytes": len(engine)})
    with whole_file(path) as temporary:
        temporary.write_bytes(engine)
    return path


def _path(key: EngineKey) -> Path:
    return cache_folder() / "engines" / f"{key.digest()}.engine"
