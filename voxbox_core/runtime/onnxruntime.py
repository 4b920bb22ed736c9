"""ONNX Runtime on the CPU."""

from collections.abc import Mapping

import numpy as np
import onnxruntime

from voxbox_core.errors import InputError
from voxbox_core.runtime.model import LoadedModel, ModelFile, in_float32, written_precision


def load(model: ModelFile, threads: int) -> LoadedModel:
    """Raises InputError when ONNX Runtime refuses the file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning idle workers take the cores that the rest of the robot needs, and cost 1.4x CPU time here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(model.onnx), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises several unrelated types for a bad file
        raise InputError(
            f"model {model.onnx}",
            f"refused by ONNX Runtime ({_first_line(error)})",
            "a valid ONNX file",
            "Export it again.",
        ) from error
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    metadata = dict(session.get_modelmeta().custom_metadata_map)
    # On a CPU there are no kernels for float16, and those for int8 want maps without a sign behind a Relu, which
    # TensorRT does not take.
    return LoadedModel(run, metadata, "onnxruntime", in_float32(written_precision(metadata)))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
