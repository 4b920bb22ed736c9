"""The command that builds engines ahead: what it builds, what it says, and how it ends."""

import importlib.util
import json
from pathlib import Path

import pytest

from voxbox import build_engine
from voxbox_core.runtime import tensorrt

MODELS = Path(__file__).resolve().parents[2] / "models"

needs_rtx = pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VOXBOX_CACHE", str(tmp_path))


def test_a_model_of_parts_has_an_engine_for_each():
    assert build_engine.graphs(MODELS / "km3d-street") == [MODELS / "km3d-street"]
    assist = MODELS / "point-detr3d-street-assist"
    assert build_engine.graphs(assist) == [assist / part for part in ("image", "lidar", "prompt")]
    assert build_engine.graphs(Path("m.onnx")) == [Path("m.onnx")]


@needs_rtx
def test_an_engine_is_built_behind_a_bar_and_found_the_second_time(tmp_path, capsys):
    part = str(MODELS / "point-detr3d-street-assist" / "image")
    assert build_engine.main([part, "--target", "portable"]) == 0
    out, err = capsys.readouterr()
    (sidecar,) = (tmp_path / "engines").glob("*.json")
    assert json.loads(sidecar.read_text())["device"] == tensorrt.PORTABLE
    assert str(sidecar.with_suffix(".engine")) in out.splitlines()[-1]
    assert "because there is none in" in out.splitlines()[0]
    assert "image: 100%" in err
    assert build_engine.main([part, "--target", "portable"]) == 0
    assert "is there already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "MODEL is 'nowhere'; expected a path, or a released model"),
        pytest.param(["km3d-street", "--target", "sm1"], "target is sm1; expected portable, ", marks=needs_rtx),
    ],
)
def test_bad_input_is_one_line(arguments, text, capsys):
    assert build_engine.main(arguments) == 2
    assert text in capsys.readouterr().err
