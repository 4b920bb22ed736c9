"""Engines as their users meet them first: default settings, and a graph that holds the network alone.

Of an engine's settings only the number of threads is ever given, and only where somebody asked for it.
"""

import importlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.runtime import BACKENDS, Run, available

if TYPE_CHECKING:  # what other engines keep in memory is measured without it
    import torch


@dataclass(frozen=True)
class Network:
    """A trained network without anything before or after it, as its author exports it.

    module: float tensors, in the order of `example`, to a tuple of tensors.  inputs, outputs: their names.
    dynamic: as `write_onnx` takes it.
    """

    module: "torch.nn.Module"
    example: tuple["torch.Tensor", ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, str] | None = None

    def write(self, path: Path) -> None:
        """The ONNX file."""
        from voxbox.export.onnx_graph import write_onnx

        write_onnx(self.module, self.example, self.inputs, self.outputs, {}, path, self.dynamic)


class Engine(NamedTuple):
    """run: the network.  precision: the arithmetic that runs, as far as the engine tells."""

    run: Run
    precision: str


# Makes the network; called by those engines alone that read no ONNX.
Build = Callable[[], Network]


def open_engine(name: str, build: Build, file: Path, threads: int) -> Engine:
    """name: of ENGINES.  file: the network as ONNX.  threads: of one inference; 0 leaves the engine its default.

    Raises InputError where this machine cannot run the engine, for the reason that it says.
    """
    return ENGINES[name](build, file, threads)


def _onnxruntime(build: Build, file: Path, threads: int) -> Engine:
    library = _library("onnxruntime")
    options = library.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    session = library.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return Engine(lambda inputs: dict(zip(names, session.run(names, dict(inputs)))), "fp32")


def _openvino(build: Build, file: Path, threads: int) -> Engine:
    compiled = _core().compile_model(str(file), "CPU", {"INFERENCE_NUM_THREADS": threads} if threads else {})
    names = [output.get_any_name() for output in compiled.outputs]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = compiled(dict(inputs))
        return {name: found[i] for i, name in enumerate(names)}

    precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return Engine(run, {"f32": "fp32", "f16": "fp16"}.get(precision, precision))


@lru_cache(maxsize=1)
def _core() -> Any:
    """One, which lasts as long as the process: the end of a core takes signal handlers' memory with it."""
    return _library("openvino").Core()


def _eager(build: Build, file: Path, threads: int) -> Engine:
    network = build()
    return Engine(_torch_run(network, network.module.eval(), threads), "fp32")


def _compiled(build: Build, file: Path, threads: int) -> Engine:
    import torch

    compiler = os.environ.get("CXX", "g++")  # as inductor looks for it
    if not shutil.which(compiler):
        raise InputError("C++ compiler", f"{compiler}, absent", "one for torch.compile", "Install g++, or set CXX.")
    network = build()
    run = _torch_run(network, torch.compile(network.module.eval()), threads)
    try:
        run({name: value.numpy() for name, value in zip(network.inputs, network.example)})
    except Exception as error:  # inductor raises many unrelated types, and those of the compiler's process
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            "network", f"refused by torch.compile ({reason})", "one that it compiles", "See it."
        ) from error
    return Engine(run, "fp32")


def _torch_run(network: Network, module: Callable[..., Any], threads: int) -> Run:
    import torch

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if threads and torch.get_num_threads() != threads:  # one number for the whole process: others may take turns
            torch.set_num_threads(threads)
        with torch.inference_mode():
            found = module(*(torch.from_numpy(inputs[name]) for name in network.inputs))
        return {name: value.numpy() for name, value in zip(network.outputs, found)}

    return run


def _library(name: str) -> Any:
    """An engine's library, from the one file that imports it. Raises InputError where it is not installed."""
    if name not in available():
        raise InputError("engine", name, f"one that is installed here ({', '.join(available())})", f"Install {name}.")
    return getattr(importlib.import_module(BACKENDS[name].module), name)


ENGINES: Mapping[str, Callable[[Build, Path, int], Engine]] = {
    "torch": _eager,
    "torch.compile": _compiled,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
