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
    """Raises InputError when OpenVINO refuses the file."""
    core = _core()
    settings: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        graph = core.read_model(str(model.onnx))
        metadata = _metadata(graph)
        settings["INFERENCE_PRECISION_HINT"] = _arithmetic(core, graph, written_precision(metadata))
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

    return LoadedModel(run, metadata, "openvino", _precision(compiled, written_precision(metadata)))


def _arithmetic(core: openvino.Core, graph: openvino.Model, written: str) -> str:
    """What is computed in where the file has float32.  written: the file's precision.

    bfloat16 for the layers that an int8 file spares, where the CPU has it and the network sees an image: bytes are
    whole numbers in it, a LiDAR's metres would be off by decimetres. What comes after the last convolutions, decoding
    and geometry, OpenVINO leaves in float32 then. All else is held at float32.
    """
    sees_bytes = any(put.element_type == openvino.Type.u8 for put in graph.inputs)
    if written == "int8" and sees_bytes and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "bf16"
    return "f32"


def _precision(compiled: openvino.CompiledModel, written: str) -> str:
    """What convolutions are computed in.  written: in the file. fp16 is read, and computed as float32; int8 is int8
    where the CPU has instructions for it, and what it spares may be bfloat16."""
    nodes = compiled.get_runtime_model().get_ops()
    convolved = {_told(node, "runtimePrecision") for node in nodes if _told(node, "layerType") == "Convolution"}
    if written != "int8" or not convolved & {"i8", "u8"}:
        return in_float32(written)
    return "int8 with bf16" if "bf16" in convolved else "int8"


def _told(node: openvino.Node, what: str) -> str:
    facts = node.get_rt_info()
    return str(facts[what].value) if what in facts else ""


def _metadata(graph: openvino.Model) -> dict[str, str]:
    """The ONNX file's metadata, which OpenVINO keeps as run-time information under `framework`."""
    if not graph.has_rt_info("framework"):
        return {}
    found = graph.get_rt_info("framework").value
    return {key: str(getattr(value, "value", value)) for key, value in found.items()}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
