"""Tensors through a TensorRT engine: on a pretended GPU always, on a real one where there is one."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from pretend_gpu import CURRENT, TRT, PretendGpu, ScalingEngine, scaled

from voxbox_core.errors import InputError
from voxbox_core.runtime import open_model, pytorch_gpu, tensorrt
from voxbox_core.runtime.engine_on_device import EngineOnDevice
from voxbox_core.runtime.engine_run import EngineRun, on_device

MOST = 3
CPU = torch.device("cpu")
REFUSAL = tensorrt.refusal() or (None if torch.cuda.is_available() else "PyTorch sees no GPU")
needs_gpu = pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))


@dataclass
class Opened:
    """gpu: the pretended one, None with a real one.  free: whether a frame may have fewer images than MOST."""

    engine: Any
    device: torch.device
    free: bool
    gpu: PretendGpu | None = None

    def there(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


class Scaled(torch.nn.Module):
    def forward(self, image, factor):
        values = image.float() * factor
        return values, values.argmax(-1)


def pretended(free: bool, capturable: bool = True) -> Opened:
    gpu = PretendGpu()
    engine = ScalingEngine(gpu, (1 if free else MOST, MOST))
    engine.is_stream_capturable = lambda handle: capturable  # as tensorrt_rtx has it
    run = EngineRun(TRT, engine, gpu)
    return Opened(EngineOnDevice(run, CPU, lambda: CURRENT), CPU, free, gpu)


def real(free: bool, folder) -> Opened:
    from voxbox.export.onnx_graph import write_onnx

    path, example = folder / "scaled.onnx", tuple(map(torch.from_numpy, frame(0).values()))
    dynamic = {"image": "cameras"} if free else None
    write_onnx(Scaled(), example, ["image", "factor"], ["values", "best"], {}, path, dynamic)
    loaded = open_model(path, "tensorrt")
    assert loaded.device is loaded.run
    return Opened(loaded.device, torch.device("cuda", 0), free)


@pytest.fixture(params=["pretended", pytest.param("real", marks=[pytest.mark.gpu, needs_gpu])])
def where(request, monkeypatch, tmp_path):
    monkeypatch.setenv("VOXBOX_CACHE", str(tmp_path / "cache"))
    return pretended if request.param == "pretended" else lambda free: real(free, tmp_path)


@pytest.fixture(params=["fixed", "free"])
def opened(request, where):
    return where(request.param == "free")


def frame(seed, count=MOST):
    """Of its bytes no two are alike, so that the largest is one."""
    rng = np.random.default_rng(seed)
    image = rng.permutation(MOST * 60)[: count * 60].astype(np.uint8).reshape(count, 4, 5, 3)
    return {"image": image, "factor": rng.uniform(0.5, 1.5, 1).astype(np.float32)}


def require(found, inputs):
    expected = scaled(**inputs)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("tensors", [(), ("image",), ("factor",), ("image", "factor")], ids="+".join)
def test_arrays_and_tensors_in_any_mixture_give_the_same(opened, tensors):
    for seed in range(3):
        inputs = frame(seed, 1 + seed if opened.free else MOST)
        given = {name: opened.there(value) if name in tensors else value for name, value in inputs.items()}
        require(opened.engine(given), inputs)


def test_each_way_may_follow_the_other(opened):
    for seed, there in enumerate((True, False, False, True, True, False)):
        inputs = frame(seed)
        require(opened.engine({n: opened.there(v) if there else v for n, v in inputs.items()}), inputs)


def test_outputs_stay_on_the_device_until_the_next_frame_and_copies_for_ever(opened):
    first, second = frame(1), frame(2)
    found = opened.engine.compute({"image": opened.there(first["image"]), "factor": first["factor"]})
    assert {value.device for value in found.values()} == {opened.device}
    brightest = found["values"].amax().clone()  # asked for at once, without waiting
    kept = opened.engine.download(found)
    later = opened.engine.compute(second)
    assert later["values"].data_ptr() == found["values"].data_ptr()  # the engine's memory, not another copy
    require(opened.engine.download(later), second)
    require(kept, first)
    assert brightest.item() == scaled(**first)["values"].max()
    direct = opened.engine(first)
    opened.engine(second)
    require(direct, first)
    require(kept, first)


def test_frames_that_nobody_waits_for_are_done_in_order(opened):
    maxima = []
    for seed in range(5):
        found = opened.engine.compute({name: opened.there(value) for name, value in frame(seed).items()})
        maxima.append(found["values"].amax())
    assert [m.item() for m in maxima] == [scaled(**frame(seed))["values"].max() for seed in range(5)]


def test_tensors_of_any_strides_and_alignment_are_taken(opened):
    inputs = frame(4)
    rows = torch.cat([opened.there(inputs["image"][:1]), opened.there(inputs["image"])])
    planes = opened.there(inputs["image"]).permute(0, 3, 1, 2).contiguous()
    for image in (rows[1:], planes.permute(0, 2, 3, 1)):
        require(opened.engine({"image": image, "factor": inputs["factor"]}), inputs)


def test_a_tensor_comes_back_from_upload_as_it_is_and_an_array_on_the_device(opened):
    image = opened.engine.upload("image", frame(0)["image"])
    assert image.device == opened.device
    assert opened.engine.upload("image", image) is image


def test_others_than_the_engine_takes_are_refused_and_the_engine_goes_on(opened):
    image, factor = frame(0).values()
    wrong = [image[..., :2], image.astype(np.float32), image[0], np.concatenate([image, image])]
    for value in wrong:
        for given in (value, opened.there(value)):
            with pytest.raises(InputError, match="input image of the engine") as refused:
                opened.engine.compute({"image": given, "factor": factor})
            assert f"{value.dtype} {value.shape}" in str(refused.value)
            with pytest.raises(InputError, match="input image of the engine"):
                opened.engine({"image": given, "factor": factor})
    with pytest.raises(InputError, match="input factor of the engine"):
        opened.engine.compute({"image": image, "factor": opened.there(factor).double()})
    require(opened.engine({"image": opened.there(image), "factor": factor}), frame(0))


def test_tensors_go_through_the_network_alone_and_wait_before_and_after():
    opened = pretended(free=False)
    opened.gpu.asked.clear()
    opened.engine.compute({"image": opened.there(frame(0)["image"]), "factor": frame(0)["factor"]})
    assert opened.gpu.asked == [
        "use",
        "PyTorch after engine",  # what the last frame reads is not overwritten before
        "engine after PyTorch",  # the copies are done
        "graph of 1",
        "PyTorch after engine",
    ]


def test_arrays_alone_are_one_graph_from_host_to_host_after_what_reads_the_last_outputs():
    opened = pretended(free=False)
    opened.gpu.asked.clear()
    opened.engine(frame(0))
    assert opened.gpu.asked == ["use", "engine after PyTorch", "use", "graph of 5"]


@pytest.mark.parametrize(("free", "capturable"), [(True, True), (False, False)])
def test_without_a_graph_the_same_is_asked_for_step_by_step(free, capturable):
    opened = pretended(free, capturable)
    opened.gpu.asked.clear()
    require(opened.engine(frame(0)), frame(0))
    assert opened.gpu.asked[-5:] == ["up", "up", "network", "down", "down"]
    opened.gpu.asked.clear()
    require(opened.engine({name: opened.there(value) for name, value in frame(1).items()}), frame(1))
    assert opened.gpu.asked[-3:] == ["engine after PyTorch", "network", "PyTorch after engine"]


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("free", [False, True])
def test_on_a_gpu_any_of_pytorchs_streams_may_ask(free, monkeypatch, tmp_path):
    monkeypatch.setenv("VOXBOX_CACHE", str(tmp_path / "cache"))
    opened = real(free, tmp_path)
    for seed in range(20):
        stream = torch.cuda.Stream(opened.device) if seed % 3 else torch.cuda.default_stream(opened.device)
        with torch.cuda.stream(stream):
            inputs = frame(seed)
            there = {name: opened.engine.upload(name, value) for name, value in inputs.items()}
            torch.cuda._sleep(1_000_000)  # cycles: what does not wait comes too early
            there["image"] = there["image"].flip(0).flip(0)
            require(opened.engine(there), inputs)


@pytest.mark.parametrize("torch_version", ["'2.13.0+cpu'", "missing()"])
def test_arrays_are_all_there_is_where_pytorch_has_no_cuda_and_it_is_not_imported(torch_version):
    code = f"""
import importlib.metadata, sys
def missing(): raise importlib.metadata.PackageNotFoundError("torch")
importlib.metadata.version = lambda name: {torch_version}
from voxbox_core.runtime.engine_run import on_device
print(on_device(None), "torch" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["None", "False"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch has a GPU")
def test_arrays_are_all_there_is_where_pytorch_sees_no_gpu(monkeypatch):
    pytorch_gpu.usable.cache_clear()
    monkeypatch.setattr(pytorch_gpu.driver, "has_driver", lambda: True)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0")
    assert on_device(None) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch has a GPU")
def test_arrays_are_all_there_is_where_pytorch_is_made_for_other_gpus_and_the_log_says_so(monkeypatch, caplog):
    def refuse(*size, device):
        raise RuntimeError("no kernel image is available for execution on the device")

    pytorch_gpu.usable.cache_clear()
    monkeypatch.setattr(pytorch_gpu.driver, "has_driver", lambda: True)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", refuse)
    assert on_device(None) is None
    assert "no kernel image" in caplog.text
    pytorch_gpu.usable.cache_clear()
