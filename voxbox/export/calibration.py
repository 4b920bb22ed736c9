"""How much of each map of a network int8 should hold: seen on frames.

The largest value of a map is often far beyond all others, and a scale that holds it is too coarse for them. What is
held is what makes the mean squared error of rounding and cutting off the least.
"""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from voxbox.export import release
from voxbox.export.int8 import MOST
from voxbox.export.parity import Arrays
from voxbox_core.runtime import open_model

_OCTAVE = 16  # bins of a histogram: a float32 without its sign and its last bits is the number of its bin
_DROPPED = 19  # last bits, of the fraction's 23
_FINITE = 0xFF * _OCTAVE  # bins; beyond are infinity and NaN
_EDGES = (np.arange(_FINITE, dtype=np.uint32) << _DROPPED).view(np.float32).astype(float)
_SEARCHED = 8 * _OCTAVE  # bins below the largest value


def limits(model: onnx.ModelProto, maps: Sequence[str], frames: Iterable[Arrays]) -> dict[str, float]:
    """The largest magnitude of each map that int8 should hold, after frames: inputs of the model."""
    counts = {name: np.zeros(0x100 * _OCTAVE, np.int64) for name in maps}
    telling = onnx.ModelProto()
    telling.CopyFrom(model)
    telling.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in maps)
    with tempfile.TemporaryDirectory(prefix="voxbox-calibrate-") as folder:
        path = Path(folder) / release.ONNX
        onnx.save(telling, path)
        run = open_model(path, release.engines()[0]).run
        for frame in frames:
            found = run(frame)
            for name in maps:
                counts[name] += histogram(found[name])
    return {name: best_limit(count) for name, count in counts.items()}


def histogram(values: np.ndarray) -> np.ndarray:
    """How many float32 values there are, by magnitude, 16 bins to an octave."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).ravel() & 0x7FFFFFFF
    return np.bincount(bits >> _DROPPED, minlength=0x100 * _OCTAVE)


def best_limit(count: np.ndarray) -> float:
    """The largest magnitude that int8 should hold of values with this histogram; 1 where all are 0."""
    bins = np.flatnonzero(count[1 : _FINITE - 1]) + 1
    if not len(bins):
        return 1.0
    value, many = (_EDGES[bins] + _EDGES[bins + 1]) / 2, count[bins]
    tried = _EDGES[max(1, bins[-1] - _SEARCHED) + 1 : bins[-1] + 2]
    return float(min(tried, key=lambda limit: (many * _squared_error(value, limit)).sum()))


def _squared_error(value: np.ndarray, limit: float) -> np.ndarray:
    """Of magnitudes that int8 with this limit holds."""
    step = limit / MOST
    rounding = np.minimum(value**2, step**2 / 12)  # small ones become 0
    return np.where(value > limit, (value - limit) ** 2, rounding)
