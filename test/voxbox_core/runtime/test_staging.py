"""One copy to a GPU, none on the CPU."""

import numpy as np
import pytest
import torch
from devices import on_each_device

from voxbox_core.runtime.staging import Staging

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")


def arrays(value: int) -> dict[str, np.ndarray]:
    return {"image": np.full((1, 4, 5, 3), value, np.uint8), "intrinsics": np.eye(3, dtype=np.float32)[None] * value}


def test_on_the_cpu_memory_is_shared():
    given = arrays(7)
    staged = Staging(torch.device("cpu")).upload(given)
    assert {name: tensor.dtype for name, tensor in staged.items()} == {
        "image": torch.uint8,
        "intrinsics": torch.float32,
    }
    given["image"][0, 0, 0] = 9
    assert staged["image"][0, 0, 0].tolist() == [9, 9, 9]


@pytest.mark.filterwarnings("error")  # torch warns of tensors over read-only memory
def test_a_message_s_read_only_bytes_are_copied():
    image = np.frombuffer(bytes(range(12)), np.uint8).reshape(1, 2, 2, 3)
    staged = Staging(torch.device("cpu")).upload({"image": image})["image"]
    staged += 1
    assert staged.flatten().tolist() == list(range(1, 13))
    assert image.flatten().tolist() == list(range(12))


@pytest.mark.parametrize("view", [lambda a: a[..., ::-1], lambda a: a[:, :, 1:3], lambda a: a.transpose(0, 2, 1, 3)])
def test_views_of_any_strides_arrive_by_value(view):
    image = np.arange(60, dtype=np.uint8).reshape(1, 4, 5, 3)
    staged = Staging(torch.device("cpu")).upload({"image": view(image)})["image"]
    assert staged.is_contiguous()
    np.testing.assert_array_equal(staged.numpy(), view(image))


@on_each_device
def test_what_comes_down_is_the_caller_s_own(device):
    there = {"labels": torch.arange(6, dtype=torch.uint8, device=device), "depth": torch.ones(2, 3, device=device)}
    here = Staging(device).download(there)
    for tensor in there.values():
        tensor.zero_()
    np.testing.assert_array_equal(here["labels"], np.arange(6, dtype=np.uint8))
    np.testing.assert_array_equal(here["depth"], np.ones((2, 3), np.float32))


@pytest.mark.gpu
@needs_gpu
def test_on_a_gpu_frames_arrive_and_the_pinned_buffer_stays():
    staging = Staging(torch.device("cuda"))
    for value in (1, 2):
        staged = staging.upload(arrays(value))
        torch.cuda.synchronize()
        for name, tensor in staged.items():
            assert tensor.is_cuda
            np.testing.assert_array_equal(tensor.cpu().numpy(), arrays(value)[name])
        buffer = staging._pinned["image"]
        assert buffer.is_pinned()
    staging.upload(arrays(3))
    assert staging._pinned["image"] is buffer


@pytest.mark.gpu
@needs_gpu
def test_on_a_gpu_another_size_gets_another_buffer():
    staging = Staging(torch.device("cuda"))
    staging.upload(arrays(1))
    larger = {"image": np.full((1, 8, 5, 3), 4, np.uint8)}
    staged = staging.upload(larger)["image"]
    torch.cuda.synchronize()
    np.testing.assert_array_equal(staged.cpu().numpy(), larger["image"])
