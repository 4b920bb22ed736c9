"""TensorRT without a GPU: every released model is really parsed and built by `tensorrt_rtx`; the rest is refused."""

import importlib.util
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from voxbox_core.errors import InputError
from voxbox_core.runtime import driver, open_model, progress, tensorrt
from voxbox_core.runtime.model import ModelFile

RELEASED = sorted(path.parent for path in (Path(__file__).resolve().parents[3] / "models").rglob("model.onnx"))

needs_rtx = pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed")
needs_no_driver = pytest.mark.skipif(driver.has_driver(), reason="an NVIDIA GPU is here")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VOXBOX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def told():
    """What a build tells, as (words, part done)."""
    heard = []
    with progress.told_to(lambda what, done: heard.append((what, done)) or True):
        yield heard


def tiny(path, operator="Conv", dimension=1, domain="", weight=np.float32):
    """An image of bytes through one operator."""
    stored = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(weight)
    kind = helper.np_dtype_to_tensor_dtype(stored.dtype)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["values"], to=kind),
            helper.make_node(operator, ["values", "weight"], ["out"], name="the operator", domain=domain),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, (dimension, 3, 16, 16))],
        [helper.make_tensor_value_info("out", kind, (dimension, 4, 14, 14))],
        [numpy_helper.from_array(stored, "weight")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("elsewhere", 1)])
    made.ir_version = 10
    onnx.save(made, path / "tiny.onnx")
    return ModelFile.find(path / "tiny.onnx")


@needs_rtx
@pytest.mark.slow
@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: "/".join(folder.parts[-2:]))
def test_a_released_model_is_built_for_gpus_that_are_not_here(folder, told):
    model = ModelFile.find(folder)
    path = tensorrt.build(model, tensorrt.PORTABLE)
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["onnx_sha256"] == model.sha256
    assert sidecar["engine"] == "tensorrt_rtx"
    assert sidecar["device"] == "portable"
    assert path.stat().st_size == sidecar["bytes"] > model.onnx.stat().st_size / 2
    parts = [done for _, done in told]
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0.0, 1.0)
    assert len(parts) > 5
    assert str(path) in told[-1][0]


@needs_rtx
def test_the_engine_is_kept_under_what_it_depends_on(tmp_path, told):
    model = tiny(tmp_path, dimension="cameras", weight=np.float16)
    path = tensorrt.build(model, "sm86")
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["device"] == "sm86"
    assert sidecar["precision"] == "fp16"
    assert sidecar["profile"] == "cameras 1 to 6, mostly 4"
    assert "for sm86, because there is none in" in told[0][0]
    assert tensorrt.build(model, "sm89") != path


@needs_rtx
def test_an_engine_that_is_there_is_built_anew_only_when_that_is_asked_for_or_it_is_damaged(tmp_path, told):
    model = tiny(tmp_path)
    path = tensorrt.build(model, tensorrt.PORTABLE)
    told.clear()
    assert tensorrt.build(model, tensorrt.PORTABLE) == path
    assert [(what.partition(" is ")[2], done) for what, done in told] == [(f"there already: {path}", 1.0)]
    tensorrt.build(model, tensorrt.PORTABLE, anew=True)
    assert "because it was asked for" in told[1][0]
    told.clear()
    path.write_bytes(path.read_bytes()[:1000])
    tensorrt.build(model, tensorrt.PORTABLE)
    assert f"{path} has 1000 of" in told[0][0]
    assert path.stat().st_size > 1000


@needs_rtx
def test_a_contract_says_how_large_a_free_dimension_may_be(tmp_path):
    model = tiny(tmp_path, dimension="pillars")
    graph = onnx.load(model.onnx)
    helper.set_model_props(graph, {"contract": json.dumps({"max_pillars": 500})})
    onnx.save(graph, model.onnx)
    path = tensorrt.build(ModelFile.find(model.onnx), "sm86")
    assert json.loads(path.with_suffix(".json").read_text())["profile"] == "pillars 1 to 500, mostly 500"


@needs_rtx
def test_an_operator_that_tensorrt_lacks_is_named(tmp_path):
    with pytest.raises(InputError, match=r"refused by tensorrt_rtx [\d.]+ \(node the operator \(Unheard\).*Export it"):
        tensorrt.build(tiny(tmp_path, "Unheard", domain="elsewhere"), tensorrt.PORTABLE)
    assert not list((tmp_path / "cache").rglob("*.engine"))


@needs_rtx
def test_a_free_dimension_of_which_nothing_is_known_is_named(tmp_path):
    with pytest.raises(InputError, match="free dimension of .*tiny.onnx is 'weather'; expected one of pillars"):
        tensorrt.build(tiny(tmp_path, dimension="weather"), tensorrt.PORTABLE)


