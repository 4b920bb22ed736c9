"""voxbox evaluate point-detr3d: a perfect detector is perfect in every format, and only what can be known is judged."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from point_detr3d_ros.assist import Assist
from point_detr3d_ros.contract import CLASSES, Contract
from point_detr3d_ros.detector import PointDETR3D
from voxbox.cli import main
from voxbox.evaluation import command, rig_sources
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import Calibration, from_boxes, write_calib, write_labels
from voxbox_core.datasets.kitti_rig import KittiRig, to_camera
from voxbox_core.datasets.nuscenes import NuScenes
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.datasets.rig_folder import RigWriter

HEIGHT = 1.8
K = np.array([[700.0, 0, 620], [0, 700, 187], [0, 0, 1]])
CAMERA_FROM_LIDAR = np.array([[0.0, -1, 0, 0.0], [0, 0, -1, -0.1], [1, 0, 0, -0.3], [0, 0, 0, 1]])


def _boxes(number: int) -> Boxes3D:
    """Cars ahead, 12 of them, and two vans behind."""
    place = np.arange(14)
    ahead = np.column_stack([15.0 + 2 * place + number, 4.0 * (place % 5) - 8, np.full(14, -1.0)])
    ahead[12:, 0] *= -0.5
    return Boxes3D(
        center=ahead,
        size=np.tile([4.0, 1.6, 1.5], (14, 1)),
        yaw=np.linspace(-3, 3, 14),
        label=np.array([0] * 12 + [1] * 2),
        score=np.ones(14),
        box2d=np.full((14, 4), np.nan),
        classes=CLASSES,
        axes=Axes.BODY,
    )


def _points(number: int) -> np.ndarray:
    """The first tells the frame's number."""
    first = [[0.0, 0.0, float(number), 0.0, 0.0]]
    return np.vstack([first, np.column_stack([_boxes(number).center, np.zeros((14, 2))])]).astype(np.float32)


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch):
    """In place of a trained model: it knows the truth, of what anything has hit, and is `oracle.shift` m off."""

    class Oracle:
        backend, precision, contract = "oracle", "exact", Contract()
        truth: Callable[[np.ndarray], Boxes3D] = staticmethod(lambda points: _boxes(int(points[0, 2]))[:13])
        shift = 0.0
        heights: list[float] = []  # noqa: RUF012 - of this one oracle

        def __call__(self, points: np.ndarray, height: float) -> Boxes3D:
            assert points.shape[1] == 5
            self.heights.append(height)
            boxes = self.truth(points)
            score = np.linspace(0.9, 0.2, len(boxes))
            return replace(boxes, center=boxes.center + np.array([self.shift, 0, 0]), score=score)

    model = Oracle()
    model.heights = []
    monkeypatch.setattr("voxbox.evaluation.point_detr3d.model_path", Path)  # no released model is needed
    monkeypatch.setattr(PointDETR3D, "open", lambda *args, **kwargs: model)
    return model


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """Three frames; nothing has hit the last van of each; a fourth has no truth."""
    hits = np.array([9] * 13 + [0])
    for number in range(3):
        RigWriter(tmp_path / "rig").write(
            RigSample(str(number), _points(number), HEIGHT, boxes=_boxes(number), hits=hits)
        )
    RigWriter(tmp_path / "rig").write(RigSample("none", _points(0), HEIGHT))
    return tmp_path / "rig"


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """Four frames of what the camera sees, and one without a cloud."""
    root = tmp_path / "kitti"
    for part in ("velodyne", "calib", "label_2"):
        (root / part).mkdir(parents=True)
    calibration = Calibration.of_camera(K, CAMERA_FROM_LIDAR)
    for number in range(5):
        write_calib(root / "calib" / f"{number:06d}.txt", calibration)
        ahead = to_camera(_boxes(number)[:12], CAMERA_FROM_LIDAR)
        tall = np.column_stack([100.0 * np.arange(12), np.zeros(12), 100.0 * np.arange(12) + 90, np.full(12, 100.0)])
        rows = from_boxes(replace(ahead, box2d=tall), calibration, np.zeros(12), np.zeros(12, np.int64))
        write_labels(root / "label_2" / f"{number:06d}.txt", rows)
        if number < 4:
            _points(number)[:, :4].tofile(root / "velodyne" / f"{number:06d}.bin")
    return root


