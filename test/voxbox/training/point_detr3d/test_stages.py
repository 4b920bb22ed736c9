"""The stages follow one another, resume to the same bits, learn from what they may see alone, and refuse the rest."""

import json
import shutil
import signal
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.pseudo_labels import read_pseudo_labels
from voxbox import cli
from voxbox.training import loop
from voxbox.training.point_detr3d.frames import RigFrames, split
from voxbox.training.point_detr3d.loop import Descent
from voxbox_core import weights
from voxbox_core.datasets.rig_folder import RigFolder, RigWriter
from voxbox_core.errors import InputError


def state(file):
    return weights.load(file).state


def alike(first, second):
    a, b = state(first), state(second)
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def test_all_stages_end_in_weights_and_pseudo_labels(options, data, tmp_path):
    out = tmp_path / "run"
    assert cli.main([*options(out), "--json", str(tmp_path / "result.json")]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["finished"] and result["stages"] == ["s0", "s1", "s2", "s3"]
    boxed = json.loads((out / "split.json").read_text())["frames_with_boxes"]
    assert len(boxed) == result["frames_with_boxes"] == 3  # int(30% of 12)
    for stage in ("s0", "s1", "s3"):
        assert Contract.from_json(weights.load(out / stage / "weights.pt").contract).x == (-12.8, 12.8)
        scores = json.loads((out / stage / "validation.json").read_text())["scores"]
        assert np.isfinite(list(scores.values())[:2]).all()
    frames = RigFrames([str(data)])
    weak = set(frames.names) - set(boxed)
    contract = Contract.from_json(weights.load(out / "s3" / "weights.pt").contract)
    labels = read_pseudo_labels(
        out / "s2/pseudo_labels.npz", weak, contract.classes, "30% of 12 frames by scene, seed 0"
    )
    assert all(len(label.boxes) == len(label.prompts) <= 4 for label in labels.values())
    assert sum(len(label.boxes) for label in labels.values()) > 27  # of 36; a click beyond the range has no box

    # Run again, nothing is left to do; a student from these pseudo labels alone is the same student.
    assert cli.main(["train", "point-detr3d", "--out", str(out), "--resume"]) == 0
    again = tmp_path / "again"
    borrowed = ["--stage", "s3", "--pseudo-labels", str(out / "s2/pseudo_labels.npz")]
    assert cli.main([*options(again), *borrowed]) == 0
    assert alike(out / "s3/weights.pt", again / "s3/weights.pt")

    # Pseudo labels that are damaged, or of other boxes, are refused before a step is made.
    (again / "bad.npz").write_bytes((out / "s2/pseudo_labels.npz").read_bytes()[:500])
    for number, (percent, file) in enumerate(((30, again / "bad.npz"), (60, out / "s2/pseudo_labels.npz"))):
        refused = tmp_path / f"refused{number}"
        arguments = options(refused, "--stage", "s3", "--pseudo-labels", file, "--labelled", percent)
        assert cli.main(arguments) == cli.INPUT_ERROR
        assert not (refused / "s3").exists()


@pytest.mark.parametrize("stage", ["s0", "s1"])
def test_an_interrupted_stage_resumes_to_the_same_bits(options, tmp_path, monkeypatch, stage):
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def start(out):
        return options(out, "--stage", "s0") if stage == "s0" else again(out)

    def again(out):
        return ["train", "point-detr3d", "--out", str(out), "--resume", "--stage", stage]

    if stage == "s1":
        for out in (whole, parts):
            assert cli.main(options(out, "--stage", "s0")) == 0
    assert cli.main(start(whole)) == 0

    descend, caught, calls = Descent.__call__, [], []

    def interrupted(self, batch, progress):
        calls.append(1)
        caught.extend([signal.SIGTERM] * (len(calls) == 3))
        return descend(self, batch, progress)

    monkeypatch.setattr(loop, "signals", lambda: nullcontext(caught))
    monkeypatch.setattr(Descent, "__call__", interrupted)
    assert cli.main(start(parts)) == 0
    assert not (parts / stage / "weights.pt").exists()
    monkeypatch.undo()
    assert cli.main(again(parts)) == 0
    assert alike(whole / stage / "weights.pt", parts / stage / "weights.pt")


def test_full_supervision_needs_no_teacher(options, tmp_path):
    out = tmp_path / "full"
    assert cli.main(options(out, "--labelled", 100, "--stage", "s3", "--compare", "none", "--no-cameras")) == 0
    assert (out / "s3/weights.pt").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stage", "s1"], "stage s0 is not done"),
        (["--stage", "s2"], "stage s1 is not done"),
        (["--stage", "s3"], "Run stage S2 again"),
        (["--labelled", 0], "labelled is 0"),
        (["--split", "chance"], "split is chance"),
        (["--split", "time"], "stamp of frame 0"),
        (["--compare", "some"], "compare is some"),
        (["--data", "/nowhere"], "/nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options, tmp_path, capsys, arguments, said):
    assert cli.main(options(tmp_path / "x", *arguments)) == cli.INPUT_ERROR
    error = capsys.readouterr().err.strip()
    assert said in error.splitlines()[-1]


def test_a_run_is_not_overwritten_and_not_changed(options, tmp_path, capsys):
    out = tmp_path / "run"
    assert cli.main(options(out, "--stage", "s0")) == 0
    assert cli.main(options(out, "--stage", "s0")) == cli.INPUT_ERROR
    assert cli.main(["train", "point-detr3d", "--out", str(out), "--resume", "--batch", "9"]) == cli.INPUT_ERROR
    assert "--resume" in capsys.readouterr().err
    (out / "s1").mkdir()
    (out / "s1" / "checkpoint.pt").write_bytes(b"nonsense")
    assert cli.main(["train", "point-detr3d", "--out", str(out), "--resume", "--stage", "s1"]) == cli.INPUT_ERROR
    assert "checkpoint" in capsys.readouterr().err


def test_splits_are_of_scenes_where_a_folder_tells_them(data, tmp_path):
    folder = tmp_path / "street"
    shutil.copytree(data, folder)
    (folder / "street.json").write_text(json.dumps({"moments": 3, "drive": False}))
    frames = RigFrames([str(folder)])
    chosen = split(frames, 25, 0, "scene")
    assert len(chosen.full) == 3 and len({i // 3 for i in chosen.full}) == 1
    assert sorted([*chosen.full, *chosen.weak]) == list(range(12))


def test_a_teacher_with_cameras_needs_images(options, data, tmp_path, capsys):
    folder, frames = tmp_path / "blind", RigFolder(data)
    for i in range(len(frames)):
        RigWriter(folder).write(replace(frames[i], views=()))
    out = tmp_path / "run"
    assert cli.main(options(out, "--data", folder)) == cli.INPUT_ERROR
    assert "Train with --no-cameras" in capsys.readouterr().err and (out / "s0/weights.pt").is_file()


def test_two_folders_of_one_name_are_refused(data):
    with pytest.raises(InputError, match="names"):
        RigFrames([str(data), str(data)])
