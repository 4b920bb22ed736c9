"""An engine is found by all that it depends on, and by nothing less."""

from dataclasses import replace

import pytest

from voxbox_core.errors import InputError
from voxbox_core.runtime import engine_cache, tensorrt
from voxbox_core.runtime.engine_cache import EngineKey

KEY = EngineKey("abc", "tensorrt", "10.10", "NVIDIA H200", "fp16")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VOXBOX_CACHE", str(tmp_path))


def test_a_stored_engine_is_found_again():
    path = engine_cache.store(KEY, b"engine")
    assert engine_cache.find(KEY) == b"engine"
    assert path.with_suffix(".json").is_file()


@pytest.mark.parametrize("field", ["onnx_sha256", "engine", "engine_version", "device", "precision", "profile"])
def test_an_engine_of_anything_else_is_not_found(field):
    engine_cache.store(KEY, b"engine")
    assert engine_cache.find(replace(KEY, **{field: "other"})) is None


def test_tensorrt_says_that_it_does_not_build_yet(tmp_path):
    with pytest.raises(InputError, match="expected openvino, onnxruntime or torch"):
        tensorrt.load(None, 0)
    assert not tensorrt.usable()
