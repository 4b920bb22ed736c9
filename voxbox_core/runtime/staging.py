"""The only copies between host and device: pinned on a GPU; on the CPU none upwards."""

from collections.abc import Mapping

import numpy as np
import torch


class Staging:
    """Keeps one pinned buffer per input name, so that a frame is uploaded asynchronously, and without allocation
    where shapes stay.

    A buffer is reused for the next frame, as soon as the last one has been copied out of it.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pinned: dict[str, torch.Tensor] = {}
        self._copied: dict[str, torch.cuda.Event] = {}

    def upload(self, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        """Arrays by name -> tensors on the device. On the CPU the tensors share the arrays' memory."""
        return {name: self._one(name, array) for name, array in arrays.items()}

    def download(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
        """Tensors on the device by name -> arrays of the caller's own, waited for once."""
        here = {name: value.to("cpu", non_blocking=True, copy=True) for name, value in tensors.items()}  # pinned
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
        return {name: value.numpy() for name, value in here.items()}

    def _one(self, name: str, array: np.ndarray) -> torch.Tensor:
        if self.device.type != "cuda":
            array = np.ascontiguousarray(array)
            # torch has no read-only tensors; message bytes are read-only arrays.
            return torch.from_numpy(array if array.flags.writeable else array.copy())
        buffer = self._pinned.get(name)
        if buffer is None or buffer.shape != array.shape or buffer.numpy().dtype != array.dtype:
            kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
            buffer = self._pinned[name] = torch.empty(array.shape, dtype=kind, pin_memory=True)
        elif name in self._copied:
            self._copied[name].synchronize()
        np.copyto(buffer.numpy(), array)  # of any strides, so that rows with padding are copied once, too
        there = buffer.to(self.device, non_blocking=True)
        self._copied[name] = torch.cuda.Event()
        self._copied[name].record()
        return there
