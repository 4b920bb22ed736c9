"""`voxbox benchmark`: what it measures, and what it refuses."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from voxbox import cli
from voxbox.benchmark import engines
from voxbox_core.runtime import available

EXPORTED = [name for name in available() if name not in ("tensorrt", "torch")]


def test_the_backends_are_measured_by_stage(tiny_onnx, short_drive, tmp_path, capsys):
    words = ["km3d", short_drive, "--model", tiny_onnx, "--parts", "engines", "--backends", ",".join(EXPORTED)]
    words += ["--rounds", 3, "--threads", 1, "--json", tmp_path / "r.json"]
    assert cli.main(["benchmark", *map(str, words)]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert list(result["engines"]) == EXPORTED
    for found in result["engines"].values():
        assert set(found["stages_ms"]) == set(engines.STAGES)
        assert all(0 < stage["p50"] <= stage["p95"] for stage in found["stages_ms"].values())
    assert result["engines"][EXPORTED[0]]["ratio"] == {"median": 1, "low": 1, "high": 1}
    assert result["machine"]
    assert EXPORTED[-1] in capsys.readouterr().out


def test_ratios_are_taken_round_by_round():
    reference = np.array([10.0, 20.0, 10.0])
    times = np.stack([np.full(3, 1.0), reference * [0.5, 0.5, 0.6], np.full(3, 0.1)], 1)
    found = engines._summary(times, reference)
    assert found["ratio"] == pytest.approx({"median": 0.5, "low": 0.5, "high": 0.6})
    assert found["stages_ms"]["preprocess"] == {"p50": 1, "p95": 1}
    assert "0.50 (0.50 to 0.60)" in engines.table({"quick": found})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parts", "engines,wheels"], "--parts is wheels; expected of engines, node, delivery, graph"),
        (["--backends", "abacus"], "--backends is abacus; expected of"),
        (["--rounds", "0"], "--rounds is 0; expected at least 1"),
        (["--frames", "-5"], "--frames is -5; expected at least 1"),
        (["--parts", "engines", "--model", "nowhere"], "model is 'nowhere'; expected a path"),
    ],
)
def test_what_cannot_be_measured_is_refused(words, message, capsys):
    assert cli.main(["benchmark", "km3d", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("rates", ["0", "ten", "10,nan", "10,,30"])
def test_rates_that_are_none_are_refused(rates, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["benchmark", "km3d", "--rates", rates])
    assert stop.value.code == 2
    assert f"{rates!r} is no list of images/s" in capsys.readouterr().err


@pytest.mark.processes
@pytest.mark.skipif(
    not (shutil.which("ros2") or Path(sys.executable).with_name("ros2").is_file()), reason="no ros2 command"
)
def test_the_node_answers_every_frame(tiny_onnx, short_drive):
    from voxbox.benchmark import node

    found = node.measure(node.Case("onnxruntime", 5.0), short_drive, str(tiny_onnx), frames=3)
    assert (found["frames_in"], found["frames_out"], found["backend"]) == (3, 3, "onnxruntime")
    assert found["stages_ms"]["inference"]["count"] == 3
    assert 0 < found["overhead_ms"]["p50"] < found["stages_ms"]["end_to_end"]["max"]
    assert "3/3" in node.table([found])
