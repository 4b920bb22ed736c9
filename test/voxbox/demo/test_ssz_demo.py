"""SSZ's demo: from the messages of its node to pictures and scores, and the whole way through the node."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_ssz import TINY, released

from voxbox import cli
from voxbox.demo.replay import Replay
from voxbox.demo.ssz import FLOOR, VOXELS, make_artefacts
from voxbox.demo.voxel_answers import GRID, ground_in, voxels_in
from voxbox.report.voxel_scene import Ground, ground_picture
from voxbox_core.datasets.bag import Bag, Message, find_topics, write_drive
from voxbox_core.datasets.bag.types import POINTS
from voxbox_core.datasets.bag.writer import START
from voxbox_core.datasets.sample import Sample
from voxbox_core.datasets.voxel_folder import VoxelWriter
from voxbox_core.datasets.voxel_sample import VoxelSample
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN, Voxels

serialization = pytest.importorskip("rclpy.serialization")
pytest.importorskip("nav_msgs")

FILES = {"video.mp4", "voxels.png", "above.png", "side.png", "voxels.mcap", "metrics.json", "report.html"}
FRUXEL = TINY.fruxel
CAMERA = FRUXEL.camera(4)
CAR, GROUND, TREE = (CLASSES.index(name) for name in ("car", "ground", "tree"))
ALL = np.ones(FRUXEL.shape[1:], bool)


def street(shift: int = 0) -> Voxels:
    """Ground below, and a car and a tree on it."""
    labels = np.full(FRUXEL.shape, AIR, np.uint8)
    labels[4:, 12:] = GROUND
    labels[6:9, 8:12, 10 + shift : 15 + shift] = CAR
    labels[9, 4:12, 24] = TREE
    return Voxels(labels, FRUXEL, np.where(labels, np.uint8(200), np.uint8(0)))


def header(stamp: int, frame: str = "camera"):
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    return Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id=frame)


def cloud(voxels: Voxels, stamp: int, frame: str = "camera") -> Message:
    from msgs.voxels import voxel_cloud

    raw = serialization.serialize_message(voxel_cloud(voxels, voxels.occupied, header(stamp, frame)))
    return Message(VOXELS, POINTS, stamp, raw)


@pytest.fixture
def drive(tmp_path) -> Path:
    """Four frames at 10 Hz; those in the middle have truth, the second of which knows half of the grid alone."""
    rng = np.random.default_rng(0)
    path, writer = tmp_path / "drive.mcap", VoxelWriter(tmp_path / "drive.voxels")
    images = rng.integers(0, 255, (4, CAMERA.height, CAMERA.width, 3), np.uint8)
    stamps = [START + i / 10 for i in range(4)]
    write_drive(path, [Sample(str(i), images[i], CAMERA, stamp=stamps[i]) for i in range(4)])
    for i in (1, 2):
        truth = street().labels.copy()
        if i == 2:
            truth[:, :, :16] = UNKNOWN
        writer.write(VoxelSample(str(i), images[i], CAMERA, Voxels(truth, FRUXEL), stamp=stamps[i]))
    return path


def stamps_of(path: Path) -> list[int]:
    with Bag(path) as bag:
        return [m.stamp for m in bag.messages([find_topics(bag).image.name])]


def test_a_cloud_of_all_cells_is_the_grid_again() -> None:
    found = voxels_in(cloud(street(), 5), "camera", FRUXEL, CLASSES, ALL)
    np.testing.assert_array_equal(found.labels, street().labels)
    np.testing.assert_array_equal(found.probability, street().probability)
    assert voxels_in(cloud(street(), 5, "map"), "camera", FRUXEL, CLASSES, ALL) is None


def test_what_the_image_did_not_reach_is_unknown_and_a_model_may_be_silent_about_probability() -> None:
    seen = ALL.copy()
    seen[:, :5] = False
    labels = np.where(seen, street().labels, np.uint8(UNKNOWN))
    found = voxels_in(cloud(Voxels(labels, FRUXEL), 5), "camera", FRUXEL, CLASSES, seen)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.probability is None


def test_frames_are_scored_against_the_truth_beside_the_drive(drive, tmp_path) -> None:
    stamps, out = stamps_of(drive), tmp_path / "out"
    out.mkdir()
    with Bag(drive) as bag:
        frame = bag.decode(next(bag.messages([find_topics(bag).image.name]))).header.frame_id
    shifts = zip(stamps[1:], (0, 0, 3), strict=True)
    answers = [cloud(street(shift), stamp, frame) for stamp, shift in shifts]
    sent = dict.fromkeys(stamps, 1.0)
    replay = Replay(sent=sent, answered={m.stamp: 1.02 for m in answers}, outputs=answers)
    with Bag(drive) as bag:
        made = make_artefacts(out, bag, find_topics(bag), replay, 10.0, TINY)
    assert made.found == 3 * int(street().occupied.sum())
    assert made.verdict.scores is not None
    assert made.verdict.scores["frames"] == 2
    assert made.verdict.scores["scores"]["IoU"] == 1.0
    assert "mean IoU 1.000 of 2 frames" in made.verdict.line
    assert made.shown[1].title in ("Frame 2", "Frame 3")  # one with truth, though the first answer has as many cars
    assert "beside the truth" in made.shown[1].pictures[0].caption
    assert {p.name for p in out.iterdir()} == FILES - {"metrics.json", "report.html"}
    with Bag(out / "voxels.mcap") as bag:
        assert {t.name: t.count for t in bag.topics}[VOXELS] == 3


def test_truth_of_another_grid_costs_the_scores_alone(drive, tmp_path) -> None:
    other = replace(TINY, far=30.0)
    with Bag(drive) as bag:
        made = make_artefacts(tmp_path, bag, find_topics(bag), Replay(sent={1: 1.0}), 10.0, other)
    assert made.verdict.scores is None
    assert "one of far = 40.0; expected far = 30.0" in made.verdict.line


def test_truth_of_frames_that_were_not_answered_is_told(drive, tmp_path) -> None:
    with Bag(drive) as bag:
        made = make_artefacts(tmp_path, bag, find_topics(bag), Replay(sent={1: 1.0, 2: 1.1}), 10.0, TINY)
    assert made.verdict.line == "no frame with ground truth was answered: accuracy not measured"


def test_a_drive_without_truth_and_without_answers_is_still_a_film(drive, tmp_path) -> None:
    shutil.rmtree(drive.with_suffix(".voxels"))
    replay = Replay(sent=dict.fromkeys(stamps_of(drive), 1.0))
    with Bag(drive) as bag:
        made = make_artefacts(tmp_path, bag, find_topics(bag), replay, 10.0, TINY)
    assert (made.found, made.verdict.scores, len(made.shown)) == (0, None, 1)
    assert (tmp_path / "video.mp4").is_file()


@pytest.mark.parametrize("frame", ["camera", "base_link"])
def test_the_map_shows_what_is_ahead_above_and_what_is_left_on_the_left(frame) -> None:
    """For a grid in the camera's own frame, whose origin is turned, and for one in a level frame."""
    from geometry_msgs.msg import Point, Pose, Quaternion
    from nav_msgs.msg import MapMetaData, OccupancyGrid
    from scipy.spatial.transform import Rotation

    cells = np.full((20, 30), -1, np.int8)  # 10 m to each side, 30 m ahead
    cells[5, 25], cells[15, 10] = 100, 0  # right and far; left and near
    corner = np.array([0.0, -10.0, -1.5])
    turn = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]) if frame == "camera" else np.eye(3)
    x, y, z = (turn @ corner).tolist()
    qx, qy, qz, qw = Rotation.from_matrix(turn).as_quat().tolist()
    info = MapMetaData(resolution=1.0, width=30, height=20)
    info.origin = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
    message = OccupancyGrid(header=header(7, frame), info=info, data=cells.ravel().tolist())
    ground = ground_in(Message(FLOOR, GRID, 7, serialization.serialize_message(message)))
    np.testing.assert_array_equal(ground.cells, cells)
    assert ground.sensor == pytest.approx((0.0, 10.0))
    picture = ground_picture(ground).astype(int)
    red, green = picture[..., 0] - picture[..., 1], picture[..., 1] - picture[..., 0]
    (far, right), (near, left) = (np.argwhere(channel[:-30] > 50).mean(0) for channel in (red, green))
    assert far < near and left < picture.shape[1] / 2 < right


