"""A TensorRT engine among PyTorch's tensors: what is on the GPU stays there, before the network and after it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxbox_core.runtime.engine_run import EngineRun, EngineTensor
from voxbox_core.runtime.staging import Staging


class EngineOnDevice:
    """An engine with memory of its own (`runtime.OnDevice`): arrays or tensors in, arrays out by calling it.

    Tensors are copied into the engine's memory instead of being bound by their address: a captured graph knows no
    other, TensorRT wants 256-byte alignment and no strides, which warped pictures have, and an image takes some
    microseconds. PyTorch touches its memory in its own stream alone, so that its allocator knows when that is free; the
    engine runs in its own stream, because TensorRT waits for the host in the default one. Each waits for the other on
    the GPU.
    run: the engine.  device: its GPU.  stream: tells PyTorch's current stream, by its handle.
    """

    def __init__(self, run: EngineRun, device: torch.device, stream: Callable[[], int]) -> None:
        self._run, self._stream = run, stream
        self._staging = Staging(device)
        self._bytes = {
            name: torch.as_tensor(tensor.staged.there, device=device)
            for name, tensor in (run.inputs | run.outputs).items()
        }
        self._views: dict[str, Tensor] = {}
        self._network = run.as_one(run.network)

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Named arrays, or tensors on the device -> named arrays. Raises as `EngineRun` does."""
        if any(isinstance(value, Tensor) for value in inputs.values()):
            return self.download(self.compute(inputs))
        self._run.use()
        self._run.stream.after(self._stream())  # where the last outputs may be read yet
        return self._run(inputs)

    def upload(self, name: str, data: Any) -> Tensor:
        """See `runtime.OnDevice`."""
        return data if isinstance(data, Tensor) else self._staging.upload({name: data})[name]

    @torch.inference_mode()
    def compute(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """See `runtime.OnDevice`. Raises InputError for values of other types or shapes than the engine takes,
        DriverError from the device."""
        self._run.use()
        for name, tensor in self._run.inputs.items():
            self._run.expect(tensor, str(inputs[name].dtype).removeprefix("torch."), tuple(inputs[name].shape))
        own, current = self._run.stream, self._stream()
        own.before(current)  # the last frame, should another stream of PyTorch have asked for it
        for name, tensor in self._run.inputs.items():
            self._values(tensor).copy_(self.upload(name, inputs[name]), non_blocking=True)
        own.after(current)
        self._network()
        own.before(current)
        return {name: self._values(tensor) for name, tensor in self._run.outputs.items()}

    def download(self, outputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """See `runtime.OnDevice`."""
        return self._staging.download(outputs)

    def _values(self, tensor: EngineTensor) -> Tensor:
        """The present frame's values in the engine's memory."""
        view = self._views.get(tensor.name)
        if view is None or view.shape != tensor.shape:
            kind = torch.from_numpy(np.empty(0, tensor.dtype)).dtype
            view = self._bytes[tensor.name][: tensor.size].view(kind).view(tensor.shape)
            self._views[tensor.name] = view
        return view
