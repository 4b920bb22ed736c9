"""An engine is found by all that it depends on, whole, and by nothing less; what is in its way is said."""

import json
from dataclasses import replace

import pytest

from voxbox_core.runtime import engine_cache
from voxbox_core.runtime.engine_cache import EngineKey

KEY = EngineKey("abc", "tensorrt", "10.10", "NVIDIA H200 (sm90)", "fp16")
ENGINE = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VOXBOX_CACHE", str(tmp_path))


def test_a_stored_engine_is_found_again_and_its_sidecar_tells_what_it_is():
    path = engine_cache.store(KEY, ENGINE)
    assert engine_cache.find(KEY).engine == ENGINE
    told = json.loads(path.with_suffix(".json").read_text())
    assert told["onnx_sha256"] == "abc"
    assert told["device"] == "NVIDIA H200 (sm90)"
    assert told["bytes"] == len(ENGINE)


def test_nothing_is_left_beside_them(tmp_path):
    engine_cache.store(KEY, ENGINE)
    engine_cache.store(KEY, ENGINE)
    assert {p.suffix for p in (tmp_path / "engines").iterdir()} == {".engine", ".json"}
    assert len(list((tmp_path / "engines").iterdir())) == 2


@pytest.mark.parametrize("field", ["onnx_sha256", "engine", "engine_version", "device", "precision", "profile"])
def test_an_engine_of_anything_else_is_not_found(field):
    engine_cache.store(KEY, ENGINE)
    assert engine_cache.find(replace(KEY, **{field: "other"})).engine is None


def test_after_an_upgrade_it_is_said_what_the_old_engine_is_for():
    assert "there is none in" in engine_cache.find(KEY).reason
    engine_cache.store(replace(KEY, device="another GPU", engine_version="10.9"), ENGINE)
    engine_cache.store(replace(KEY, engine_version="10.9"), ENGINE)
    reason = engine_cache.find(KEY).reason
    assert reason.endswith("are for others: engine_version 10.9 instead of 10.10")


def test_a_truncated_engine_is_not_taken():
    path = engine_cache.store(KEY, ENGINE)
    path.write_bytes(ENGINE[:-100])
    found = engine_cache.find(KEY)
    assert found.engine is None
    assert f"{len(ENGINE) - 100} of {len(ENGINE)} bytes" in found.reason


def test_a_corrupt_engine_is_not_taken():
    path = engine_cache.store(KEY, ENGINE)
    path.write_bytes(b"\1" + ENGINE[1:])
    found = engine_cache.find(KEY)
    assert found.engine is None
    assert "corrupt" in found.reason


def test_an_engine_that_was_copied_over_another_is_foreign():
    path = engine_cache.store(KEY, ENGINE)
    other = engine_cache.store(replace(KEY, device="Orin (sm87)"), ENGINE)
    for suffix in (".engine", ".json"):
        path.with_suffix(suffix).write_bytes(other.with_suffix(suffix).read_bytes())
    found = engine_cache.find(KEY)
    assert found.engine is None
    assert "foreign: device Orin (sm87) instead of NVIDIA H200 (sm90)" in found.reason


@pytest.mark.parametrize("content", [None, "", "{", "[]", '"text"', "\0"])
def test_an_engine_without_a_readable_sidecar_is_not_taken(content):
    sidecar = engine_cache.store(KEY, ENGINE).with_suffix(".json")
    sidecar.unlink() if content is None else sidecar.write_text(content)
    found = engine_cache.find(KEY)
    assert found.engine is None
    assert "no readable .json" in found.reason


def test_what_is_damaged_is_replaced():
    engine_cache.store(KEY, ENGINE).write_bytes(b"")
    engine_cache.store(KEY, ENGINE[::-1])
    assert engine_cache.find(KEY).engine == ENGINE[::-1]
