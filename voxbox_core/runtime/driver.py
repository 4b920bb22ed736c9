"""The NVIDIA driver itself, as far as TensorRT's side of a frame needs it: memory, a stream, a captured graph.

Through ctypes, because the driver's library is there wherever a GPU can be used at all: PyTorch with CUDA would cost a
node 1 s and 180 MB, and cuda-python would be one more package to match with the driver. Functions and constants are
those of the CUDA driver API's reference. All of it happens in the device's primary context, which TensorRT and PyTorch
use too.
"""

import ctypes
import weakref
from collections.abc import Callable
from contextlib import suppress
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

DEVICE = 0
"""The index of the device that is used: the first that CUDA_VISIBLE_DEVICES shows."""

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: it waits for nothing that others do
_UNTIMED = 2  # CU_EVENT_DISABLE_TIMING: an event that is waited for and never measured
_THIS_THREAD = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile is no matter

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuCtxSetCurrent": (c_void_p,),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamWaitEvent": (c_void_p, c_void_p, c_uint),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cuEventCreate": (POINTER(c_void_p), c_uint),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventDestroy_v2": (c_void_p,),
    "cuGraphInstantiateWithFlags": (POINTER(c_void_p), c_void_p, c_uint64),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
}


class DriverError(RuntimeError):
    """The driver has refused something; its name for the reason is in the message."""


@dataclass(frozen=True)
class Gpu:
    """A GPU by its name and compute capability."""

    name: str
    major: int
    minor: int

    @property
    def target(self) -> str:
        """The compute capability as compilers write it: sm86."""
        return f"sm{self.major}{self.minor}"


@lru_cache(maxsize=1)
def _driver() -> ctypes.CDLL | None:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        for name, arguments in _SIGNATURES.items():
            getattr(driver, name).argtypes = arguments
    except (OSError, AttributeError):  # none, or one from before CUDA 11.4
        return None
    return driver


def has_driver() -> bool:
    """Whether an NVIDIA driver with a device is present. TensorRT must not be run without one: it may crash."""
    driver, count = _driver(), c_int(0)
    if driver is None or driver.cuInit(0) != 0:
        return False
    return driver.cuDeviceGetCount(byref(count)) == 0 and count.value > 0


def driver_version() -> tuple[int, int]:
    """The newest CUDA that the driver serves, as (13, 0). Raises DriverError without a driver."""
    version = c_int(0)
    _call("cuDriverGetVersion", byref(version))
    return version.value // 1000, version.value % 1000 // 10


def gpu() -> Gpu:
    """The device that is used. Raises DriverError without one."""
    device, name = _device(), ctypes.create_string_buffer(256)
    _call("cuDeviceGetName", name, len(name), device)
    major, minor = c_int(0), c_int(0)
    _call("cuDeviceGetAttribute", byref(major), _CAPABILITY_MAJOR, device)
    _call("cuDeviceGetAttribute", byref(minor), _CAPABILITY_MINOR, device)
    return Gpu(name.value.decode(errors="replace"), major.value, minor.value)


def use() -> None:
    """Make the device's primary context the calling thread's own; threads begin without one. Raises DriverError."""
    _call("cuCtxSetCurrent", _primary_context())


class Stream:
    """A queue of work on the device, in order. handle: the CUstream."""

    def __init__(self) -> None:
        use()
        made = c_void_p()
        _call("cuStreamCreate", byref(made), _NON_BLOCKING)
        self.handle = _value(made)
        weakref.finalize(self, _let_go, "cuStreamDestroy_v2", self.handle)
        event = c_void_p()
        _call("cuEventCreate", byref(event), _UNTIMED)
        self._event = _value(event)  # one for all: who waits, waits for what it marked when the wait was queued
        weakref.finalize(self, _let_go, "cuEventDestroy_v2", self._event)

    def after(self, other: int) -> None:
        """What is queued here from now on waits for what stream `other`, by its handle, has been given until now. The
        host waits for nothing. Raises DriverError."""
        self._wait(self.handle, other)

    def before(self, other: int) -> None:
        """What is queued in stream `other`, by its handle, from now on waits for what this one has been given until
        now. The host waits for nothing. Raises DriverError."""
        self._wait(other, self.handle)

    def _wait(self, late: int, early: int) -> None:
        _call("cuEventRecord", self._event, early)
        _call("cuStreamWaitEvent", late, self._event, 0)

    def synchronize(self) -> None:
        """Wait until all that was queued is done; other Python threads run meanwhile. Raises DriverError."""
        _call("cuStreamSynchronize", self.handle)

    def captured(self, queue: Callable[[], None]) -> "Graph":
        """What `queue` queues, kept to be launched at once instead of being done. Raises DriverError, or its error."""
        _call("cuStreamBeginCapture_v2", self.handle, _THIS_THREAD)
        graph = c_void_p()
        try:
            queue()
        except Exception:
            with suppress(DriverError):
                _call("cuStreamEndCapture", self.handle, byref(graph))
            raise
        _call("cuStreamEndCapture", self.handle, byref(graph))
        return Graph(_value(graph))