def _evaluate(tmp_path: Path, *arguments: str) -> dict:
    assert main(["evaluate", "point-detr3d", *arguments, "--json", str(tmp_path / "r.json")]) == 0
    return json.loads((tmp_path / "r.json").read_text())


def test_a_perfect_detector_is_perfect(rig, oracle, tmp_path, capsys) -> None:
    result = _evaluate(tmp_path, "--data", str(rig))
    assert (result["mAP"], result["SPNDS"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (result["Car/AP"], result["Van/AP/0.5"], result["Car/ATE"], result["Bus/AP"]) == (1.0, 1.0, 0.0, None)
    assert (result["frames"], result["objects"]["Car"], result["objects"]["Van"]) == (3, 36, 3)
    assert (result["backend"], result["rules"], "kitti" in result) == ("oracle", "street", False)
    assert result["rings"]["10-20"]["mAP"] == 1.0 and result["rings"]["0-10"]["mAP"] is None
    assert oracle.heights == [HEIGHT] * 3
    printed = capsys.readouterr().out
    assert "mAP 100.00, SPNDS 100.00" in printed and "Bus          no objects" in printed


def test_errors_are_those_of_the_detector(rig, oracle, tmp_path) -> None:
    oracle.shift = 0.8
    result = _evaluate(tmp_path, "--data", str(rig), "--limit", "2")
    assert result["frames"] == 2
    assert (result["Van/AP/0.5"], result["Van/AP/1"], result["Van/ATE"]) == (0.0, 1.0, pytest.approx(0.8))


def test_an_assistant_refines_the_best_boxes_and_sees_the_images(rig, oracle, tmp_path, monkeypatch) -> None:
    """The oracle's boxes are 0.8 m off; one that knows better puts them right."""
    seen = []

    class Corrector:
        contract, stages = Contract(), {"encode_lidar": 0.0, "encode_images": 0.0}

        def encode(self, points, height, views):
            seen.append((len(views), height))

        def refine(self, encoded, boxes):
            return replace(boxes, center=boxes.center - np.array([oracle.shift, 0, 0]), score=np.ones(len(boxes)))

    monkeypatch.setattr(Assist, "open", lambda *args, **kwargs: Corrector())
    oracle.shift, oracle.stages, oracle.best_of_each_place = 0.8, {}, lambda boxes: boxes
    image = View("front", np.zeros((8, 16, 3), np.uint8), Camera(K, 16, 8), CAMERA_FROM_LIDAR)
    RigWriter(rig).write(RigSample("seen", _points(3), HEIGHT, (image,), _boxes(3), np.array([9] * 13 + [0])))
    result = _evaluate(tmp_path, "--data", str(rig), "--fused", "corrector")
    assert (result["Van/AP/0.5"], result["Van/ATE"]) == (1.0, pytest.approx(0.0, abs=1e-9))
    assert result["fused"] == "corrector"
    assert sorted(seen) == [(0, HEIGHT)] * 3 + [(1, HEIGHT)]


def test_pictures_and_numbers_are_written(rig, oracle, tmp_path) -> None:
    out = tmp_path / "out"
    result = _evaluate(tmp_path, "--data", str(rig), "--out", str(out), "--examples", "2", "--limit", "3")
    assert json.loads((out / "metrics.json").read_text()) == result
    assert sorted(path.name for path in (out / "examples").iterdir()) == ["0.jpg", "2.jpg"]
    assert cv2.imread(str(out / "examples" / "2.jpg")).shape == (800, 800, 3)


def test_of_kitti_only_what_the_camera_sees_is_judged(kitti, oracle, tmp_path, capsys) -> None:
    """The vans behind, which nobody labelled, are found and do no harm; a frame without a cloud is told of."""
    out = tmp_path / "out"
    result = _evaluate(tmp_path, "--data", str(kitti), "--format", "kitti", "--out", str(out))
    assert result["mAP"] == pytest.approx(1.0) and result["objects"]["Van"] == 0
    assert result["kitti"]["Car/bev/0.7/moderate"] == 100 and result["kitti"]["Car/3d/0.7/moderate"] == 100
    assert result["kitti"]["objects"]["Car/moderate"] == 48
    assert "1 frames without a cloud" in capsys.readouterr().err
    rows = (out / "detections" / "000000.txt").read_text().splitlines()
    assert len(rows) == 12 and all(row.startswith("Car") for row in rows)
    edges = np.array([row.split()[4:8] for row in rows], float)
    assert (edges >= 0).all() and (edges[:, [0, 2]] <= 1241).all() and (edges[:, [1, 3]] <= 374).all()
    oracle.shift = 0.4
    shifted = _evaluate(tmp_path, "--data", str(kitti), "--format", "kitti")["kitti"]
    assert shifted["Car/bev/0.7/moderate"] < 100 == shifted["Car/bev/0.5/moderate"]


def test_folders_are_one_set_and_names_choose(rig, oracle, tmp_path) -> None:
    twin = tmp_path / "twin"
    twin.mkdir()
    for number in range(2):
        (twin / f"{number}.npz").symlink_to(rig / f"{number}.npz")
    assert _evaluate(tmp_path, "--data", str(rig), str(twin))["frames"] == 5
    (tmp_path / "names.txt").write_text("1\n")
    assert _evaluate(tmp_path, "--data", str(rig), str(twin), "--names", str(tmp_path / "names.txt"))["frames"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sweeps", "3"], "1 with --format rig"),
        (["--limit", "0"], "at least 1"),
        (["--score", "1"], "less than 1"),
        (["--format", "kitti"], "a KITTI layout"),
        (["--format", "nuscenes"], "one folder v1.0"),
        (["--format", "argoverse2"], "without sweeps"),
    ],
)
def test_bad_input_is_one_line(rig, oracle, arguments, message, capsys) -> None:
    assert main(["evaluate", "point-detr3d", "--data", str(rig), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error


def test_frames_without_truth_or_name(rig, oracle, tmp_path, capsys) -> None:
    for name, message in (("none", "at least 1"), ("nobody", "a frame of every folder")):
        (tmp_path / "names.txt").write_text(name)
        assert main(["evaluate", "point-detr3d", "--data", str(rig), "--names", str(tmp_path / "names.txt")]) == 2
        assert message in capsys.readouterr().err


def test_every_format_has_its_reader() -> None:
    assert tuple(rig_sources.FORMATS) == command.FORMATS


@pytest.mark.data
def test_real_frames_of_kitti_and_nuscenes(shared_data: Path, oracle, tmp_path) -> None:
    """The truth as detections: perfect."""
    full = KittiRig(shared_data / "kitti" / "lidar_only")
    samples = [full.read(i, views=False) for i in range(len(full))]
    samples.append(NuScenes(shared_data / "nuscenes" / "sample_ca9a282c")[0])
    known = {s.points.tobytes(): s.boxes[s.hits > 0] for s in samples if s.boxes is not None}
    oracle.truth = lambda points: known[points.tobytes()]
    for place, kind in (("kitti/lidar_only", "kitti"), ("nuscenes/sample_ca9a282c", "nuscenes")):
        result = _evaluate(tmp_path, "--data", str(shared_data / place), "--format", kind)
        assert result["mAP"] == pytest.approx(1.0), kind
        assert max(result[f"Car/{error}"] for error in ("ATE", "ASE", "AOE")) < 1e-6
    assert result["objects"]["Pedestrian"] == 10
