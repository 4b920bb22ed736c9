"""The only host-to-device copy: pinned on a GPU, none at all on the CPU."""

from collections.abc import Mapping

import numpy as np
import torch


class Staging:
    """Keeps one pinned buffer per input name, so that a frame is uploaded asynchronously and nothing is allocated.

    A buffer is reused for the next frame: the caller must have synchronised with the device by then, which reading
    the outputs does.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pinned: dict[str, torch.Tensor] = {}

    def upload(self, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        """Arrays by name -> tensors on the device. On the CPU the tensors share the arrays' memory."""
        return {name: self._one(name, np.ascontiguousarray(array)) for name, array in arrays.items()}

    def _one(self, name: str, array: np.ndarray) -> torch.Tensor:
        # torch has no read-only tensors; message bytes are read-only arrays.
        source = torch.from_numpy(array if array.flags.writeable else array.copy())
        if self.device.type != "cuda":
            return source
        buffer = self._pinned.get(name)
        if buffer is None or buffer.shape != source.shape or buffer.dtype != source.dtype:
            buffer = self._pinned[name] = torch.empty_like(source).pin_memory()
        buffer.copy_(source)
        return buffer.to(self.device, non_blocking=True)
