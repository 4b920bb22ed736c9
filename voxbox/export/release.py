"""A release: folders of files, each sealed by its manifest, put together elsewhere and installed when it is sound."""

import json
import shutil
from datetime import date
from pathlib import Path

import onnx
import yaml

from voxbox_core.errors import InputError
from voxbox_core.files import whole_file
from voxbox_core.runtime import PRECISIONS, available
from voxbox_core.runtime.model import MANIFEST, OTHERS, PRECISION, checksum, written_precision

ONNX, WEIGHTS = "model.onnx", "weights.pt"


def engines() -> tuple[str, ...]:
    """The installed backends that run the ONNX file on a CPU, to be held against PyTorch. Raises InputError without."""
    found = tuple(name for name in available() if name not in ("torch", "tensorrt"))
    if not found:
        raise InputError("engines to check an export by", "none", "onnxruntime or openvino", "Install onnxruntime.")
    return found


def beside(graph: Path, precision: str) -> Path:
    """The place of the same graph in another precision."""
    return graph.with_name(f"{graph.stem}-{precision}{graph.suffix}")


def _others(folder: Path) -> list[Path]:
    return [beside(folder / ONNX, precision) for precision in PRECISIONS]


def seal(folder: Path, system: str, name: str, contract: str, weights: str = WEIGHTS) -> dict[str, object]:
    """Write the manifest of a folder with its ONNX files; -> what it says.

    contract: its JSON.  weights: the file, seen from the folder.
    """
    manifest: dict[str, object] = {
        "name": name,
        "system": system,
        "onnx": ONNX,
        "sha256": checksum(folder / ONNX),
        "weights": weights,
        "weights_sha256": checksum(folder / weights),
        PRECISION: _precision(folder / ONNX),
        "exported": date.today().isoformat(),
        "contract": json.loads(contract),
    }
    others = [
        {PRECISION: _precision(file), "onnx": file.name, "sha256": checksum(file)}
        for file in _others(folder)
        if file.is_file()
    ]
    if others:
        manifest[OTHERS] = others
    (folder / MANIFEST).write_text(yaml.safe_dump(manifest, sort_keys=False))
    return manifest


def _precision(file: Path) -> str:
    return written_precision({entry.key: entry.value for entry in onnx.load(file).metadata_props})


def install(folder: Path, out: Path) -> None:
    """Copy all files to the model folder, each whole, the manifests last; a model card already there stays, graphs of
    an earlier release in other precisions do not."""
    files = (path for path in folder.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: (path.name == MANIFEST, path)):
        with whole_file(out / path.relative_to(folder)) as temporary:
            shutil.copyfile(path, temporary)
    for path in _others(out):
        if not (folder / path.name).exists():
            path.unlink(missing_ok=True)
