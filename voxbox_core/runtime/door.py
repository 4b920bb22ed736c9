"""Choosing an engine by name, or the fastest one that this machine has."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from voxbox_core.errors import InputError
from voxbox_core.runtime import onnx_file, pytorch_gpu
from voxbox_core.runtime.model import Build, LoadedModel, ModelFile


@dataclass(frozen=True)
class Backend:
    """libraries: of which it needs one.  module: its one file.  precisions: of those that a release may come in, what
    this engine prefers, the best first; the release's own where it has none of them."""

    libraries: tuple[str, ...]
    module: str
    precisions: tuple[str, ...] = ()


# In the order `auto` tries them, but for PyTorch on a GPU: measured fastest first (docs/deploy.md). TensorRT's
# precisions are those with the least work: no GPU has run them yet.
BACKENDS = {
    "tensorrt": Backend(("tensorrt", "tensorrt_rtx"), "voxbox_core.runtime.tensorrt", ("int8", "fp16")),
    "openvino": Backend(("openvino",), "voxbox_core.runtime.openvino", ("int8",)),
    "onnxruntime": Backend(("onnxruntime",), "voxbox_core.runtime.onnxruntime", ("fp32",)),
    "torch": Backend(("torch",), "voxbox_core.runtime.torch"),
}
PRECISIONS = ("fp32", "fp16", "int8")
"""That a model can be exported in."""
_ON_GPU = ("tensorrt", "torch")


def available() -> tuple[str, ...]:
    """The backends whose library is installed, fastest first."""
    return tuple(name for name, backend in BACKENDS.items() if any(map(importlib.util.find_spec, backend.libraries)))


def usable() -> tuple[str, ...]:
    """The backends that run here, fastest first: TensorRT needs a driver and a GPU beside its library, and PyTorch is
    fast where it has a GPU."""
    found = available()
    if "tensorrt" in found and not importlib.import_module(BACKENDS["tensorrt"].module).usable():
        found = tuple(name for name in found if name != "tensorrt")
    if "torch" in found and pytorch_gpu.usable():
        return tuple(sorted(found, key=lambda name: name not in _ON_GPU))
    return found


def open_model(
    path: Path | str, backend: str = "auto", threads: int = 0, build: Build | None = None, precision: str = "auto"
) -> LoadedModel:
    """Load a model for inference.

    path: a .onnx file or a released model's folder.  backend: a name of BACKENDS, or `auto`.
    threads: CPU threads for one inference, 0 for the engine's own choice.
    build: makes the torch module from the release's weights; only the torch backend needs it.
    precision: of PRECISIONS; `auto` takes the one of the release that the backend is quickest in.
    Raises InputError when there is no such model, backend or precision, or the engine refuses the file.
    """
    model = ModelFile.find(Path(path))
    chosen = _fastest(model, build if precision == "auto" else None) if backend == "auto" else backend
    if chosen not in BACKENDS:
        raise InputError("backend", repr(backend), f"auto or one of {', '.join(BACKENDS)}", "Choose one of these.")
    installed = available()
    if chosen not in installed:
        raise InputError(
            "backend",
            chosen,
            f"one that is installed here ({', '.join(installed)})",
            f"Install {' or '.join(BACKENDS[chosen].libraries)}.",
        )
    module = importlib.import_module(BACKENDS[chosen].module)
    file = in_precision(model, chosen, precision)
    return module.load(file, threads, build) if chosen == "torch" else module.load(file, threads)


def in_precision(model: ModelFile, backend: str, precision: str = "auto") -> ModelFile:
    """The file of a model that a backend of BACKENDS opens.  precision: as `open_model` takes it.

    Raises InputError where the model does not come in it.
    """
    if precision == "auto":
        return model.first_in(BACKENDS[backend].precisions)
    if precision not in PRECISIONS:
        raise InputError(
            "precision", repr(precision), f"auto or one of {', '.join(PRECISIONS)}", "Choose one of these."
        )
    if backend == "torch":
        remedy = "PyTorch runs weights.pt, in float32 on a CPU and in float16 on CUDA. Choose auto, or another backend."
        raise InputError("precision", f"{precision}, with torch", "auto", remedy)
    file = model.first_in((precision,))
    found = onnx_file.read(file.onnx).precision
    if found != precision:
        there = ", ".join([found, *(str(other.precision) for other in model.others)])
        remedy = f"Choose auto, or export it so: voxbox export --precision {precision}."
        raise InputError(f"precision of {file.onnx}", there, precision, remedy)
    return file


def _fastest(model: ModelFile, build: Build | None) -> str:
    """Of the backends that run this model here. build: None where PyTorch is not wanted."""
    found = usable()
    if not found:
        what = "inference backends"
        raise InputError(what, "none installed", f"one of {', '.join(BACKENDS)}", "Install onnxruntime.")
    weights = model.weights is not None and build is not None
    return next((name for name in found if name != "torch" or weights), found[0])
