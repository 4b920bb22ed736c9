"""`--parts roofline`: what a device can do, a frame's stages, and the share of the one that the other reaches."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from devices import Exact, on_each_device
from tiny_ssz import TINY, released
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from voxbox import cli
from voxbox.benchmark import ceilings, roofline
from voxbox.benchmark.ceilings import Ceilings
from voxbox.benchmark.graph_cost import Cost
from voxbox.benchmark.roofline import FINISH, NETWORK, PREPARE, STAGES, UPLOAD, Watched
from voxbox.benchmark.stopwatch import Stopwatch
from voxbox_core.errors import InputError
from voxbox_core.runtime import DeployedModule

LIMIT = Ceilings("a device", fp32=100e9, fp16=50e9, int8=400e9, memory=10e9, upload=1e9)
FRAME = np.arange(24, dtype=np.uint8).reshape(4, 6)


@pytest.fixture
def quick(monkeypatch) -> None:
    """Smaller matrices and copies: a test judges no machine."""
    monkeypatch.setattr(ceilings, "_ROUNDS", 2)
    monkeypatch.setattr(ceilings, "_COPIED", 1 << 20)
    monkeypatch.setattr(ceilings, "_IMAGES", {"cpu": 8, "cuda": 8})
    monkeypatch.setattr(
        ceilings, "_SIDES", {kind: dict.fromkeys(("fp32", "fp16", "int8"), 64) for kind in ("cpu", "cuda")}
    )


class Doubled(nn.Module):
    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (image.float() * 2,)


class Detector:
    """Uploads an image, where there is a device for it, adds one and lets the network double it. An empty one is not
    shown to the network."""

    backend, precision = "torch", "fp32"

    def __init__(self, device: torch.device, in_host_memory: bool = False) -> None:
        engine = Exact(DeployedModule(Doubled(), ("twice",), {}), device)
        self.run = engine
        self.device = None if in_host_memory else engine

    def __call__(self, image: np.ndarray) -> np.ndarray:
        there = image if self.device is None else self.device.upload("image", image)
        return self.run({"image": there + 1})["twice"] if there.shape[0] else np.empty(0)


@on_each_device
def test_the_stages_of_a_frame_on_a_device(device) -> None:
    watch, detector = Stopwatch(device.type == "cuda"), Detector(device)
    watched = Watched(detector, watch)
    for _ in range(2):  # a stopwatch is used again
        watch.mark("begun")
        assert np.array_equal(detector(FRAME), 2.0 * (FRAME + 1))
        watch.mark(FINISH)
        stages = watch.stop()
        assert tuple(stages) == STAGES
        assert all(seconds >= 0 for seconds in stages.values()) and stages[NETWORK] > 0
    assert watched.shapes == {"image": (4, 6)}


def test_the_stages_of_a_frame_in_host_memory() -> None:
    watch, detector = Stopwatch(on_gpu=False), Detector(torch.device("cpu"), in_host_memory=True)
    Watched(detector, watch)
    watch.mark("begun")
    assert np.array_equal(detector(FRAME), 2.0 * (FRAME + 1))
    watch.mark(FINISH)
    assert list(watch.stop()) == [PREPARE, NETWORK, FINISH]


def test_what_is_uploaded_after_the_network_is_no_upload() -> None:
    watch, detector = Stopwatch(on_gpu=False), Detector(torch.device("cpu"))
    Watched(detector, watch)
    watch.mark("begun")
    detector(FRAME)
    assert detector.device is not None
    detector.device.upload("seen", FRAME)
    watch.mark(FINISH)
    assert list(watch.stop()) == [UPLOAD, PREPARE, NETWORK, FINISH]


@pytest.mark.parametrize(
    ("cost", "precision", "least", "bound"),
    [
        (Cost(4_000_000_000, 100_000_000), "fp32", 40.0, "compute"),
        (Cost(4_000_000_000, 600_000_000), "fp32", 60.0, "memory"),
        (Cost(4_000_000_000, 100_000_000), "fp16", 40.0, "compute"),  # here float32 is faster
        (Cost(4_000_000_000, 50_000_000), "int8", 10.0, "compute"),
    ],
)
def test_the_share_is_the_least_time_of_the_time_taken(cost: Cost, precision: str, least: float, bound: str) -> None:
    told = roofline.of_network(cost, LIMIT, precision, 80.0)
    assert told["attainable_ms"] == pytest.approx(least)
    assert told["bound"] == bound
    assert told["share"] == pytest.approx(100 * least / 80)
    assert told["flops_per_s"] == pytest.approx(50e9)
    assert told["bytes_per_s"] == pytest.approx(cost.bytes / 0.08)


@on_each_device
def test_ceilings_are_measured_and_leave_pytorch_as_it_was(device, quick) -> None:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    limit = ceilings.measure(device, before[0] + 1)
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before
    rates = (limit.fp32, limit.fp16, limit.int8, limit.memory, limit.upload)
    assert all(0 < rate < np.inf for rate in rates)
    assert device.type == "cuda" or limit.device == f"CPU, threads: {before[0] + 1}"
    assert limit.flops("int8") >= limit.flops("fp16") >= limit.flops("fp32") == limit.fp32


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_products_do_what_is_counted(precision: str) -> None:
    work, flops = ceilings._product(precision, 32, torch.device("cpu"))
    assert counted(work) == flops


def test_the_convolution_does_what_is_counted() -> None:
    work, flops = ceilings._convolution(5, torch.device("cpu"))
    assert counted(work) == flops


def counted(work) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    return counter.get_total_flops()


def test_a_released_model_against_its_device(tmp_path, capsys, quick) -> None:
    model, out = released(tmp_path / "tiny"), tmp_path / "result.json"
    words = ("benchmark", "ssz", "--model", model, "--parts", "roofline", "--rounds", 3, "--threads", 1, "--json", out)
    assert cli.main([str(word) for word in (*words, "--backends", "onnxruntime,torch")]) == 0
    found = json.loads(out.read_text())["roofline"]
    by_device = {device: Ceilings(**limit) for device, limit in found["ceilings"].items()}
    assert list(found["networks"]) == ["onnxruntime", "torch"]
    for r in found["networks"].values():
        limit = by_device[r["device"]]
        least = max(r["flops"] / limit.flops(r["precision"]), r["bytes"] / limit.memory)
        assert r["share"] == pytest.approx(1e5 * least / r["stages_ms"][NETWORK]["p50"])
    cells = int(np.prod(TINY.fruxel.shape))
    head = 2 * TINY.decoder[-1] * len(TINY.classes) * cells  # the last convolution
    assert head < found["networks"]["onnxruntime"]["flops"] < 10 * head
    said = capsys.readouterr().out
    assert "share" in said and "GFLOP" in said


def test_images_against_the_device(tiny_onnx, short_drive, quick, capsys) -> None:
    words = ("km3d", short_drive, "--model", tiny_onnx, "--parts", "roofline", "--rounds", 2)
    assert cli.main(["benchmark", *map(str, words), "--backends", "onnxruntime"]) == 0
    assert "share" in capsys.readouterr().out


def test_clouds_cost_by_the_number_of_their_pillars(tmp_path, quick) -> None:
    rng, costs = np.random.default_rng(0), []
    for count in (500, 2000):
        cloud = tmp_path / f"{count}.bin"
        rng.uniform([2, -10, -1.5, 0], [20, 10, 0, 1], (count, 4)).astype(np.float32).tofile(cloud)
        words = ("point-detr3d", "--data", cloud, "--parts", "roofline", "--rounds", 1, "--json", tmp_path / "r.json")
        assert cli.main(["benchmark", *map(str, words), "--backends", "onnxruntime"]) == 0
        costs.append(json.loads((tmp_path / "r.json").read_text())["roofline"]["networks"]["onnxruntime"]["flops"])
    per_pillar = 2 * 12 * 10 * 32  # points, features and channels of the released model
    assert costs[1] > costs[0] and (costs[1] - costs[0]) % per_pillar == 0


def test_a_frame_that_the_network_does_not_see_is_refused(tmp_path, quick) -> None:
    def opened(*_: object) -> Detector:
        return Detector(torch.device("cpu"), in_host_memory=True)

    with pytest.raises(InputError, match="the network sees nothing"):
        roofline.measure(opened, tmp_path, (FRAME[:0],), ["torch"], 1, 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch has a GPU here")
def test_a_gpu_that_pytorch_cannot_measure_is_refused(tmp_path) -> None:
    def opened(*_: object) -> SimpleNamespace:
        return SimpleNamespace(run=None, device=None, backend="tensorrt", precision="fp16")

    with pytest.raises(InputError, match="--backends is tensorrt"):
        roofline.measure(opened, tmp_path, (FRAME,), ["tensorrt"], 1, 1)


def test_a_device_is_told_in_a_line() -> None:
    assert ceilings.table(replace(LIMIT, upload=1.26e9)) == (
        "a device, at most: GFLOP/s fp32 100, fp16 50, int8 400; GB/s memory 10, upload 1.3"
    )
