"""A GPU that is not there: memory of the host, and streams that put off what they are asked for as long as they may.

It does late what real streams do some time, so that whoever forgets to wait reads what was there before. Its engine is
`scaled` below. PyTorch's own stream, of handle 0, is the CPU, which does everything at once.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

CURRENT = 0
"""Handle of PyTorch's current stream."""

TRT = SimpleNamespace(TensorIOMode=SimpleNamespace(INPUT="input", OUTPUT="output"), nptype=np.dtype)


def scaled(image: np.ndarray, factor: np.ndarray) -> dict[str, np.ndarray]:
    """The network. image: (N, 4, 5, 3) uint8.  factor: (1,) float32."""
    values = image.astype(np.float32) * factor
    return {"values": values, "best": values.argmax(-1)}


class PretendGpu:
    """In the place of `runtime.driver`. asked: the words for what its streams were asked for, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.streams: dict[int, _Stream] = {}
        self.memory: dict[int, _Staged] = {}

    def use(self) -> None:
        self.asked.append("use")

    def Stream(self) -> "_Stream":  # named as in the driver
        stream = _Stream(self, CURRENT + 1 + len(self.streams))
        self.streams[stream.handle] = stream
        return stream

    def Staged(self, size: int) -> "_Staged":
        staged = _Staged(size)
        self.memory[staged.address] = staged
        return staged


class _Stream:
    def __init__(self, gpu: PretendGpu, handle: int) -> None:
        self._gpu, self.handle = gpu, handle
        self._late: list[Callable[[], None]] = []

    def ask(self, what: str, work: Callable[[], None]) -> None:
        self._gpu.asked.append(what)
        self._late.append(work)

    def synchronize(self) -> None:
        work, self._late = self._late, []
        for each in work:
            each()

    def after(self, other: int) -> None:
        assert other == CURRENT
        self._gpu.asked.append("engine after PyTorch")

    def before(self, other: int) -> None:
        assert other == CURRENT
        self._gpu.asked.append("PyTorch after engine")
        self.synchronize()  # the CPU does the next thing at once

    def captured(self, queue: Callable[[], None]) -> "_Graph":
        before, self._late = self._late, []
        queue()
        work, self._late = self._late, before
        return _Graph(work)


class _Graph:
    def __init__(self, work: list[Callable[[], None]]) -> None:
        self._work = work

    def launch(self, stream: _Stream) -> None:
        stream.ask(f"graph of {len(self._work)}", lambda: [each() for each in self._work] and None)


class _Staged:
    def __init__(self, size: int) -> None:
        self.host, self.there = np.zeros(size, np.uint8), np.full(size, 0xAA, np.uint8)
        self.address = self.there.ctypes.data

    def upload(self, size: int, stream: _Stream) -> None:
        stream.ask("up", lambda: np.copyto(self.there[:size], self.host[:size]))

    def download(self, size: int, stream: _Stream) -> None:
        stream.ask("down", lambda: np.copyto(self.host[:size], self.there[:size]))


class ScalingEngine:
    """An ICudaEngine of `scaled`, and its execution context. cameras: the least and the most images of a frame."""

    def __init__(self, gpu: PretendGpu, cameras: Sequence[int]) -> None:
        self._gpu, (self._low, self._high) = gpu, cameras
        self._types = {"image": np.uint8, "factor": np.float32, "values": np.float32, "best": np.int64}
        self._given: dict[str, tuple[int, ...]] = {}
        self._places: dict[str, int] = {}
        self.num_io_tensors = len(self._types)

    def create_execution_context(self) -> "ScalingEngine":
        return self

    def get_tensor_name(self, index: int) -> str:
        return list(self._types)[index]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in ("image", "factor") else "output"

    def get_tensor_dtype(self, name: str) -> Any:
        return self._types[name]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        assert (name, profile) == ("image", 0)
        return [(n, 4, 5, 3) for n in (self._low, self._high, self._high)]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        free = -1 if self._low != self._high else self._high
        count = self._given.get("image", (free,))[0]
        return {"factor": (1,), "best": (count, 4, 5)}.get(name, (count, 4, 5, 3))

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._given[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._places[name] = address
        return True

    def execute_async_v3(self, handle: int) -> bool:
        arrays = {name: self._array(name) for name in self._types}  # as shapes are now

        def work() -> None:
            for name, value in scaled(arrays["image"], arrays["factor"]).items():
                np.copyto(arrays[name], value)

        self._gpu.streams[handle].ask("network", work)
        return True

    def _array(self, name: str) -> np.ndarray:
        dtype, shape = np.dtype(self._types[name]), self.get_tensor_shape(name)
        there = self._gpu.memory[self._places[name]].there
        return there[: int(np.prod(shape)) * dtype.itemsize].view(dtype).reshape(shape)