class Graph:
    """Work that is launched at once. graph: a captured CUgraph, which it takes."""

    def __init__(self, graph: int) -> None:
        made = c_void_p()
        try:
            _call("cuGraphInstantiateWithFlags", byref(made), graph, 0)
        finally:
            _call("cuGraphDestroy", graph)
        self._handle = _value(made)
        weakref.finalize(self, _let_go, "cuGraphExecDestroy", self._handle)

    def launch(self, stream: Stream) -> None:
        """Queue it. Raises DriverError."""
        _call("cuGraphLaunch", self._handle, stream.handle)


class Staged:
    """Memory on the device, and as much pinned memory of the host beside it, which is copied without detours.

    host: (size,) uint8, the pinned memory, as long as this object lives.  address: of the device's.
    """

    def __init__(self, size: int) -> None:
        use()
        size = max(size, 1)
        device, pinned = c_uint64(0), c_void_p()
        _call("cuMemAlloc_v2", byref(device), size)
        self.address = device.value
        weakref.finalize(self, _let_go, "cuMemFree_v2", self.address)
        _call("cuMemHostAlloc", byref(pinned), size, 0)
        self._pinned = _value(pinned)
        weakref.finalize(self, _let_go, "cuMemFreeHost", self._pinned)
        self.host = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self._pinned))

    @property
    def there(self) -> "DeviceBytes":
        """The device's memory, for `torch.as_tensor`."""
        return DeviceBytes(self, self.address, len(self.host))

    def upload(self, size: int, stream: Stream) -> None:
        """Queue the copy of the first bytes to the device. Raises DriverError."""
        _call("cuMemcpyHtoDAsync_v2", self.address, self._pinned, size, stream.handle)

    def download(self, size: int, stream: Stream) -> None:
        """Queue the copy of the first bytes to the host. Raises DriverError."""
        _call("cuMemcpyDtoHAsync_v2", self._pinned, self.address, size, stream.handle)


@dataclass(frozen=True)
class DeviceBytes:
    """Bytes on the device as other libraries take them without copying (CUDA array interface, version 3).

    owner: lives as long as this does, which is as long as anyone who took the bytes.
    """

    owner: Staged
    address: int
    size: int

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": (self.size,), "typestr": "|u1", "data": (self.address, False), "strides": None, "version": 3}


def _device() -> int:
    device = c_int(0)
    _call("cuInit", 0)
    _call("cuDeviceGet", byref(device), DEVICE)
    return device.value


@lru_cache(maxsize=1)
def _primary_context() -> int:
    context = c_void_p()
    _call("cuDevicePrimaryCtxRetain", byref(context), _device())
    return _value(context)


def _value(pointer: c_void_p) -> int:
    if pointer.value is None:
        raise DriverError("the driver gave a null pointer")
    return pointer.value


def _let_go(name: str, handle: int) -> None:
    """Free something, from whichever thread collects it; at the end of the process the driver may be gone already."""
    with suppress(DriverError):
        use()
        _call(name, handle)


def _call(name: str, *arguments: Any) -> None:
    driver = _driver()
    if driver is None:
        raise DriverError(f"{name}: there is no NVIDIA driver")
    status = getattr(driver, name)(*arguments)
    if status:
        text = c_char_p()
        driver.cuGetErrorName(status, byref(text))
        raise DriverError(f"{name}: {text.value.decode() if text.value else status}")
