"""Engines on a GPU give PyTorch's numbers, and for released models ONNX Runtime's: both in float32, on the CPU."""

import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from voxbox.bag.samples import samples
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox.export.onnx_graph import write_onnx
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.errors import InputError
from voxbox_core.runtime import engine_cache, open_model, progress, tensorrt
from voxbox_core.voxels import Voxels

MODELS = Path(__file__).resolve().parents[3] / "models"
REFUSAL = tensorrt.refusal()

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))]


class Tiny(torch.nn.Module):
    """Bytes in, two outputs, one of them whole numbers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, image):
        features = self.conv(image.float().permute(0, 3, 1, 2) / 255)
        return features, features.argmax(1)


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (count, 8, 9, 3), np.uint8)


def expected(image):
    with torch.inference_mode():
        return dict(zip(("features", "best"), (t.numpy() for t in Tiny()(torch.from_numpy(image)))))


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VOXBOX_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=["fixed", "free"])
def graph(request, tmp_path):
    free = {"image": "cameras"} if request.param == "free" else None
    example = torch.from_numpy(images(2 if free else 1))
    path = tmp_path / "tiny.onnx"
    write_onnx(Tiny(), (example,), ["image"], ["features", "best"], {"system": "tiny"}, path, free)
    return path, 3 if free else 1


def heard(path):
    """The model, and what was told while it was opened."""
    words = []
    with progress.told_to(lambda what, done: words.append(what) or True):
        return open_model(path, "tensorrt"), words


def test_frames_of_any_thread_give_what_pytorch_gives(graph):
    path, most = graph
    loaded, _ = heard(path)
    assert (loaded.backend, loaded.precision, loaded.metadata) == ("tensorrt", "fp32", {"system": "tiny"})
    results = {}

    def work():
        for seed in range(4):
            count = 1 + seed % most
            results[seed] = (images(count, seed), loaded.run({"image": images(count, seed)}))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(results) == 4
    for image, found in results.values():  # compared at the end: outputs survive the next frame
        np.testing.assert_allclose(found["features"], expected(image)["features"], atol=1e-5)
        assert found["best"].dtype == np.int64
        np.testing.assert_array_equal(found["best"], expected(image)["best"])


def test_an_engine_is_built_once_and_anew_when_it_is_damaged(graph):
    path, _ = graph
    words = heard(path)[1]
    assert "because there is none in" in words[0]
    assert not heard(path)[1]
    (engine,) = engine_cache.cache_folder().rglob("*.engine")
    engine.write_bytes(engine.read_bytes()[:-8])
    assert "bytes" in heard(path)[1][0]
    assert not heard(path)[1]


def test_inputs_of_other_shapes_and_types_are_refused_and_the_engine_goes_on(graph):
    path, most = graph
    loaded, _ = heard(path)
    for wrong in (images(7), images(1)[:, :4], images(1).astype(np.float32)):
        with pytest.raises(InputError, match="input image of the engine"):
            loaded.run({"image": wrong})
    found = loaded.run({"image": images(most)})
    np.testing.assert_allclose(found["features"], expected(images(most))["features"], atol=1e-5)


def test_km3d_finds_the_boxes_that_onnxruntime_finds():
    from km3d_ros.detector import KM3D

    detectors = [KM3D.open(MODELS / "km3d-street", name, precision="fp32") for name in ("onnxruntime", "tensorrt")]
    with Bag(SHIPPED_DRIVE) as bag:
        frames = list(samples(bag, find_topics(bag), 3))
    assert frames
    for frame in frames:
        reference, found = (detector(frame.image, frame.camera) for detector in detectors)
        assert len(reference) == len(found) > 0
        np.testing.assert_allclose(found.center, reference.center, rtol=1e-2, atol=0.05)
        np.testing.assert_array_equal(found.label, reference.label)


@pytest.mark.parametrize("part", ["lidar", "image"])
def test_the_assistants_pyramids_are_those_of_onnxruntime(part):
    folder = MODELS / "point-detr3d-street-assist" / part
    rng = np.random.default_rng(0)
    inputs = {
        "lidar": {
            "features": rng.normal(size=(300, 12, 10)).astype(np.float32),
            "cell": rng.permutation(21504)[:300].astype(np.int64),
        },
        "image": {"images": rng.integers(0, 255, (3, 192, 320, 3), np.uint8)},
    }[part]
    a, b = (open_model(folder, backend).run(inputs) for backend in ("onnxruntime", "tensorrt"))
    for name in a:
        np.testing.assert_allclose(b[name], a[name], rtol=1e-3, atol=1e-3 * np.abs(a[name]).max())


def test_ssz_labels_the_cells_as_onnxruntime_does():
    image = np.random.default_rng(0).integers(0, 255, (1, 96, 192, 3), np.uint8)
    engines = (open_model(MODELS / "ssz-street", name, precision="fp32") for name in ("onnxruntime", "tensorrt"))
    a, b = (engine.run({"image": image}) for engine in engines)
    assert np.mean(a["labels"] == b["labels"]) > 0.999


needs_torch = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")


def by_both_ways(open_detector, model):
    """The detector with everything on the GPU, and with arrays that the CPU prepares, of the same engine file."""
    device, host = (open_detector(MODELS / model, "tensorrt") for _ in range(2))
    assert device.device is not None
    host.device = None
    return device, host


@needs_torch
def test_km3d_finds_the_same_boxes_in_what_the_gpu_prepares():
    from km3d_ros.detector import KM3D

    device, host = by_both_ways(KM3D.open, "km3d-street")
    with Bag(SHIPPED_DRIVE) as bag:
        frames = list(samples(bag, find_topics(bag), 3))
    assert frames
    for frame in frames:
        for image in (frame.image, device.device.upload("image", frame.image)):
            found, reference = device(image, frame.camera), host(frame.image, frame.camera)
            assert len(reference) == len(found) > 0
            np.testing.assert_allclose(found.center, reference.center, rtol=1e-2, atol=0.05)
            np.testing.assert_array_equal(found.label, reference.label)


@needs_torch
def test_the_student_finds_the_same_boxes_in_what_the_gpu_prepares():
    from point_detr3d_ros.detector import PointDETR3D
    from voxbox.bag.rig import rig_samples
    from voxbox.demo.drives import SHIPPED_RIG_DRIVE

    device, host = by_both_ways(PointDETR3D.open, "point-detr3d-street")
    for frame in islice(rig_samples(SHIPPED_RIG_DRIVE), 3):
        found, reference = device(frame.points, frame.height), host(frame.points, frame.height)
        assert len(reference) == len(found) > 0
        np.testing.assert_allclose(found.center, reference.center, rtol=1e-3, atol=1e-2)
        np.testing.assert_array_equal(found.label, reference.label)


@needs_torch
def test_ssz_fills_the_same_cells_in_what_the_gpu_prepares():
    from ssz_ros.reconstructor import SSZ

    device, host = by_both_ways(SSZ.open, "ssz-street")
    with Bag(SHIPPED_DRIVE) as bag:
        frames = list(samples(bag, find_topics(bag), 3))
    assert frames
    for frame in frames:
        found, reference = device(frame.image, frame.camera), host(frame.image, frame.camera)
        assert np.mean(found.labels == reference.labels) > 0.999
        assert found.on_surface is not None
        np.testing.assert_array_equal(found.surface, Voxels(found.labels, found.fruxel).surface)
