"""What voxbox evaluate is given wrongly is one line on stderr, status 2, and nothing half-written."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from voxbox.cli import main
from voxbox_core.datasets.bag import write_drive


@pytest.fixture
def refusal(tmp_path, capsys):
    """Runs a command that must be refused, asked to write; -> its one line. Nothing must have been written."""

    def run(*arguments: object) -> str:
        before = _files(tmp_path)
        outputs = ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "result.json")]
        assert main(["evaluate", *map(str, arguments), *outputs]) == 2
        lines = [part for line in capsys.readouterr().err.splitlines() for part in line.split("\r")]
        told = [line for line in lines if line.strip() and not line.startswith("detecting")]
        assert len(told) == 1, told
        assert _files(tmp_path) == before
        return told[0]

    return run


def _files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "label_2/3.txt",
            b"Car 0 0 0 1 2 3 4 1.5 1.6 4 0 1.6 20 west\n",
            "line 1: rotation_y is 'west'; expected a finite",
        ),
        ("label_2/3.txt", b"\xff\xfe\x00", "is not text; expected a text file"),
        ("label_2/3.txt", None, "is absent; expected a text file"),
        ("calib/3.txt", b"P2: 0 0 0 0 0 0 0 0 0 0 0 0\n", "P2 is [[0.0, 0.0"),
        ("calib/3.txt", b"P0: 1\n", "entry P2 is absent; expected P2: and 12 numbers"),
        ("image_2/3.png", b"\x89PNG cut short", "is unreadable; expected a whole png or jpg file"),
    ],
)
def test_a_broken_file_among_good_ones(data, oracle, refusal, file, content, message):
    path = data / file
    path.unlink() if content is None else path.write_bytes(content)
    told = refusal("km3d", "--data", data)
    assert str(path) in told
    assert message in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{data}", "--keypoints", "3"], "--keypoints is 3; expected among (2, 4, 8, 9)"),
        (["--data", "{data}", "--limit", "0"], "--limit is 0; expected at least 1"),
        (["--data", "{data}", "--examples", "-1"], "--examples is -1; expected at least 0"),
        (["--data", "{data}", "--score", "1.5"], "--score is 1.5; expected 0 or more"),
        (["--data", "{data}", "--score", "nan"], "--score is nan; expected 0 or more"),
        (["--data", "{data}", "{data}"], "given twice; expected each folder once"),
        (["--data", "{data}/label_2"], "image_2 is absent; expected a KITTI layout"),
        (["--bag", "{data}/none.mcap"], "none.mcap is absent; expected a ROS 2 bag"),
        (["--bag", "{data}/label_2/0.txt"], "is a .txt file; expected a ROS 2 bag"),
    ],
)
def test_impossible_requests(data, oracle, refusal, arguments, message):
    assert message in refusal("km3d", *(a.format(data=data) for a in arguments))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "list.txt is absent; expected a text file"),
        (b"\n", "list.txt is empty; expected one frame name per line"),
        (b"\xff\xfe1", "list.txt is not text; expected one frame name per line"),
        (b"1\n2\n1\n", "frame 1 in"),
        (b"1\n77\n", "77"),
    ],
)
def test_frame_lists_that_are_none(data, oracle, refusal, content, message):
    path = data / "list.txt"
    if content is not None:
        path.write_bytes(content)
    assert message in refusal("km3d", "--data", data, "--names", path)


def test_frames_of_a_bag_have_no_names(data, oracle, refusal):
    (data / "list.txt").write_text("1\n")
    assert "list.txt; expected absent with --bag" in refusal("km3d", "--bag", data, "--names", data / "list.txt")


@pytest.mark.parametrize(
    "option", [["--rules", "coco"], ["--keypoints", "two"], ["--limit", "many"], ["--colour", "red"]]
)
def test_unknown_options_and_values(data, oracle, option, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "km3d", "--data", str(data), *option])
    assert stop.value.code == 2
    assert option[1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nowhere"], "model is 'nowhere'; expected a path"),
        (["--model", "{data}"], "without manifest.yaml; expected a released model"),
        (["--model", "{data}/label_2/0.txt"], "expected a .onnx file or a model folder"),
        (["--model", "{data}/junk.onnx", "--backend", "onnxruntime"], "junk.onnx"),
        (["--model", "{data}/junk.onnx", "--backend", "abacus"], "backend is 'abacus'; expected auto or one of"),
    ],
)
def test_models_that_are_none(data, refusal, arguments, message):
    (data / "junk.onnx").write_bytes(b"no network")
    assert message in refusal("km3d", "--data", data, *(a.format(data=data) for a in arguments))


def test_unlabelled_frames_cannot_be_scored(data, oracle, refusal, tmp_path, frames):
    shutil.rmtree(data / "label_2")
    assert "label_2 is absent; expected label files" in refusal("km3d", "--data", data)
    write_drive(tmp_path / "drive.mcap", [replace(frames[0], boxes=None)])
    assert "truth in" in refusal("km3d", "--bag", tmp_path / "drive.mcap")


def test_a_bag_cut_short(oracle, refusal, tmp_path, frames):
    drive = tmp_path / "drive.mcap"
    write_drive(drive, frames[:3])
    drive.write_bytes(drive.read_bytes()[:-2000])
    assert "expected a whole ROS 2 recording" in refusal("km3d", "--bag", drive)


def test_a_folder_of_something_else_is_not_replaced(data, oracle, tmp_path, refusal):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    told = refusal("km3d", "--data", data)
    assert "is something else's; expected a new folder, or a former result with metrics.json" in told


def test_an_interrupted_run_leaves_nothing(data, oracle, tmp_path, monkeypatch):
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(oracle), "__call__", interrupt)
    before = _files(tmp_path)
    assert main(["evaluate", "km3d", "--data", str(data), "--out", str(tmp_path / "out")]) == 130
    assert _files(tmp_path) == before


def test_result_files_that_are_none(data, refusal, tmp_path):
    def told(detections: Path) -> str:
        return refusal("detections", "--truth", data, "--detections", detections)

    found = tmp_path / "found"
    assert "found is absent; expected a folder of KITTI result files" in told(found)
    found.mkdir()
    assert "found is without .txt files" in told(found)
    (found / "777.txt").write_text("")
    assert "expected some of those in" in told(found)
    assert "0.txt: score of object 1 is absent; expected 16 columns" in told(data / "label_2")
    (found / "0.txt").write_text("Car -1 -1 -10 1 2 3 4 1.5 1.6 4 0 1.6 20 0.1 nan\n")
    assert f"{found / '0.txt'}, line 1: score is 'nan'; expected a finite number" in told(found)
