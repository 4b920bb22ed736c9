"""Every backend gives the reference's numbers, and every damaged model is refused with words."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
import yaml

from voxbox_core.errors import InputError
from voxbox_core.runtime import PRECISIONS, DeployedModule, ModelFile, available, door, in_precision, open_model
from voxbox_core.runtime.model import MANIFEST, OTHERS, checksum


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


@pytest.fixture
def several(folder, tmp_path):
    """A release in three precisions: the files are those of one, what they say of themselves differs."""
    for name in ("model.onnx", "weights.pt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    manifest = yaml.safe_load((folder / MANIFEST).read_text()) | {"precision": "fp32", OTHERS: []}
    for precision in ("fp16", "int8"):
        model = onnx.load(folder / "model.onnx")
        onnx.helper.set_model_props(model, {"precision": precision})
        if precision == "fp16":
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.float16), "unused"))
        else:
            model.graph.node.append(onnx.helper.make_node("QuantizeLinear", ["focal", "step", "nought"], ["unused"]))
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((), np.float32), "step"))
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((), np.int8), "nought"))
        file = tmp_path / f"model-{precision}.onnx"
        onnx.save(model, file)
        manifest[OTHERS].append({"precision": precision, "onnx": file.name, "sha256": checksum(file)})
    (tmp_path / MANIFEST).write_text(yaml.safe_dump(manifest))
    return tmp_path


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


def test_auto_takes_a_gpu_before_a_cpu_and_pytorch_only_with_weights(folder, monkeypatch):
    monkeypatch.setattr(door, "available", lambda: ("openvino", "onnxruntime", "torch"))
    monkeypatch.setattr(door.pytorch_gpu, "usable", lambda: True)
    assert door.usable() == ("torch", "openvino", "onnxruntime")
    assert open_model(folder, build=build).backend == "torch"
    assert open_model(folder).backend == "openvino"
    assert open_model(folder / "model.onnx", build=build).backend == "openvino"
    assert open_model(folder, build=build, precision="fp32").backend == "openvino"


@pytest.mark.parametrize(
    ("backend", "precision"), [("openvino", "int8"), ("tensorrt", "int8"), ("onnxruntime", "fp32"), ("torch", "fp32")]
)
def test_each_backend_opens_the_file_that_it_is_quickest_with(several, folder, backend, precision):
    assert in_precision(ModelFile.find(several), backend).precision == precision
    assert in_precision(ModelFile.find(folder), backend).onnx == folder / "model.onnx"


def test_a_precision_can_be_asked_for(several):
    for precision in PRECISIONS:
        assert open_model(several, "onnxruntime", precision=precision).metadata.get("precision", "fp32") == precision
    assert open_model(several / "model.onnx", "onnxruntime", precision="fp32").backend == "onnxruntime"


def test_a_precision_that_a_model_does_not_come_in_is_refused(several, folder):
    with pytest.raises(InputError, match=r"precision of .*model.onnx is fp32; expected int8.*--precision int8"):
        open_model(folder, "onnxruntime", precision="int8")
    with pytest.raises(InputError, match=r"precision of .*model-int8.onnx is int8; expected fp16"):
        open_model(several / "model-int8.onnx", "onnxruntime", precision="fp16")
    with pytest.raises(InputError, match="precision is 'half'; expected auto or one of fp32, fp16, int8"):
        open_model(several, precision="half")
    with pytest.raises(InputError, match="precision is fp16, with torch; expected auto"):
        open_model(several, "torch", build=build, precision="fp16")


def test_every_file_of_a_release_must_be_the_one_its_manifest_names(several):
    file = several / "model-int8.onnx"
    whole = file.read_bytes()
    file.write_bytes(whole + b"\0")
    with pytest.raises(InputError, match="checksum of .*model-int8.onnx"):
        open_model(several, "onnxruntime")
    file.unlink()
    with pytest.raises(InputError, match="ONNX file of the model is absent"):
        open_model(several, "onnxruntime")
    manifest = yaml.safe_load((several / MANIFEST).read_text())
    (several / MANIFEST).write_text(yaml.safe_dump(manifest | {OTHERS: ["model-int8.onnx"]}))
    with pytest.raises(InputError, match=r"without \['onnx', 'sha256'\]"):
        open_model(several, "onnxruntime")


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
