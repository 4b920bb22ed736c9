"""voxbox evaluate: a perfect detector scores 100, files score as the run that wrote them."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D
from km3d_ros.geometry import project_keypoints
from voxbox.cli import main
from voxbox.evaluation.detect import PLAIN, detect_with
from voxbox_core.datasets.bag import write_drive
from voxbox_core.datasets.kitti import read_labels, write_labels


def test_a_perfect_detector_scores_100(data, oracle, tmp_path, capsys):
    assert main(["evaluate", "km3d", "--data", str(data), "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    for key in ("Car/3d/0.7/moderate", "Car/bev/0.5/easy", "Car/2d/0.7/hard", "Car/aos/0.7/moderate"):
        assert result[key] == 100
    assert result["Cyclist/3d/0.5/easy"] is None
    assert (result["frames"], result["objects"]["Car/easy"], result["backend"]) == (5, 60, "oracle")
    printed = capsys.readouterr().out
    assert "kitti_r40, 5 frames" in printed
    assert "3D       > 0.7      100.00    100.00    100.00" in printed
    assert "Cyclist      no objects" in printed


def test_what_is_written_scores_as_the_run_that_wrote_it(data, oracle, tmp_path):
    oracle.shift = 0.33
    out = tmp_path / "out"
    assert main(["evaluate", "km3d", "--data", str(data), "--out", str(out), "--examples", "2"]) == 0
    first = json.loads((out / "metrics.json").read_text())
    assert 0 < first["Car/3d/0.7/easy"] < 100 == first["Car/3d/0.5/easy"]
    assert sorted(p.name for p in (out / "examples").iterdir()) == ["0.jpg", "4.jpg"]
    assert cv2.imread(str(out / "precision_recall.png")) is not None
    arguments = ["evaluate", "detections", "--truth", str(out / "truth"), "--detections", str(out / "detections")]
    assert main([*arguments, "--json", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    for key in (k for k in first if k.startswith("Car/")):
        assert again[key] == pytest.approx(first[key], abs=0.01), key


def test_folders_are_one_set(data, oracle, tmp_path, frames, write_folder):
    other = write_folder(tmp_path / "other", frames[:2])
    out = tmp_path / "out"
    assert main(["evaluate", "km3d", "--data", str(data), "--data", str(other), "--out", str(out)]) == 0
    result = json.loads((out / "metrics.json").read_text())
    assert (result["frames"], result["objects"]["Car/easy"]) == (7, 84)
    assert {"data_0.txt", "other_0.txt"} <= {p.name for p in (out / "detections").iterdir()}


def test_some_frames_alone(data, oracle, tmp_path):
    (tmp_path / "list.txt").write_text("1\n3\n")
    for option in (["--limit", "2"], ["--names", str(tmp_path / "list.txt")]):
        assert main(["evaluate", "km3d", "--data", str(data), *option, "--json", str(tmp_path / "r.json")]) == 0
        assert json.loads((tmp_path / "r.json").read_text())["frames"] == 2


def test_a_bag_with_truth_is_evaluated(oracle, tmp_path, frames):
    write_drive(tmp_path / "drive.mcap", iter(frames[:3]))
    arguments = ["evaluate", "km3d", "--bag", str(tmp_path / "drive.mcap"), "--rules", "kitti_r11"]
    assert main([*arguments, "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["frames"], result["rules"]) == (3, "kitti_r11")
    assert result["Car/3d/0.7/easy"] == pytest.approx(100 * 9 / 11, abs=1e-3)  # 36 objects reach samples 0, 4 .. 32


def test_keypoint_variants_place_the_boxes_anew(frames):
    """From exact keypoints every subset finds the true centre, whatever the graph said; behind the camera is none."""
    truth = frames[0].boxes
    count = len(truth)
    size, yaw = torch.from_numpy(truth.size), torch.from_numpy(truth.yaw)
    keypoints = project_keypoints(
        torch.from_numpy(truth.center), size, yaw, torch.from_numpy(frames[0].camera.intrinsics)
    )
    keypoints[-1] = 2 * keypoints[-1, 8] - keypoints[-1]  # upside down: the solution is behind the camera
    said = {"size": size, "yaw": yaw, "keypoints": keypoints, "center": torch.from_numpy(truth.center) + 1}
    said |= {"score": torch.linspace(0.9, 0.5, count), "label": torch.zeros(count), "box2d": torch.zeros(count, 4)}
    outputs = {name: value.numpy()[None].astype(np.float32) for name, value in said.items()}
    contract = Contract(input_width=128, input_height=64)
    found = detect_with(KM3D(contract, lambda inputs: outputs), (2, 4, 8, 9))(frames[0])
    np.testing.assert_allclose(found[PLAIN].center, truth.center + 1, atol=1e-5)
    for variant in ("2", "4", "8", "9"):
        assert len(found[variant]) == count - 1
        np.testing.assert_allclose(found[variant].center, truth.center[:-1], atol=1e-3)
    outputs["depth"] = np.tile(np.float32([1.0, 0.5]), (1, count, 1))
    both = detect_with(KM3D(replace(contract, depth_head=True), lambda inputs: outputs), (8,))(frames[0])
    np.testing.assert_allclose(both["8 without depth head"].center, truth.center[:-1], atol=1e-3)
    np.testing.assert_allclose(both["8"].center[:, 2], (truth.center[:-1, 2] + 1.0) / 2, atol=1e-3)


def test_frames_without_result_count_as_misses_and_are_told(data, tmp_path, capsys):
    for name, source in (("0", "0"), ("1", "1"), ("99", "1")):
        rows = read_labels(data / "label_2" / f"{source}.txt")
        write_labels(tmp_path / "found" / f"{name}.txt", replace(rows, score=np.linspace(0.5, 0.9, len(rows))))
    arguments = ["--truth", str(data), "--detections", str(tmp_path / "found"), "--json", str(tmp_path / "r.json")]
    assert main(["evaluate", "detections", *arguments]) == 0
    printed = capsys.readouterr().err
    assert "3 frames have no result file" in printed
    assert "1 result files have no label file" in printed
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["frames"], result["frames_without_result"], result["results_without_truth"]) == (5, 3, 1)
    assert result["Car/3d/0.7/easy"] == pytest.approx(37.5, abs=2.6)  # 24 of 60: recall 0.4, of samples above 0