def test_a_ground_of_another_size_has_its_camera_where_it_is() -> None:
    picture = ground_picture(Ground(np.zeros((40, 50), np.int8), 0.5, (0.0, 10.0)))
    nose = np.argwhere((picture == 235).all(-1)).mean(0)
    assert nose[1] == pytest.approx(picture.shape[1] / 2, abs=2)


@pytest.mark.processes
@pytest.mark.skipif(
    not (shutil.which("ros2") or Path(sys.executable).with_name("ros2").is_file()),
    reason="no ros2 command: neither ROS 2 nor the environment of make setup",
)
def test_every_frame_goes_through_the_node(drive, tmp_path, capsys) -> None:
    model, out = released(tmp_path / "tiny"), tmp_path / "out"
    words = ["demo", drive, "--system", "ssz", "--model", model, "--out", out, "--lockstep"]
    assert cli.main([str(word) for word in words]) == 0
    assert {p.name for p in out.iterdir()} >= FILES
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["frames"] == {"in": 4, "out": 4, "dropped": 0}
    assert metrics["voxels"] > 0
    assert metrics["accuracy"]["frames"] == 2
    assert metrics["latency_ms"]["inference"]["count"] == metrics["latency_ms"]["end_to_end"]["count"] == 4
    page = (out / "report.html").read_text()
    assert "image to voxels" in page and "data:video/mp4;base64," in page
    assert "mean IoU" in capsys.readouterr().out


@pytest.mark.parametrize("option", [("--score-threshold", "0.5"), ("--clicks", "x.csv"), ("--points-topic", "/p")])
def test_options_of_other_systems_are_refused(drive, option, capsys) -> None:
    assert cli.main(["demo", str(drive), "--system", "ssz", *option]) == 2
    assert "expected nothing with --system ssz" in capsys.readouterr().err
