"""PyTorch on a GPU at its best: half precision outside of geometry, channels last, one CUDA graph for a whole frame.

Everything but the graph runs on the CPU too, where the tests look at it.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from voxbox_core.runtime.model import DeployedModule
from voxbox_core.runtime.staging import Staging

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WARM_UP = 3  # frames before the capture: engines choose their kernels in the first ones


class CudaRunner:
    """An engine with memory of its own (`runtime.OnDevice`): arrays or tensors in, arrays out by calling it.

    The module is changed: see `halved`. Of what it computes in float16 autocast decides; geometry, which the modules
    keep out of it, stays float32. Where the module's shapes never change, a frame is one CUDA graph.
    """

    precision = "fp16"

    def __init__(self, deployed: DeployedModule, device: torch.device) -> None:
        self._device = device
        self._module = halved(deployed.module.eval()).to(device)
        self._outputs = deployed.outputs
        self._staging = Staging(device)
        self._constants = Constants()
        self._replay: Graph | None = None
        if deployed.example is not None:
            self._warm_up({name: value.to(device) for name, value in deployed.example.items()})

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Named arrays, or tensors on the device -> named arrays."""
        return self.download(self.compute(inputs))

    def upload(self, name: str, data: Any) -> Tensor:
        """See `runtime.OnDevice`."""
        return data if isinstance(data, Tensor) else self._staging.upload({name: data})[name]

    @torch.inference_mode()
    def compute(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """See `runtime.OnDevice`."""
        there = {name: self.upload(name, value) for name, value in inputs.items()}
        values = self._forward(there) if self._replay is None else self._replay(there)
        return dict(zip(self._outputs, values, strict=True))

    def download(self, outputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """See `runtime.OnDevice`."""
        return self._staging.download(outputs)

    def _forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        with torch.autocast(self._device.type, torch.float16, cache_enabled=False), self._constants:
            values: tuple[Tensor, ...] = self._module(**inputs)
            return values

    @torch.inference_mode()
    def _warm_up(self, example: Mapping[str, Tensor]) -> None:
        """On a GPU, the frames in which everything is chosen and allocated, and the capture."""
        if self._device.type != "cuda":
            return
        aside = torch.cuda.Stream(self._device)
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                self._forward(example)
        aside.synchronize()
        try:
            self._replay = Graph(self, example)
        except RuntimeError as error:  # an operation that waits for the host: slower, and not wrong
            logging.getLogger(__name__).warning("no CUDA graph, frames run step by step: %s", error)


class Graph:
    """A frame's work on the GPU, recorded once and then asked for as a whole: nothing is launched step by step."""

    def __init__(self, runner: CudaRunner, example: Mapping[str, Tensor]) -> None:
        self._inputs = {name: value.clone() for name, value in example.items()}
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._outputs = runner._forward(self._inputs)

    def __call__(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Tensors of the recorded shapes -> the recorded outputs, which the next call overwrites."""
        for name, place in self._inputs.items():
            place.copy_(inputs[name], non_blocking=True)
        self._graph.replay()
        return self._outputs


class Constants(TorchFunctionMode):
    """Tensors that a module makes of numbers written in Python are made in its first frame and kept: each would be a
    copy that the GPU waits for, which a CUDA graph refuses."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not torch.tensor:
            return func(*args, **kwargs)
        key = repr((args, sorted(kwargs.items())))
        if key not in self._kept:
            self._kept[key] = func(*args, **kwargs)
        return self._kept[key]


def halved(module: nn.Module) -> nn.Module:
    """The module, whose convolutions are now float16 with channels last, as tensor cores want them: autocast would
    convert them in every frame. What is no convolution stays as it is."""
    for part in module.modules():
        if isinstance(part, _CONVOLUTIONS):
            order = torch.channels_last_3d if part.weight.ndim == 5 else torch.channels_last
            part.half()
            part.weight.data = part.weight.data.contiguous(memory_format=order)
    return module
