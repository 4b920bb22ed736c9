"""A TensorRT engine as a callable: named arrays in, named arrays out, through pinned memory and a stream of its own."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.runtime import driver


@dataclass
class _Tensor:
    """An input or output.

    low, high: its least and largest shape.  staged: memory for the largest.  shape: of the present frame.
    """

    name: str
    dtype: np.dtype[Any]
    low: tuple[int, ...]
    high: tuple[int, ...]
    staged: driver.Staged = field(init=False)
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.shape = self.high
        self.staged = driver.Staged(self.size)

    @property
    def size(self) -> int:
        """Bytes of the present frame."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def array(self) -> np.ndarray:
        """The present frame's values in the pinned memory."""
        return self.staged.host[: self.size].view(self.dtype).reshape(self.shape)


class EngineRun:
    """Runs an engine's first profile.

    Memory is taken once, for the largest shapes. Where no shape is free, upload, network and download are captured as
    one CUDA graph, which costs a launch instead of hundreds.
    trt: the library.  engine: its ICudaEngine.  Raises InputError where the GPU has no room for it.
    """

    def __init__(self, trt: Any, engine: Any) -> None:
        try:
            self._stream = driver.Stream()
            self._context = engine.create_execution_context()
            if self._context is None:
                raise driver.DriverError("no execution context: see the log")
            names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
            inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
            self._inputs = [_input(trt, engine, name) for name in inputs]
            for tensor in self._inputs:
                self._place(tensor)
            outputs = [name for name in names if name not in inputs]
            self._outputs = [_output(trt, engine, self._context, name) for name in outputs]
            for tensor in self._outputs:
                self._context.set_tensor_address(tensor.name, tensor.staged.address)
            self._graph = self._captured()
        except driver.DriverError as error:
            remedy = "Free memory of the GPU, or choose another backend."
            raise InputError("engine", f"refused by the GPU ({error})", "one that has room", remedy) from error

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Raises InputError for arrays of other types or shapes than the engine takes, DriverError from the device."""
        driver.use()  # a node's frames have a thread of their own
        for tensor in self._inputs:
            self._fill(tensor, inputs[tensor.name])
        if self._graph is None:
            self._queue()
        else:
            self._graph.launch(self._stream)
        self._stream.synchronize()
        return {tensor.name: tensor.array.copy() for tensor in self._outputs}

    def _fill(self, tensor: _Tensor, array: np.ndarray) -> None:
        if array.dtype != tensor.dtype or not _within(array.shape, tensor):
            shapes = str(tensor.low) if tensor.low == tensor.high else f"{tensor.low} to {tensor.high}"
            raise InputError(
                f"input {tensor.name} of the engine",
                f"{array.dtype} {array.shape}",
                f"{tensor.dtype} {shapes}",
                "Give what the model was exported for, or choose another backend.",
            )
        if array.shape != tensor.shape:
            tensor.shape = array.shape
            self._context.set_input_shape(tensor.name, tensor.shape)
        np.copyto(tensor.array, array)

    def _queue(self) -> None:
        """Queue a frame: up, through the network, down."""
        for tensor in self._inputs:
            tensor.staged.upload(tensor.size, self._stream)
        if not self._context.execute_async_v3(self._stream.handle):
            raise driver.DriverError("TensorRT did not run: see the log")
        for tensor in self._outputs:
            tensor.shape = tuple(self._context.get_tensor_shape(tensor.name))
            tensor.staged.download(tensor.size, self._stream)

    def _place(self, tensor: _Tensor) -> None:
        self._context.set_input_shape(tensor.name, tensor.shape)
        self._context.set_tensor_address(tensor.name, tensor.staged.address)

    def _captured(self) -> driver.Graph | None:
        """The frame as a graph, after a first run in which the library prepares itself; None where shapes are free,
        or the library cannot be captured."""
        for tensor in self._inputs:
            tensor.staged.host[:] = 0
        self._queue()
        self._stream.synchronize()
        capturable = getattr(self._context, "is_stream_capturable", lambda handle: True)  # tensorrt_rtx alone asks
        if any(t.low != t.high for t in self._inputs) or not capturable(self._stream.handle):
            return None
        try:
            return self._stream.captured(self._queue)
        except driver.DriverError as error:
            logging.getLogger("voxbox").info("no CUDA graph: %s", error)
            return None


def _within(shape: tuple[int, ...], tensor: _Tensor) -> bool:
    return len(shape) == len(tensor.high) and all(
        low <= n <= high for low, n, high in zip(tensor.low, shape, tensor.high)
    )


def _input(trt: Any, engine: Any, name: str) -> _Tensor:
    shape = tuple(engine.get_tensor_shape(name))
    low, high = shape, shape
    if -1 in shape:
        least, _, most = engine.get_tensor_profile_shape(name, 0)
        low, high = tuple(least), tuple(most)
    return _Tensor(name, np.dtype(trt.nptype(engine.get_tensor_dtype(name))), low, high)


def _output(trt: Any, engine: Any, context: Any, name: str) -> _Tensor:
    """context: with the largest inputs set, so that its shape is the largest too."""
    shape = tuple(context.get_tensor_shape(name))
    return _Tensor(name, np.dtype(trt.nptype(engine.get_tensor_dtype(name))), shape, shape)
