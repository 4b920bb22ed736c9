"""Choosing an engine by name, or the fastest one that this machine has."""

import importlib
import importlib.util
from pathlib import Path

from voxbox_core.errors import InputError
from voxbox_core.runtime.model import Build, LoadedModel, ModelFile

# In the order `auto` tries them: measured fastest first (docs/deploy.md). Name -> (libraries of which it needs one, its
# one file).
BACKENDS = {
    "tensorrt": (("tensorrt", "tensorrt_rtx"), "voxbox_core.runtime.tensorrt"),
    "openvino": (("openvino",), "voxbox_core.runtime.openvino"),
    "onnxruntime": (("onnxruntime",), "voxbox_core.runtime.onnxruntime"),
    "torch": (("torch",), "voxbox_core.runtime.torch"),
}


def available() -> tuple[str, ...]:
    """The backends whose library is installed, fastest first."""
    return tuple(name for name, (libraries, _) in BACKENDS.items() if any(map(importlib.util.find_spec, libraries)))


def usable() -> tuple[str, ...]:
    """The backends that run here, fastest first: TensorRT needs a driver and a GPU beside its library."""
    installed = available()
    if "tensorrt" in installed and not importlib.import_module(BACKENDS["tensorrt"][1]).usable():
        return tuple(name for name in installed if name != "tensorrt")
    return installed


def open_model(path: Path | str, backend: str = "auto", threads: int = 0, build: Build | None = None) -> LoadedModel:
    """Load a model for inference.

    path: a .onnx file or a released model's folder.  backend: a name of BACKENDS, or `auto`.
    threads: CPU threads for one inference, 0 for the engine's own choice.
    build: makes the torch module from the release's weights; only the torch backend needs it.
    Raises InputError when there is no such model or backend, or the engine refuses the file.
    """
    installed = available()
    chosen = _fastest() if backend == "auto" else backend
    if chosen not in BACKENDS:
        raise InputError("backend", repr(backend), f"auto or one of {', '.join(BACKENDS)}", "Choose one of these.")
    if chosen not in installed:
        raise InputError(
            "backend",
            chosen,
            f"one that is installed here ({', '.join(installed)})",
            f"Install {' or '.join(BACKENDS[chosen][0])}.",
        )
    module = importlib.import_module(BACKENDS[chosen][1])
    model = ModelFile.find(Path(path))
    return module.load(model, threads, build) if chosen == "torch" else module.load(model, threads)


def _fastest() -> str:
    found = usable()
    if not found:
        what = "inference backends"
        raise InputError(what, "none installed", f"one of {', '.join(BACKENDS)}", "Install onnxruntime.")
    return found[0]