@needs_rtx
def test_a_build_that_is_given_up_leaves_nothing(tmp_path):
    model = tiny(tmp_path)
    with progress.told_to(lambda what, done: done < 0.1), pytest.raises(InputError, match="given up half-built"):
        tensorrt.build(model, tensorrt.PORTABLE)
    assert not list((tmp_path / "cache").rglob("*.engine"))
    assert tensorrt.build(model, tensorrt.PORTABLE).is_file()


@needs_rtx
def test_ctrl_c_ends_a_build(tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    heard = []

    def press(what, done):
        heard.append(done)
        if done and len(heard) == 2:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.5)  # the main thread takes it
        return True

    try:
        with progress.told_to(press), pytest.raises(KeyboardInterrupt):
            tensorrt.build(tiny(tmp_path), tensorrt.PORTABLE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert 1.0 not in heard
    assert not list((tmp_path / "cache").rglob("*.engine"))


_BUILD_WHEN_TOLD = """
import sys
from pathlib import Path
from voxbox_core.runtime import progress, tensorrt
from voxbox_core.runtime.model import ModelFile

def hear(what, done):
    if done == 0.0:
        print(what, flush=True)
        sys.stdin.readline()
    return True

with progress.told_to(hear):
    print(tensorrt.build(ModelFile.find(Path(sys.argv[1])), "portable"), flush=True)
"""


@pytest.fixture
def another(tmp_path):
    """A process that has begun to build the tiny model's engine, and goes on when it gets a line; and that model."""
    model = tiny(tmp_path)
    command = [sys.executable, "-c", _BUILD_WHEN_TOLD, model.onnx]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("building the tensorrt_rtx")
        yield process, model
        process.kill()


@needs_rtx
def test_who_comes_second_waits_and_takes_what_the_other_process_has_built(another):
    other, model = another
    heard = []

    def hear(what, done):
        heard.append((what, done))
        if len(heard) == 2:
            other.stdin.write("go on\n")
            other.stdin.flush()
        return True

    with progress.told_to(hear):
        path = tensorrt.build(model, tensorrt.PORTABLE)
    assert path.is_file()
    assert other.stdout.readline() == f"{path}\n"
    *waits, (end, whole) = heard
    assert {what for what, _ in waits} == {f"waiting for the engine that process {other.pid} builds"}
    assert [done for _, done in waits].count(0.0) == 1
    assert (end.endswith(f"was built by another process meanwhile: {path}"), whole) == (True, 1.0)


@needs_rtx
def test_who_waits_builds_when_the_other_process_dies(another):
    other, model = another
    heard = []

    def hear(what, done):
        heard.append(what)
        if len(heard) == 1:
            other.kill()
        return True

    with progress.told_to(hear):
        assert tensorrt.build(model, tensorrt.PORTABLE).is_file()
    assert heard[0].startswith("waiting for the engine")
    assert heard[-1].startswith("built the tensorrt_rtx")


@needs_rtx
def test_a_target_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    with pytest.raises(InputError, match="target is sm1; expected portable, .*sm86"):
        tensorrt.build(tiny(tmp_path), "sm1")


@needs_rtx
def test_a_cache_that_cannot_be_written_is_named_before_anything_is_built(tmp_path, monkeypatch, told):
    monkeypatch.setenv("VOXBOX_CACHE", "/dev/null/cache")
    with pytest.raises(InputError, match="not writable, because of /dev/null"):
        tensorrt.build(tiny(tmp_path), tensorrt.PORTABLE)
    assert not told


@needs_rtx
@needs_no_driver
def test_without_a_driver_it_is_refused_with_the_remedy_and_auto_passes_it_by(tmp_path):
    assert not tensorrt.usable()
    with pytest.raises(InputError, match=r"NVIDIA driver is absent.*ros2 run voxbox build_engine"):
        open_model(tiny(tmp_path).onnx, "tensorrt")
    assert open_model(tiny(tmp_path).onnx).backend != "tensorrt"


@needs_rtx
@needs_no_driver
def test_without_a_target_and_a_gpu_the_engine_is_portable(tmp_path):
    path = tensorrt.build(tiny(tmp_path))
    assert json.loads(path.with_suffix(".json").read_text())["device"] == "portable"


def test_without_the_library_it_is_refused_with_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install tensorrt" in str(tensorrt.refusal())
    with pytest.raises(InputError, match="not installed; expected tensorrt_rtx. pip install tensorrt-rtx"):
        tensorrt.build(tiny(tmp_path), tensorrt.PORTABLE)


@needs_no_driver
def test_the_driver_is_not_called_where_there_is_none():
    for call in (driver.gpu, driver.driver_version, driver.Stream, lambda: driver.Staged(8)):
        with pytest.raises(driver.DriverError, match="there is no NVIDIA driver"):
            call()
