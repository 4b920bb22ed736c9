"""TensorRT's place behind the door.

This release can tell whether TensorRT could run here and names its engines (`engine_key`); it does not build them yet,
so `auto` passes it by and asking for it by name is refused with the alternative.
"""

import ctypes

from voxbox_core.errors import InputError
from voxbox_core.runtime.engine_cache import EngineKey
from voxbox_core.runtime.model import LoadedModel, ModelFile

BUILDS_ENGINES = False


def usable() -> bool:
    """Whether engines can be built and run here: this release builds none."""
    return BUILDS_ENGINES and has_driver()


def has_driver() -> bool:
    """Whether an NVIDIA driver with a device is present. TensorRT must not be touched without one: it may crash."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def engine_key(model: ModelFile, version: str, device: str, precision: str) -> EngineKey:
    """The name under which an engine of this model would be cached."""
    return EngineKey(model.sha256, "tensorrt", version, device, precision)


def load(model: ModelFile, threads: int) -> LoadedModel:
    """Raises InputError: this release builds no TensorRT engines."""
    raise InputError(
        "backend",
        "tensorrt",
        "openvino, onnxruntime or torch in this release",
        "Choose one of these, or auto.",
    )
