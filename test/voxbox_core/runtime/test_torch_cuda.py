"""PyTorch in half precision, where its geometry is not; on a GPU the same as one graph."""

import numpy as np
import pytest
import torch
from devices import no_gpu, on_each_device
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from voxbox_core.runtime.model import DeployedModule
from voxbox_core.runtime.torch import Runner
from voxbox_core.runtime.torch_cuda import Constants, CudaRunner, halved


class Network(nn.Module):
    """A convolution in either precision, a constant written in Python, and a division that float16 would spoil."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.seen: list[torch.dtype] = []

    def forward(self, image: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
        mean = torch.tensor((0.4, 0.5, 0.6), device=image.device)[:, None, None]
        heat = self.conv(image.float().permute(0, 3, 1, 2) / 255 - mean)
        self.seen.append(heat.dtype)
        return heat.float().amax((2, 3)), focal * 1000.0 / 3.0


def deployed(static: bool) -> DeployedModule:
    torch.manual_seed(0)
    example = {"image": torch.zeros(1, 16, 20, 3, dtype=torch.uint8), "focal": torch.ones(1)}
    return DeployedModule(Network(), ("heat", "depth"), {}, example if static else None)


def frame(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"image": rng.integers(0, 256, (1, 16, 20, 3), np.uint8), "focal": rng.random(1).astype(np.float32)}


@on_each_device
@pytest.mark.parametrize("static", [True, False])
def test_what_the_reference_says_to_half_precision(device, static) -> None:
    runner, reference = CudaRunner(deployed(static), device), Runner(deployed(static))
    for seed in range(3):
        found, expected = runner(frame(seed)), reference(frame(seed))
        np.testing.assert_allclose(found["heat"], expected["heat"], rtol=5e-3, atol=5e-3)
        np.testing.assert_array_equal(found["depth"], expected["depth"])
        assert {name: array.dtype for name, array in found.items()} == {"heat": np.float32, "depth": np.float32}


@on_each_device
def test_the_precision_that_is_told_is_the_one_that_runs(device) -> None:
    module = deployed(static=False)
    runner = CudaRunner(module, device)
    runner(frame(0))
    assert runner.precision == "fp16"
    assert module.module.seen == [torch.float16]


@on_each_device
def test_tensors_stay_where_they_are_and_arrays_are_brought(device) -> None:
    runner = CudaRunner(deployed(static=True), device)
    image = runner.upload("image", frame(1)["image"])
    assert image.device.type == device.type
    assert runner.upload("image", image) is image
    found = runner.compute({"image": image, "focal": frame(1)["focal"]})
    assert all(value.device.type == device.type for value in found.values())
    there = runner.download(found)
    for name, expected in runner(frame(1)).items():
        np.testing.assert_array_equal(there[name], expected)


@on_each_device
def test_one_frame_s_answer_outlives_the_next(device) -> None:
    runner = CudaRunner(deployed(static=True), device)
    first = runner(frame(1))
    kept = {name: value.copy() for name, value in first.items()}
    runner(frame(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, kept[name])


class NewTensors(TorchDispatchMode):
    """Counts tensors that are made of numbers in Python: on a GPU each is a copy from the host."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.ops.aten.lift_fresh.default, torch.ops.aten._local_scalar_dense.default)
        return func(*args, **(kwargs or {}))


def test_constants_are_made_once() -> None:
    module, constants, counts = Network(), Constants(), []
    inputs = {name: torch.from_numpy(value) for name, value in frame(0).items()}
    plain = module(**inputs)
    for _ in range(2):
        with constants, NewTensors() as made:
            found = module(**inputs)
        counts.append(made.count)
        for value, expected in zip(found, plain, strict=True):
            assert torch.equal(value, expected)
    assert counts == [1, 0]


def test_constants_of_another_type_or_value_are_others() -> None:
    with Constants():
        made = [torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0], dtype=torch.float64)]
        assert torch.tensor([1.0, 2.0]) is made[0]
    assert [(each[1].item(), each.dtype) for each in made] == [
        (2.0, torch.float32),
        (3.0, torch.float32),
        (2.0, torch.float64),
    ]


def test_only_convolutions_are_halved() -> None:
    network = halved(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ConvTranspose3d(8, 4, 2), nn.Linear(4, 2)))
    assert [next(part.parameters()).dtype for part in network] == [
        torch.float16,
        torch.float32,
        torch.float16,
        torch.float32,
    ]
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert network[2].weight.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.gpu
@no_gpu
def test_on_a_gpu_static_shapes_are_one_graph() -> None:
    cuda = torch.device("cuda")
    assert CudaRunner(deployed(static=True), cuda)._replay is not None
    assert CudaRunner(deployed(static=False), cuda)._replay is None
