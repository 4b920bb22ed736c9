"""A released model on disk, and a model ready to run."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import yaml

from voxbox_core.errors import InputError

if TYPE_CHECKING:  # other engines must not pay for it, in seconds and megabytes
    import torch

# Named input arrays -> named output arrays, shapes fixed by the model.
Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


MANIFEST = "manifest.yaml"
OTHERS = "others"
"""Of the manifest: the same model in other precisions, each with its own `precision`, `onnx` and `sha256`."""


PRECISION = "precision"
"""Of the manifest, and of the ONNX file's metadata."""


def written_precision(facts: Mapping[str, Any]) -> str:
    """What a manifest or an ONNX file's metadata says; fp32 where they say nothing, as at first."""
    return str(facts.get(PRECISION, "fp32"))


def in_float32(written: str) -> str:
    """The precision of an engine that computes in float32, whatever is written."""
    return "fp32" if written == "fp32" else f"fp32 (the model is {written})"


@dataclass(frozen=True)
class DeployedModule:
    """A model as PyTorch runs it: named tensors in, a tuple of tensors out, in the order of `outputs`.

    example: inputs by name, of the only shapes that it is given; None where shapes change from frame to frame.
    """

    module: "torch.nn.Module"
    outputs: tuple[str, ...]
    metadata: dict[str, str]
    example: Mapping[str, "torch.Tensor"] | None = None


# A weights file -> its deployed module. Each system brings its own, because only it knows its network.
Build = Callable[[Path], DeployedModule]


class OnDevice(Protocol):
    """An engine with memory of its own, for those who bring their data there early and finish its outputs there.

    What it is asked for is done in order, and waited for in `download` alone.
    """

    def upload(self, name: str, data: Any) -> "torch.Tensor":
        """An array -> a tensor there, through a buffer that is kept by name. A tensor is there already, and comes back
        as it is."""

    def compute(self, inputs: Mapping[str, Any]) -> dict[str, "torch.Tensor"]:
        """Named tensors, or arrays, which are uploaded -> named tensors there, valid until the next call."""

    def download(self, outputs: Mapping[str, "torch.Tensor"]) -> dict[str, np.ndarray]:
        """Tensors there -> arrays."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that an engine has accepted.

    run: the callable.  metadata: what the ONNX file carries (the contract among it).
    backend: the engine that runs.  precision: the arithmetic that really runs, as the engine reports it.
    device: the engine again, where it has memory of its own; `run` then takes tensors there besides arrays.
    """

    run: Run
    metadata: dict[str, str]
    backend: str
    precision: str
    device: OnDevice | None = None


@dataclass(frozen=True)
class ModelFile:
    """The ONNX file of a model: given by itself, or by the folder of a release with a manifest.

    weights: the torch weights of the release, None for an ONNX file by itself.  weights_sha256: what its manifest says.
    precision: what the manifest says, None for an ONNX file by itself.  others: the same model in other precisions.
    """

    onnx: Path
    sha256: str
    weights: Path | None = None
    weights_sha256: str | None = None
    precision: str | None = None
    others: tuple["ModelFile", ...] = ()

    @classmethod
    def find(cls, path: Path) -> "ModelFile":
        """Raises InputError when there is no model at `path`, or its bytes are not those its manifest names."""
        path = Path(path).expanduser()
        if path.is_dir():
            return cls._released(path)
        if path.suffix != ".onnx" or not path.is_file():
            raise InputError(
                "model",
                path,
                "a .onnx file or a model folder with manifest.yaml",
                "Check the path of the model.",
            )
        return cls(path, checksum(path))

    def first_in(self, precisions: Sequence[str]) -> "ModelFile":
        """The file in the first of these precisions that the release has; this one where it has none of them."""
        files = {file.precision: file for file in (*self.others, self)}
        return next((files[precision] for precision in precisions if precision in files), self)

    @classmethod
    def _released(cls, folder: Path) -> "ModelFile":
        manifest = read_manifest(folder)
        weights = folder / str(manifest.get("weights", "weights.pt"))
        expected = manifest.get("weights_sha256")
        files = [
            cls(
                _whole(folder / str(each["onnx"]), str(each["sha256"])),
                str(each["sha256"]),
                weights if weights.is_file() else None,
                None if expected is None else str(expected),
                written_precision(each),
            )
            for each in (manifest, *_others(manifest))
        ]
        return replace(files[0], others=tuple(files[1:]))


def _whole(onnx: Path, sha256: str) -> Path:
    """The file, which is there and is the one that its manifest names."""
    if not onnx.is_file():
        raise InputError("ONNX file of the model", f"absent ({onnx})", "a file", "Restore the model folder.")
    check_bytes(onnx, sha256)
    return onnx


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a released model: name, system, onnx, sha256, weights, precision, others and more.

    Raises InputError when it is absent or lacks what is needed to load the model.
    """
    file = Path(folder) / MANIFEST
    if not file.is_file():
        raise InputError(
            "model folder", f"{folder} without {MANIFEST}", "a released model", "Check the path of the model."
        )
    try:
        manifest = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}", f"no YAML ({error})", "a manifest", "Restore the model folder.") from error
    for each in (manifest, *_others(manifest)):
        missing = {"onnx", "sha256"} - set(each if isinstance(each, dict) else ())
        if missing:
            raise InputError(f"{file}", f"without {sorted(missing)}", "a manifest", "Restore the model folder.")
    return manifest


def _others(manifest: Any) -> list[Any]:
    found = manifest.get(OTHERS) if isinstance(manifest, dict) else None
    return found if isinstance(found, list) else []


def check_bytes(file: Path, sha256: str) -> None:
    """Raises InputError unless the file of a release is the one that its manifest names."""
    found = checksum(file)
    if found != sha256:
        raise InputError(
            f"checksum of {file}",
            found[:16] + "…",
            f"{sha256[:16]}… as in {MANIFEST}",
            "The file is damaged or of another release: restore or export it again.",
        )


def checksum(path: Path) -> str:
    """sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
