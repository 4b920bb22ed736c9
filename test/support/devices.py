"""Where tests of device code run: on the CPU always, on a GPU where there is one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from voxbox_core.runtime import DeployedModule
from voxbox_core.runtime.staging import Staging

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
on_each_device = pytest.mark.parametrize(
    "device", [torch.device("cpu"), pytest.param(torch.device("cuda"), marks=[pytest.mark.gpu, no_gpu])], ids=str
)
"""`device`: both in turn."""


class Exact:
    """An engine with memory of its own (`runtime.OnDevice`) in float32, so that nothing but the way of the data differs
    from `runtime.torch.Runner`. uploads: names and bytes of the arrays that were brought."""

    def __init__(self, deployed: DeployedModule, device: torch.device) -> None:
        self.uploads: list[tuple[str, int]] = []
        self._module, self._outputs = deployed.module.eval().to(device), deployed.outputs
        self._staging = Staging(device)

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return self.download(self.compute(inputs))

    def upload(self, name: str, data: Any) -> Tensor:
        if isinstance(data, Tensor):
            return data
        self.uploads.append((name, data.nbytes))
        return self._staging.upload({name: data})[name]

    @torch.inference_mode()
    def compute(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        there = {name: self.upload(name, value) for name, value in inputs.items()}
        return dict(zip(self._outputs, self._module(**there), strict=True))

    def download(self, outputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        return {name: value.cpu().numpy() for name, value in outputs.items()}
