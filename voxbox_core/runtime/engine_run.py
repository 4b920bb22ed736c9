"""A TensorRT engine as a callable: named arrays in, named arrays out, through pinned memory and a stream of its own."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.runtime import driver, pytorch_gpu

if TYPE_CHECKING:  # a node that brings arrays is lighter without PyTorch
    from voxbox_core.runtime.engine_on_device import EngineOnDevice


@dataclass
class EngineTensor:
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
    trt: the library.  engine: its ICudaEngine.  gpu: `driver`, or what is like it.
    inputs, outputs: by name.  stream: in which everything is done.
    Raises InputError where the GPU has no room for it.
    """

    def __init__(self, trt: Any, engine: Any, gpu: Any = driver) -> None:
        self._gpu = gpu
        try:
            self.stream: driver.Stream = gpu.Stream()
            self._context = engine.create_execution_context()
            if self._context is None:
                raise driver.DriverError("no execution context: see the log")
            names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
            read = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
            self.inputs = {name: self._placed(_input(trt, engine, name)) for name in read}
            for tensor in self.inputs.values():
                self._context.set_input_shape(tensor.name, tensor.shape)
            written = [name for name in names if name not in read]
            self.outputs = {name: self._placed(_output(trt, engine, self._context, name)) for name in written}
            self._warm_up()
            self._frame = self.as_one(self._queue)
        except driver.DriverError as error:
            remedy = "Free memory of the GPU, or choose another backend."
            raise InputError("engine", f"refused by the GPU ({error})", "one that has room", remedy) from error

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Raises InputError for arrays of other types or shapes than the engine takes, DriverError from the device."""
        self.use()
        for name, tensor in self.inputs.items():
            self.expect(tensor, str(inputs[name].dtype), inputs[name].shape)
            np.copyto(tensor.array, inputs[name])
        self._frame()
        self.stream.synchronize()
        return {name: tensor.array.copy() for name, tensor in self.outputs.items()}

    def use(self) -> None:
        """To be called first in each frame: a node's frames have a thread of their own. Raises DriverError."""
        self._gpu.use()

    def expect(self, tensor: EngineTensor, dtype: str, shape: tuple[int, ...]) -> None:
        """Make an input ready for a frame's values of this type, as numpy names it, and shape.

        Raises InputError for others than the engine takes.
        """
        if dtype != str(tensor.dtype) or not _within(shape, tensor):
            shapes = str(tensor.low) if tensor.low == tensor.high else f"{tensor.low} to {tensor.high}"
            raise InputError(
                f"input {tensor.name} of the engine",
                f"{dtype} {shape}",
                f"{tensor.dtype} {shapes}",
                "Give what the model was exported for, or choose another backend.",
            )
        if shape != tensor.shape:
            tensor.shape = shape
            self._context.set_input_shape(tensor.name, tensor.shape)

    def network(self) -> None:
        """Queue the network alone, from the inputs' memory on the device to the outputs'. Raises DriverError."""
        if not self._context.execute_async_v3(self.stream.handle):
            raise driver.DriverError("TensorRT did not run: see the log")
        for tensor in self.outputs.values():
            tensor.shape = tuple(self._context.get_tensor_shape(tensor.name))

    def as_one(self, queue: Callable[[], None]) -> Callable[[], None]:
        """What queues the same as `queue`, which has been run before: as one graph, unless shapes are free or the
        library cannot be captured."""
        capturable = getattr(self._context, "is_stream_capturable", lambda handle: True)  # tensorrt_rtx alone asks
        if any(t.low != t.high for t in self.inputs.values()) or not capturable(self.stream.handle):
            return queue
        try:
            return partial(self.stream.captured(queue).launch, self.stream)
        except driver.DriverError as error:
            logging.getLogger("voxbox").info("no CUDA graph: %s", error)
            return queue

    def _queue(self) -> None:
        """Queue a frame: up, through the network, down."""
        for tensor in self.inputs.values():
            tensor.staged.upload(tensor.size, self.stream)
        self.network()
        for tensor in self.outputs.values():
            tensor.staged.download(tensor.size, self.stream)

    def _placed(self, tensor: EngineTensor) -> EngineTensor:
        tensor.staged = self._gpu.Staged(tensor.size)
        self._context.set_tensor_address(tensor.name, tensor.staged.address)
        return tensor

    def _warm_up(self) -> None:
        """A first frame, of zeros, in which the library prepares itself."""
        for tensor in self.inputs.values():
            tensor.staged.host[:] = 0
        self._queue()
        self.stream.synchronize()


def on_device(run: EngineRun) -> "EngineOnDevice | None":
    """The same engine for tensors on its GPU besides arrays; None where PyTorch has no use of the GPU."""
    if not pytorch_gpu.usable():
        return None
    import torch

    from voxbox_core.runtime.engine_on_device import EngineOnDevice

    device = torch.device("cuda", driver.DEVICE)
    return EngineOnDevice(run, device, lambda: torch.cuda.current_stream(device).cuda_stream)


def _within(shape: tuple[int, ...], tensor: EngineTensor) -> bool:
    return len(shape) == len(tensor.high) and all(
        low <= n <= high for low, n, high in zip(tensor.low, shape, tensor.high)
    )


def _input(trt: Any, engine: Any, name: str) -> EngineTensor:
    shape = tuple(engine.get_tensor_shape(name))
    low, high = shape, shape
    if -1 in shape:
        least, _, most = engine.get_tensor_profile_shape(name, 0)
        low, high = tuple(least), tuple(most)
    return EngineTensor(name, np.dtype(trt.nptype(engine.get_tensor_dtype(name))), low, high)


def _output(trt: Any, engine: Any, context: Any, name: str) -> EngineTensor:
    """context: with the largest inputs set, so that its shape is the largest too."""
    shape = tuple(context.get_tensor_shape(name))
    return EngineTensor(name, np.dtype(trt.nptype(engine.get_tensor_dtype(name))), shape, shape)
