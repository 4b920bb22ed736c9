"""Every backend gives the reference's numbers, and every damaged model is refused with words."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from voxbox_core.errors import InputError
from voxbox_core.runtime import DeployedModule, available, door, open_model
from voxbox_core.runtime.model import MANIFEST, checksum


class Tiny(torch.nn.Module):
    """uint8 image in, two named outputs: enough to see names, types and values pass the door."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, image, intrinsics):
        features = self.conv(image.float().permute(0, 3, 1, 2) / 255)
        return features, intrinsics[:, 0, 0]


INPUTS = {
    "image": np.random.default_rng(0).integers(0, 255, (1, 8, 9, 3), np.uint8),
    "intrinsics": np.eye(3, dtype=np.float32)[None] * 700,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    module = Tiny().eval()
    tensors = {k: torch.from_numpy(v) for k, v in INPUTS.items()}
    torch.onnx.export(
        module,
        tuple(tensors.values()),
        path / "model.onnx",
        input_names=list(INPUTS),
        output_names=["features", "focal"],
        dynamo=False,
    )
    torch.save(module.state_dict(), path / "weights.pt")
    manifest = {"onnx": "model.onnx", "sha256": checksum(path / "model.onnx"), "weights": "weights.pt"}
    (path / MANIFEST).write_text(yaml.safe_dump(manifest))
    return path


def build(weights):
    module = Tiny()
    module.load_state_dict(torch.load(weights, weights_only=True))
    return DeployedModule(module, ("features", "focal"), {"system": "tiny"})


@pytest.mark.parametrize("backend", [b for b in available() if b not in ("torch", "tensorrt")])
def test_backends_agree_with_torch(folder, backend):
    expected = open_model(folder, "torch", build=build).run(INPUTS)
    loaded = open_model(folder, backend, threads=1)
    assert loaded.backend == backend
    actual = loaded.run(INPUTS)
    assert set(actual) == set(expected)
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], atol=1e-5)


def test_outputs_survive_the_next_call(folder):
    """A backend may reuse its buffers; what a caller holds must not change under it."""
    loaded = open_model(folder)
    first = loaded.run(INPUTS)["features"]
    kept = first.copy()
    loaded.run(INPUTS | {"image": np.zeros_like(INPUTS["image"])})
    np.testing.assert_array_equal(first, kept)


def test_auto_takes_the_first_that_is_installed(folder, monkeypatch):
    assert open_model(folder).backend == next(b for b in available() if b != "tensorrt")
    monkeypatch.setattr(door, "available", lambda: ("onnxruntime", "torch"))
    assert open_model(folder).backend == "onnxruntime"


def test_what_cannot_be_chosen_is_refused_by_name(folder, monkeypatch):
    with pytest.raises(InputError, match="backend is 'cuda'; expected auto or one of"):
        open_model(folder, "cuda")
    monkeypatch.setattr(door, "available", lambda: ("torch",))
    with pytest.raises(InputError, match="backend is openvino; expected one that is installed here"):
        open_model(folder, "openvino")


def test_torch_needs_the_weights(folder):
    with pytest.raises(InputError, match="released model folder with weights"):
        open_model(folder / "model.onnx", "torch", build=build)


def test_released_weights_must_be_those_the_manifest_names(folder, tmp_path):
    for name in ("model.onnx", "weights.pt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    manifest = yaml.safe_load((folder / MANIFEST).read_text())
    manifest["weights_sha256"] = checksum(tmp_path / "weights.pt")
    (tmp_path / MANIFEST).write_text(yaml.safe_dump(manifest))
    assert open_model(tmp_path, "torch", build=build).backend == "torch"
    torch.save(Tiny().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(InputError, match="checksum of .*weights.pt"):
        open_model(tmp_path, "torch", build=build)


@pytest.mark.parametrize("backend", [b for b in available() if b not in ("torch", "tensorrt")])
@pytest.mark.parametrize("damage", ["empty", "truncated", "text"])
def test_a_corrupt_onnx_file_is_refused_with_its_name(folder, tmp_path, backend, damage):
    whole = (folder / "model.onnx").read_bytes()
    content = {"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"not a model at all"}[damage]
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"model .*bad.onnx is refused by .*; expected a valid ONNX file"):
        open_model(tmp_path / "bad.onnx", backend)


def test_a_released_model_must_be_the_one_its_manifest_names(folder, tmp_path):
    for name in ("model.onnx", MANIFEST):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b"\0")
    with pytest.raises(InputError, match="checksum of .*model.onnx"):
        open_model(tmp_path)
    (tmp_path / MANIFEST).write_text("onnx: [")
    with pytest.raises(InputError, match="no YAML"):
        open_model(tmp_path)
    (tmp_path / MANIFEST).write_text("name: x")
    with pytest.raises(InputError, match=r"without \['onnx', 'sha256'\]"):
        open_model(tmp_path)
    with pytest.raises(InputError, match="expected a .onnx file or a model folder"):
        open_model(tmp_path / "absent")


RELEASED_ELSEWHERE = """
import gc, signal, sys, threading
from voxbox_core.runtime import open_model

models = [open_model(sys.argv[1], sys.argv[2], 1)]
thread = threading.Thread(target=lambda: (models.clear(), gc.collect()))
thread.start()
thread.join()
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
signal.raise_signal(signal.SIGUSR1)
sys.exit(0 if heard else 1)
"""


@pytest.mark.parametrize("backend", [b for b in available() if b not in ("torch", "tensorrt")])
def test_signals_are_heard_after_another_thread_has_released_a_model(folder, backend):
    words = [sys.executable, "-c", RELEASED_ELSEWHERE, str(folder), backend]
    assert subprocess.run(words, timeout=120, check=False).returncode == 0
