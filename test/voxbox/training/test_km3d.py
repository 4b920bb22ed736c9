"""Training really learns, resumes to the same bits, stops when told, and refuses what it cannot use."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from km3d_ros.codec import cell_centers, decode_size, fit_location, to_pixels
from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D, load_deployed
from voxbox import cli
from voxbox.training import km3d
from voxbox.training.data import Draws
from voxbox_core import weights
from voxbox_core.boxes import Boxes3D, iou_3d
from voxbox_core.camera import Camera
from voxbox_core.datasets.augment import Augmentation
from voxbox_core.datasets.kitti import Calibration, KittiFolder, from_boxes, write_calib, write_labels
from voxbox_core.runtime.torch import Runner

CAMERA = Camera(np.array([[180.0, 0, 160.0], [0, 180.0, 40.0], [0, 0, 1]]), 320, 96)
FACES = ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7))
COLOURS = ((220, 60, 60), (60, 200, 60), (60, 60, 220), (220, 220, 60), (230, 230, 230))


def draw_frame(rng, folder, name):
    """Two cars of plain colours on grey, with true labels, in KITTI layout."""
    center = np.stack([rng.uniform(-6, -2, 2) * (1, -1), [0.85, 0.85], rng.uniform(11, 18, 2)], -1)
    yaw = rng.uniform(-np.pi, np.pi, 2)
    boxes = Boxes3D(center, np.tile([4.0, 1.7, 1.5], (2, 1)), yaw, [0, 0], [1, 1], np.zeros((2, 4)), ("Car",))
    uv, _ = CAMERA.project(boxes.corners())
    image = np.full((96, 320, 3), 90, np.uint8)
    image[:40] = 170
    for i in np.argsort(-center[:, 2]):
        depth = boxes.corners()[i, :, 2]
        for face in sorted(range(5), key=lambda f: -depth[list(FACES[f])].mean()):
            cv2.fillPoly(image, [np.round(uv[i, list(FACES[face])]).astype(np.int32)], COLOURS[face])
    box2d = np.concatenate([uv.min(1), uv.max(1)], -1)
    boxes = Boxes3D(center, boxes.size, yaw, [0, 0], [1, 1], box2d, ("Car",))
    calibration = Calibration.of_camera(CAMERA.intrinsics)
    write_calib(folder / "calib" / f"{name}.txt", calibration)
    write_labels(folder / "label_2" / f"{name}.txt", from_boxes(boxes, calibration, np.zeros(2), np.zeros(2)))
    (folder / "image_2").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "image_2" / f"{name}.png"), image[..., ::-1])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for i in range(4):
        draw_frame(rng, folder, f"{i:06d}")
    return folder


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def options(data, out, *more):
    return ["train", "km3d", "--data", data, "--out", out, "--preset", "tiny", "--cache", out.parent / "cache", *more]


def train(*arguments):
    return cli.main([str(a) for a in arguments])


def state(out):
    return weights.load(out / "weights.pt").state


@pytest.mark.slow
def test_the_tiny_preset_overfits_a_handful_of_frames(data, tmp_path):
    out = tmp_path / "run"
    assert train(*options(data, out, "--validation", data, "--validate-every", "1", "--json", tmp_path / "r.json")) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["finished"]
    assert json.loads((out / "validation.json").read_text())["scores"] == result["validation"]
    assert list(out.glob("events.*"))

    deployed = load_deployed(out / "weights.pt")
    detect = KM3D(Contract.from_json(deployed.metadata["contract"]), Runner(deployed), score_threshold=0.0)
    overlaps = []
    for sample in (KittiFolder(data)[i] for i in range(4)):
        overlaps += iou_3d(sample.boxes, detect(sample.image, sample.camera)[:4]).max(1).tolist()
    assert np.mean(overlaps) > 0.6, overlaps


def test_targets_of_an_augmented_view_lead_back_to_the_boxes(data):
    contract = Contract(input_width=320, input_height=96)
    draws = Draws(KittiFolder(data), 320, 96, Augmentation(), 1, km3d.Targets(contract))
    solved = 0
    for n in range(12):
        t = {name: torch.as_tensor(value)[None] for name, value in draws[n].items()}
        cells = cell_centers(t["index"], contract.grid_width)[..., None, :]
        keypoints = to_pixels(cells + t["hps"], t["grid_to_image"])
        size = decode_size(t["dim"], t["label"], contract)
        center, _ = fit_location(keypoints, size, t["yaw"], t["intrinsics"][:, None], t["hps_mask"])
        assert torch.allclose(center[t["valid"]], t["center"][t["valid"]], atol=2e-3)
        solved += int(t["valid"].sum())
    assert solved >= 12


def test_an_interrupted_run_resumes_to_the_same_weights(data, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(*options(data, whole, "--steps", 6)) == 0

    step, calls, caught = km3d._step, [], []

    def interrupted(*arguments):
        calls.append(1)
        caught.extend([signal.SIGTERM] * (len(calls) == 3))
        return step(*arguments)

    monkeypatch.setattr(km3d, "signals", lambda: nullcontext(caught))
    monkeypatch.setattr(km3d, "_step", interrupted)
    assert train(*options(data, parts, "--steps", 6, "--json", tmp_path / "r.json")) == 0
    assert json.loads((tmp_path / "r.json").read_text())["steps"] == 3
    assert (parts / "checkpoint.pt").exists() and not (parts / "weights.pt").exists()
    caught.clear()
    assert train("train", "km3d", "--out", parts, "--resume") == 0
    assert len(calls) == 6
    assert all(torch.equal(value, state(parts)[name]) for name, value in state(whole).items())


def test_a_run_begins_with_the_weights_of_another_and_gives_it_a_depth_head(data, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert train(*options(data, first, "--steps", 1)) == 0
    more = ["--steps", 1, "--initial", first / "weights.pt", "--depth-head", "--learning-rate", 1e-9, "--ema", 0]
    more += ["--seed", 1]
    assert train(*options(data, second, *more)) == 0
    before, after = state(first), state(second)
    assert after.keys() - before.keys() == {f"heads.depth.{n}" for n in ("0.weight", "0.bias", "2.weight", "2.bias")}
    for name in (n for n in before if n.endswith("weight")):
        torch.testing.assert_close(after[name], before[name], atol=1e-3, rtol=1e-3)
    (first / "weights.pt").unlink()
    assert train("train", "km3d", "--out", second, "--resume") == 0  # the checkpoint has all


def test_weights_of_other_classes_are_no_beginning(data, tmp_path, capsys):
    contract = Contract(classes=("Car",), mean_dims=((1.5, 1.6, 3.9),))
    weights.save(tmp_path / "w.pt", {}, contract.to_json())
    assert train(*options(data, tmp_path / "run", "--initial", tmp_path / "w.pt")) == 2
    assert "classes of" in capsys.readouterr().err


def test_a_run_of_minutes_ends_with_the_clock(data, tmp_path):
    out = tmp_path / "run"
    assert train(*options(data, out, "--minutes", 0.03, "--json", tmp_path / "r.json")) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["finished"] and 1.8 <= result["seconds"] < 60  # a busy machine may take long over one step


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_process_alone_reports(data, tmp_path, monkeypatch, capsys, rank):
    result = {"finished": False, "steps": 7, "weights": None}
    monkeypatch.setattr(km3d, "train", lambda *arguments: result)
    monkeypatch.setenv("RANK", str(rank))
    assert train(*options(data, tmp_path / "run", "--json", tmp_path / "r.json")) == 0
    assert (tmp_path / "r.json").exists() == (rank == 0)
    assert ("stopped after 7 steps; --resume goes on" in capsys.readouterr().out) == (rank == 0)


@pytest.mark.slow
def test_two_processes_train_together(data, tmp_path):
    out = tmp_path / "run"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2]
    verb = options(data, out, "--steps", 2, "--batch", 2, "--json", tmp_path / "r.json")
    command = [str(part) for part in (*launch, "-m", "voxbox.cli", *verb)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["steps"], result["images"]) == (2, 8)
    assert state(out)


def refusal(capsys, *arguments):
    assert train(*arguments) == 2
    return capsys.readouterr().err


def test_what_cannot_be_trained_is_refused_with_a_remedy(data, tmp_path, capsys):
    assert "folder" in refusal(capsys, *options(tmp_path / "nowhere", tmp_path / "a"))
    assert "recipe value batch is 0; expected" in refusal(capsys, *options(data, tmp_path / "b", "--batch", 0))
    unlabelled = tmp_path / "unlabelled"
    unlabelled.mkdir()
    for part in ("image_2", "calib"):
        (unlabelled / part).symlink_to(data / part)
    assert "boxes of 000000 is absent" in refusal(capsys, *options(unlabelled, tmp_path / "c"))
    assert "labels of" in refusal(capsys, *options(data, tmp_path / "c", "--validation", unlabelled))
    assert not (tmp_path / "c").exists()
    assert "recipe.json is absent" in refusal(capsys, "train", "km3d", "--out", tmp_path / "d", "--resume")


def test_a_run_folder_is_not_overwritten_and_its_recipe_not_changed(data, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(*options(data, out, "--steps", 1)) == 0
    assert "Add --resume" in refusal(capsys, *options(data, out))
    assert "['batch']" in refusal(capsys, "train", "km3d", "--out", out, "--resume", "--batch", 3)
    (out / "checkpoint.pt").write_bytes(b"spoilt")
    assert "checkpoint.pt is unreadable" in refusal(capsys, "train", "km3d", "--out", out, "--resume")


@pytest.mark.parametrize(
    ("spoilt", "line"),
    [("loss", r"loss is nan \(.*hm nan.*\); expected"), ("gradient", "gradient norm is nan; expected")],
)
def test_what_is_not_finite_ends_the_run_in_one_line_and_leaves_the_checkpoint(
    data, tmp_path, monkeypatch, capsys, spoilt, line
):
    total, calls = km3d.total, []

    def third_is_spoilt(terms, *arguments):
        calls.append(1)
        if len(calls) < 3:
            return total(terms, *arguments)
        if spoilt == "loss":
            return total({name: value * float("nan") for name, value in terms.items()}, *arguments)
        loss = total(terms, *arguments)
        loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss

    monkeypatch.setattr(km3d, "total", third_is_spoilt)
    out = tmp_path / "run"
    error = refusal(capsys, *options(data, out, "--steps", 6, "--checkpoint-minutes", 0))
    said = [text for text in error.splitlines() if text.startswith("voxbox train: ")]
    assert len(said) == 1 and re.search(line, said[0]) and "Lower the learning rate" in said[0]
    assert "Traceback" not in error
    kept = torch.load(out / "checkpoint.pt", weights_only=True)
    assert kept["step"] == 2
    assert all(value.isfinite().all() for value in kept["network"].values())
    assert not (out / "weights.pt").exists()
