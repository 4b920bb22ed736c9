"""`voxbox benchmark ssz`: a small untrained model as trained and as deployed, by stage, and as messages."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_ssz import TINY, lively, released

from ssz_ros.network import Deployed
from voxbox import cli
from voxbox.benchmark import voxel_forms, voxel_stages
from voxbox.benchmark.voxel_forms import DEPLOYED, TRAINED, AsTrained, facts, labelled
from voxbox_core.runtime import available

pytest.importorskip("rclpy")
EXPORTED = [name for name in available() if name not in ("tensorrt", "torch")]


@pytest.mark.parametrize("architecture", ["c2d", "ssz"])
def test_both_forms_say_the_same(architecture: str) -> None:
    network = lively(replace(TINY, architecture=architecture)).eval()
    width, height = TINY.input_size
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8))
    with torch.inference_mode():
        short = Deployed(network, probability=True).eval()(image)
        long = AsTrained(network)(image)
    assert long.shape == (1, 10, *TINY.fruxel.shape) and long.dtype == torch.float32
    labels, certain = labelled({"probability": long.numpy()})
    expected = labelled({"labels": short[0].numpy(), "probability": short[1].numpy()})
    assert (labels == expected[0]).mean() > 0.9999
    assert np.abs(certain.astype(int) - expected[1])[labels == expected[0]].max() <= 1
    assert (labels.dtype, certain.dtype) == (np.uint8, np.uint8)


def test_multiplications_are_those_of_the_convolutions() -> None:
    """They grow with the rows, and the last one alone is a good part of them."""
    small = facts(TINY)
    larger = facts(replace(TINY, rows=32))
    assert larger["parameters"] == small["parameters"]
    assert 1.9 < larger["macs"] / small["macs"] < 2.0  # all but what is one pixel for the whole image
    cells = int(np.prod(TINY.fruxel.shape))
    head = TINY.decoder[-1] * len(TINY.classes) * cells
    assert head < small["macs"] < 10 * head
    assert small["bytes"] == {DEPLOYED: 2 * cells, TRAINED: 4 * len(TINY.classes) * cells}


def test_forms_are_measured_in_turn_by_every_backend(monkeypatch) -> None:
    monkeypatch.setattr(voxel_forms, "in_own_process", lambda work, *args: work(*args))
    found = voxel_forms.measure(TINY, EXPORTED[:1], rounds=2, threads=1)
    both = found["engines"][EXPORTED[0]]
    assert set(both) == {DEPLOYED, TRAINED}
    assert both[DEPLOYED]["ratio"] == {"median": 1, "low": 1, "high": 1}
    assert both[TRAINED]["cpu"]["p50"] > 0 and both[DEPLOYED]["peak"] > both[DEPLOYED]["more"]
    lines = voxel_forms.table("tiny", found).splitlines()
    assert len(lines) == 4 and "GMAC" in lines[0]


def test_a_message_becomes_voxels_stage_by_stage(tmp_path, capsys) -> None:
    model, out = released(tmp_path / "tiny"), tmp_path / "result.json"
    words = ("benchmark", "ssz", "--model", model, "--parts", "stages,voxels", "--voxels", "10,300", "--rounds", 2)
    assert cli.main([str(word) for word in (*words, "--backends", "onnxruntime", "--json", out)]) == 0
    result = json.loads(out.read_text())
    stages = result["stages"]["onnxruntime"]["stages_ms"]
    assert set(stages) == {*voxel_stages.STAGES, voxel_stages.CPU}
    assert result["stages"]["onnxruntime"]["voxels"] > 0
    few, many = result["voxels"]["10"], result["voxels"]["300"]
    assert many["cloud"]["bytes"] - few["cloud"]["bytes"] == 290 * 20  # a point has 20 bytes
    assert many["cubes"]["bytes"] > few["cubes"]["bytes"] and many["ground"]["bytes"] == few["ground"]["bytes"]
    said = capsys.readouterr().out
    assert "an image of 1242x375" in said and "voxels" in said


def test_scattered_voxels_are_as_many_as_asked_for() -> None:
    voxels = voxel_stages.scattered(1234)
    assert voxels.occupied.sum() == 1234
    assert len(np.unique(voxels.labels)) == len(voxels.classes)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--parts", "graph"), "--parts is graph; expected of forms, stages, voxels"),
        (("--presets", "street,nowhere"), "--presets is nowhere"),
        (("--parts", "stages", "--model", "nowhere"), "nowhere"),
    ],
)
def test_what_is_not_there_is_refused(option: tuple[str, ...], said: str, capsys) -> None:
    assert cli.main(["benchmark", "ssz", *option]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "0", "12,x"])
def test_numbers_of_voxels_are_numbers(text: str, capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["benchmark", "ssz", "--voxels", text])
    assert "list of numbers of voxels" in capsys.readouterr().err


def test_models_that_are_only_a_file_will_do(tmp_path: Path, capsys) -> None:
    file = released(tmp_path / "tiny", probability=False) / "model.onnx"
    words = ("benchmark", "ssz", "--model", str(file), "--parts", "stages", "--rounds", "1")
    assert cli.main([*words, "--backends", "onnxruntime"]) == 0
    assert "onnxruntime" in capsys.readouterr().out
