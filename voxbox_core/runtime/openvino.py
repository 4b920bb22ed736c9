"""OpenVINO on the CPU."""

from collections.abc import Mapping

import numpy as np
import openvino

from voxbox_core.errors import InputError
from voxbox_core.runtime.model import LoadedModel, ModelFile, in_float32, written_precision
from voxbox_core.runtime.single import single


@single
def _core() -> openvino.Core:
    """One for the process, which lasts as long.

    With its CPU plugin a core gives the thread that it is used in a stack for signal handlers, and frees it where it is
    destroyed. In another thread, the first one is left with memory that is gone, and the next signal is its end.
    """
    return openvino.Core()


def load(model: ModelFile, threads: int) -> LoadedModel:
    """Raises InputError when OpenVINO refuses the file.

    Arithmetic is held at float32: the geometric solve would lose centimetres below it.
    """
    core = _core()
    settings: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        graph = core.read_model(str(model.onnx))
        compiled = core.compile_model(graph, "CPU", settings)
    except Exception as error:  # the library raises RuntimeError and its own types for a bad file
        raise InputError(
            f"model {model.onnx}",
            f"refused by OpenVINO ({_first_line(error)})",
            "a valid ONNX file",
            "Export it again.",
        ) from error
    request = compiled.create_infer_request()
    names = [output.get_any_name() for output in graph.outputs]  # compiling adds names of its own

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = request.infer(dict(inputs), share_inputs=True)
        return {name: results[i] for i, name in enumerate(names)}

    metadata = _metadata(graph)
    return LoadedModel(run, metadata, "openvino", _precision(compiled, written_precision(metadata)))


def _precision(compiled: openvino.CompiledModel, written: str) -> str:
    """What convolutions are computed in.  written: in the file. fp16 is read, and computed as float32; int8 is int8
    where the CPU has instructions for it."""
    if written == "int8" and any(map(_convolves_in_int8, compiled.get_runtime_model().get_ops())):
        return "int8"
    return in_float32(written)


def _convolves_in_int8(node: openvino.Node) -> bool:
    facts = node.get_rt_info()
    kind, computed = (facts[key].value if key in facts else "" for key in ("layerType", "runtimePrecision"))
    return kind == "Convolution" and computed in ("i8", "u8")


def _metadata(graph: openvino.Model) -> dict[str, str]:
    """The ONNX file's metadata, which OpenVINO keeps as run-time information under `framework`."""
    if not graph.has_rt_info("framework"):
        return {}
    found = graph.get_rt_info("framework").value
    return {key: str(getattr(value, "value", value)) for key, value in found.items()}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
