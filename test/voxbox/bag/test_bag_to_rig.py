"""`voxbox bag rig`: clouds, images and clicks of a bag become frames for training, once and again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from point_detr3d_ros.label_file import AcceptedBox, append
from voxbox import cli
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import write_rig_drive
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.datasets.rig_folder import RigFolder

HEIGHT, START, FRAMES = 1.8, 100.0, 6
CAMERA = Camera(np.array([[30.0, 0, 20], [0, 30, 12], [0, 0, 1]]), 40, 24)
OPTICAL = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
TILT = 0.05  # rad, of the LiDAR: its nose is down


def _stamp(i: int) -> float:
    return START + i / 10


def _pose(i: int) -> np.ndarray:
    """Of the LiDAR in the world."""
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(TILT), 0, np.sin(TILT)], [0, 1, 0], [-np.sin(TILT), 0, np.cos(TILT)]]
    pose[:3, 3] = i, 0, HEIGHT
    return pose


def _box(x: float) -> Boxes3D:
    """A car of the world."""
    one, unknown = np.ones(1), np.full((1, 4), np.nan)
    zero = np.zeros(1)
    return Boxes3D(np.array([[x, 3, 0.8]]), np.array([[4, 1.8, 1.6]]), zero, zero, one, unknown, ("Car",), Axes.BODY)


def _sample(i: int, truth: bool) -> RigSample:
    rng = np.random.default_rng(i)
    world_from_lidar = _pose(i)
    lidar_from_world = np.linalg.inv(world_from_lidar)
    ground = np.c_[rng.uniform([i - 20, -20], [i + 20, 20], (4000, 2)), np.zeros(4000)]
    car = rng.uniform(-0.5, 0.5, (100, 3)) * [4, 1.8, 1.6] + [8 + i, 3, 0.8]
    points = np.r_[ground, car] @ lidar_from_world[:3, :3].T + lidar_from_world[:3, 3]
    cloud = np.c_[points, rng.uniform(0, 0.9, len(points)), np.zeros(len(points))].astype(np.float32)
    boxes = _box(8 + i).transformed(lidar_from_world[:3, :3], lidar_from_world[:3, 3], Axes.BODY) if truth else None
    view = View("CAM_FRONT", np.full((24, 40, 3), 90, np.uint8), CAMERA, OPTICAL)
    hits = np.full(1, 100) if truth else np.zeros(0, np.int64)
    return RigSample(f"{i}", cloud, HEIGHT, (view,), boxes, hits, None, _stamp(i), world_from_lidar)


def _clicked(i: int, name: str = "Car", x: float = 8.0) -> AcceptedBox:
    """Of the box that stands x m ahead in frame i, in the tilted LiDAR's frame."""
    lidar_from_world = np.linalg.inv(_pose(i))
    box = _box(x + i).transformed(lidar_from_world[:3, :3], lidar_from_world[:3, 3], Axes.BODY)
    center = tuple(box.center[0])
    return AcceptedBox(_stamp(i), "lidar", name, center, (4, 1.8, 1.6), box.yaw[0], center, 0.7, "clicked_point")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "drive.mcap"
    write_rig_drive(path, (_sample(i, truth=False) for i in range(FRAMES)), "png")
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Two clicks in frame 1, one in frame 4, and one of another drive."""
    path = tmp_path / "labels.jsonl"
    for box in (_clicked(1), _clicked(1, "Pedestrian", -6.0), _clicked(4), replace(_clicked(4), stamp=7.0)):
        append(path, box)
    return path


def _run(*words: object) -> int:
    return cli.main(["bag", "rig", *map(str, words)])


def test_clicks_become_prompts_and_in_complete_frames_boxes(bag: Path, labels: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "frames"
    result = tmp_path / "result.json"
    assert _run(bag, "--out", out, "--labels", labels, "--complete", "000001", "000002", "--json", result) == 0
    folder = RigFolder(out)
    assert folder.names == tuple(f"{i:06d}" for i in range(FRAMES))
    samples = [folder[i] for i in range(FRAMES)]
    assert [None if s.boxes is None else len(s.boxes) for s in samples] == [None, 2, 0, None, None, None]
    assert [None if s.prompts is None else len(s.prompts) for s in samples] == [None, 2, 0, None, 1, None]
    assert all(len(s.views) == 1 and s.height == pytest.approx(HEIGHT, abs=0.03) for s in samples)
    boxes, prompts = samples[1].boxes, samples[1].prompts
    assert boxes is not None and prompts is not None
    assert boxes.names() == ["Car", "Pedestrian"]
    # The samples' frame is level, so that boxes come back to where they stand in the world.
    np.testing.assert_allclose(boxes.center, [[8, 3, 0.8 - HEIGHT], [-6, 3, 0.8 - HEIGHT]], atol=1e-3)
    np.testing.assert_allclose(prompts.points, boxes.center)
    assert samples[1].hits[0] > 90 and samples[1].hits[1] < samples[1].hits[0]
    told = json.loads(result.read_text())
    assert told["boxes"] == {"Car": 1, "Pedestrian": 1} and told["prompts"] == {"Car": 2, "Pedestrian": 1}
    assert (told["frames"], told["frames_with_boxes"], told["frames_with_prompts_alone"]) == (FRAMES, 2, 1)
    assert (told["labels"], told["labels_without_frame"]) == (4, 1)
    assert "labels of no cloud: 1, the first at 7.000000 s" in capsys.readouterr().out


def test_what_is_there_stays_and_what_was_clicked_since_is_added(bag: Path, labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    result = tmp_path / "result.json"

    def written(*options: object) -> int:
        assert _run(bag, "--out", out, "--labels", labels, *options, "--json", result) == 0
        return json.loads(result.read_text())["written"]

    assert written() == FRAMES
    (out / "000003.npz").unlink()  # as if it had been interrupted
    before = {path.name: path.read_bytes() for path in out.glob("*.npz")}
    assert written() == 1
    assert all((out / name).read_bytes() == data for name, data in before.items())
    append(labels, _clicked(0, "Bus"))  # a class that no frame has had
    assert written() == 1
    assert written("--complete") == 3
    assert written("--complete") == 0
    assert written() == 3
    append(labels, _clicked(4, x=8.3))  # at the place of the former one
    assert written() == 1
    assert len(RigFolder(out).header(4).prompts) == 1
    with labels.open("a") as file:
        file.write('{"stamp": 1')
    assert written() == 0
    assert json.loads(result.read_text())["lines_cut_off"] == [7]


def test_clouds_with_clicks_are_always_among_them(bag: Path, labels: Path, tmp_path: Path) -> None:
    assert _run(bag, "--out", tmp_path / "a", "--labels", labels, "--every", 3, "--no-cameras") == 0
    folder = RigFolder(tmp_path / "a")
    assert folder.names == ("000000", "000001", "000003", "000004")
    assert folder[0].views == ()
    assert _run(bag, "--out", tmp_path / "b", "--labels", labels, "--only-clicked", "--height", 1.5) == 0
    folder = RigFolder(tmp_path / "b")
    assert folder.names == ("000001", "000004") and folder[0].height == 1.5


def test_recorded_truth_is_kept_unless_it_is_not_wanted(labels: Path, tmp_path: Path) -> None:
    bag = tmp_path / "truth.mcap"
    write_rig_drive(bag, (_sample(i, truth=True) for i in range(2)), "png")
    assert _run(bag, "--out", tmp_path / "a", "--labels", labels, "--complete") == 0
    folder = RigFolder(tmp_path / "a")
    assert [folder[i].boxes.names() for i in range(2)] == [["Car"], ["Car"]]
    assert folder[0].prompts is None and len(folder[1].prompts) == 2
    assert _run(bag, "--out", tmp_path / "b", "--no-truth") == 0
    assert RigFolder(tmp_path / "b")[0].boxes is None


def test_labels_in_another_frame_are_carried_over_by_tf(bag: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    box = _box(8 + 2.0)  # odom is where the drive began
    center = tuple(box.center[0])
    append(path, AcceptedBox(_stamp(2), "odom", "Car", center, (4, 1.8, 1.6), 0.0, center, 1.0, ""))
    assert _run(bag, "--out", tmp_path / "a", "--labels", path, "--complete", "--only-clicked") == 0
    found = RigFolder(tmp_path / "a")[0].boxes
    np.testing.assert_allclose(found.center, [[8, 3, 0.8 - HEIGHT]], atol=1e-3)
    append(path, replace(_clicked(3), frame_id="moon"))
    assert _run(bag, "--out", tmp_path / "b", "--labels", path) == cli.INPUT_ERROR


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--every", 0], "--every is 0"),
        (["--height", -1], "--height is -1"),
        (["--complete"], "--complete is given without --labels"),
        (["--labels", "nowhere.jsonl"], "nowhere.jsonl is not readable"),
        (["--points", "/other"], "/other"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    bag: Path, tmp_path: Path, capsys, words: list[object], said: str
) -> None:
    assert _run(bag, "--out", tmp_path / "x", *words) == cli.INPUT_ERROR
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_labels_of_another_bag_and_folders_of_another_are_refused(bag: Path, labels: Path, tmp_path: Path, capsys):
    strange = tmp_path / "strange.jsonl"
    append(strange, replace(_clicked(1), stamp=5.0))
    assert _run(bag, "--out", tmp_path / "x", "--labels", strange) == cli.INPUT_ERROR
    assert (
        "5.000 to 5.000 s, none of them a cloud's; expected those of /lidar/points, 100.000" in capsys.readouterr().err
    )
    assert _run(bag, "--out", tmp_path / "x", "--labels", labels) == 0
    assert _run(bag, "--out", tmp_path / "x", "--labels", labels, "--height", 2) == cli.INPUT_ERROR
    assert _run(bag, "--out", tmp_path / "x", "--labels", labels, "--complete", "000009") == cli.INPUT_ERROR
    assert "000009; expected a frame from 000000 to 000005" in capsys.readouterr().err
