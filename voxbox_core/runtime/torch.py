"""PyTorch itself: the reference that every other backend is held against, on the CPU or on CUDA."""

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
import torch

from voxbox_core.errors import InputError
from voxbox_core.runtime.model import Build, DeployedModule, LoadedModel, ModelFile, check_bytes
from voxbox_core.runtime.staging import Staging


def load(model: ModelFile, threads: int, build: Build | None = None) -> LoadedModel:
    """Run the released weights with PyTorch; `build` makes the deployed module from the weights file.

    threads: CPU threads of the whole process, 0 to leave them as they are. On a GPU it runs as `torch_cuda` says.
    Raises InputError when the model has no weights beside its ONNX file, or not those that its manifest names.
    """
    if build is None or model.weights is None:
        raise InputError(
            f"weights of {model.onnx}",
            "absent",
            "a released model folder with weights",
            "Choose another backend, or give that folder.",
        )
    if model.weights_sha256:
        check_bytes(model.weights, model.weights_sha256)
    if threads:
        torch.set_num_threads(threads)
    deployed = build(model.weights)
    if not torch.cuda.is_available():
        return LoadedModel(Runner(deployed), deployed.metadata, "torch", "fp32")
    from voxbox_core.runtime.torch_cuda import CudaRunner

    torch.backends.cudnn.benchmark = torch.backends.cudnn.deterministic = True  # the fastest of those that are alike
    fast = CudaRunner(deployed, torch.device("cuda"))
    return LoadedModel(fast, deployed.metadata, "torch", fast.precision, fast)


class Runner:
    """Arrays in, arrays out, on the GPU if there is one, in float32 and without gradients: the reference."""

    def __init__(self, deployed: DeployedModule) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._on_gpu = device.type == "cuda"
        self._module = deployed.module.eval().to(device)
        self._outputs = deployed.outputs
        self._staging = Staging(device)

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if self._on_gpu else nullcontext()
        with exact:  # TensorFloat-32, the default of convolutions, has the mantissa of float16
            values = self._module(**self._staging.upload(inputs))
        return {name: value.cpu().numpy() for name, value in zip(self._outputs, values, strict=True)}
