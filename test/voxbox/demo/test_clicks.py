"""Where a demo clicks, and what it makes of the answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voxbox.demo.click_results import clicks_summary, results_of
from voxbox.demo.clicks import Asked, Click, OnDisplay, clicks_at, read_clicks
from voxbox.demo.distance_verdict import Accuracy
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Message
from voxbox_core.datasets.rig import RigSample, View, points_in_boxes
from voxbox_core.errors import InputError

CLASSES = ("Car", "Cyclist")
CAMERA = Camera(np.array([[60.0, 0, 63.5], [0, 60, 31.5], [0, 0, 1]]), 128, 64)
BEHIND = np.array([[0, 1, 0, 0], [0, 0, -1, 0], [-1, 0, 0, 0], [0, 0, 0, 1.0]])


def boxes(*rows: tuple[float, float, int], scores: list[float] | None = None) -> Boxes3D:
    """Of x, y and label."""
    count = len(rows)
    center = np.array([(x, y, -1.0) for x, y, _ in rows]).reshape(-1, 3)
    label = [label for *_, label in rows]
    blank = np.full((count, 4), np.nan)
    size = [[4.0, 1.8, 1.4]] * count
    return Boxes3D(center, size, np.zeros(count), label, scores or np.ones(count), blank, CLASSES, Axes.BODY)


def sample(truth: Boxes3D | None, objects: Boxes3D, returns: int = 40) -> RigSample:
    """A LiDAR 1.7 m above the ground that has met every object so often."""
    rng = np.random.default_rng(0)
    ground = np.c_[rng.uniform(-30, 30, (2000, 2)), np.full(2000, -1.75)]
    met = objects.center[:, None] + rng.uniform(-0.5, 0.5, (len(objects), returns, 3)) * objects.size[:, None]
    xyz = np.concatenate([ground, met.reshape(-1, 3)])
    points = np.c_[xyz, np.zeros((len(xyz), 2))].astype(np.float32)
    hits = np.full(0 if truth is None else len(truth), returns)
    return RigSample("0", points, 1.7, (), truth, hits)


def shown(of: RigSample, last: bool = False) -> OnDisplay:
    return OnDisplay(of, "lidar", np.eye(3), last=last)


SCENE = boxes((8, 3, 0), (-9, 2, 1), (14, -3, 0), (5, -6, 0), (20, 8, 0))


def test_clicks_fall_on_returns_of_the_truth_and_each_kind_has_its_turn():
    clicks = clicks_at(shown(sample(SCENE, SCENE)), None)
    assert sorted(click.what for click in clicks[:2]) == ["Car", "Cyclist"]
    assert [click.name for click in clicks] == [*(click.what for click in clicks[:3]), ""]
    for click in clicks:
        assert click.truth is not None
        assert points_in_boxes(click.place[None], click.truth).all()
        assert click.truth.names() == [click.what]
    assert clicks_at(shown(sample(SCENE, SCENE)), None, ["Cyclist", "Cyclist"])[0].what == "Car"


def test_without_truth_clicks_fall_on_the_best_of_what_the_node_found():
    found = replace(SCENE, score=np.array([0.2, 0.1, 0.9, 0.5, 0.7]))
    clicks = clicks_at(shown(sample(None, SCENE)), found, ["Cyclist"] * 9)
    assert [points_in_boxes(click.place[None], found)[:, 0].argmax() for click in clicks] == [2, 4, 3, 0]
    assert all(click.truth is None for click in clicks)
    assert clicks_at(shown(sample(None, SCENE)), None) == []


def test_what_nobody_sees_is_not_clicked_at_and_what_a_camera_sees_comes_first():
    far = boxes((80, 0, 0), (8, 3, 0))
    assert len(clicks_at(shown(sample(far, far)), None)) == 1
    assert clicks_at(shown(sample(SCENE, SCENE, returns=3)), None) == []
    view = View("CAM_BACK", np.zeros((64, 128, 3), np.uint8), CAMERA, BEHIND)
    clicks = clicks_at(shown(replace(sample(SCENE, SCENE), views=(view,))), None, ["Cyclist"] * 9)
    assert [click.what for click in clicks] == ["Cyclist", "Car", "Car", "Car"]


def test_the_last_frame_has_a_click_far_from_anything():
    of = sample(SCENE, SCENE)
    *_, click = clicks_at(shown(of, last=True), None)
    assert (click.what, click.name, click.truth) == ("nothing", "", None)
    assert np.linalg.norm(SCENE.center - click.place, axis=1).min() > 8
    assert clicks_at(shown(sample(None, SCENE), last=True), None)[0].what == "nothing"


def test_given_clicks_are_read(tmp_path: Path):
    file = tmp_path / "clicks.csv"
    file.write_text("frame,x,y,z,class\n3,1.5,-2,0.1,Car\n0,4,5,6,\n3,7,8,9,\n")
    clicks = read_clicks(file)
    assert {frame: [click.name for click in own] for frame, own in clicks.items()} == {3: ["Car", ""], 0: [""]}
    np.testing.assert_array_equal(clicks[3][0].place, [1.5, -2, 0.1])
    given = OnDisplay(sample(SCENE, SCENE), "lidar", np.eye(3), clicks[3])
    assert clicks_at(given, None) == list(clicks[3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y,z\n1,2,3\n", "first line"),
        ("frame,x,y,z,class\n", "is none; expected at least one line"),
        ("frame,x,y,z,class\n1,2,three,4,Car\n", "line 2 of"),
        ("frame,x,y,z,class\n1,2,3,4,\n-1,2,3,4,\n", "line 3 of"),
        ("frame,x,y,z,class\n1,2,nan,4,\n", "line 2 of"),
        ("frame,x,y,z,class\n1,2\n", "line 2 of"),
    ],
)
def test_clicks_that_are_none_are_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "clicks.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_clicks(tmp_path / "clicks.csv")


def test_answers_are_held_against_the_truth(tmp_path: Path):
    truth = SCENE[[0]]
    moved = replace(truth, center=truth.center + np.array([0, 0.9, 0]))
    said = {b"same": truth, b"aside": moved, b"none": truth[[]]}
    click = Click(np.array([8.0, 3, -1]), "Car", "Car", truth)
    answers = [Message("/assist/detections", "", 0, raw) for raw in said]
    asked = [
        *(Asked(stamp, click, m, 0.01, "" if len(said[m.raw]) else "score") for m, stamp in zip(answers, (1, 2, 2))),
        Asked(2, click, refusal="no answer"),
    ]
    results = results_of(asked, lambda message: said[message.raw])
    assert [result.number for result in results] == [1, 1, 2, 3]
    assert [result.overlap for result in results] == [pytest.approx(1), pytest.approx(1 / 3), None, None]
    assert [result.away for result in results[:2]] == [0, pytest.approx(0.9)]
    assert [result.told for result in results[2:]] == [
        "click 2 (Car): refused: score, 10 ms",
        "click 3 (Car): refused: no answer",
    ]
    numbers, lines = clicks_summary(results, tmp_path / "absent.jsonl")
    assert [numbers["clicks"][key] for key in ("asked", "answered", "accepted")] == [4, 2, 0]
    assert numbers["clicks"]["click_to_box_ms"]["count"] == 3
    assert numbers["clicks"]["mean_iou_3d"] == pytest.approx(2 / 3, abs=1e-3)
    assert lines[0] == "4 clicks: 2 answered with a box, 2 refused; 0 boxes accepted into absent.jsonl"
    assert clicks_summary([], tmp_path / "absent.jsonl")[1] == [
        "no clicks: nothing was found to click at (or give --clicks)"
    ]


def test_perfect_boxes_of_a_rig_score_everything_and_unanswered_frames_do_not_count():
    accuracy = Accuracy()
    assert accuracy.verdict().scores is None
    accuracy.add(sample(SCENE, SCENE), None)
    assert "no ground truth" in accuracy.verdict().line
    accuracy.add(sample(SCENE, SCENE), SCENE)
    accuracy.add(sample(None, SCENE), SCENE)
    verdict = accuracy.verdict()
    assert verdict.scores is not None
    assert (verdict.scores["mAP"], verdict.scores["SPNDS"], verdict.scores["frames"]) == (100, 100, 1)
    assert [row[:2] for row in verdict.section.tables[0].rows] == [["Car", 4], ["Cyclist", 1]]
