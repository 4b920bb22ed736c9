"""In which precision a graph computes: written into the ONNX itself, with its name in the metadata.

TensorRT 11 computes in what the ONNX says and in nothing else, and what one engine was told, another was not.
"""

from collections.abc import Iterable
from pathlib import Path

import onnx

from voxbox.export import calibration, int8
from voxbox.export.half import halve
from voxbox.export.parity import Arrays
from voxbox_core.runtime.model import PRECISION


def lower(path: Path, precision: str, frames: Iterable[Arrays] = ()) -> None:
    """Rewrite an fp32 ONNX file in one of `runtime.PRECISIONS`.  frames: inputs that int8 is calibrated on."""
    model = onnx.load(path)
    if precision == "fp16":
        model = halve(model)
    if precision == "int8":
        model = int8.quantise(model, calibration.limits(model, int8.rounded_maps(model.graph), frames))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, metadata | {PRECISION: precision})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
