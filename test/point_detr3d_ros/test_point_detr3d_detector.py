"""The detector puts the steps in order: whatever network says the truth, it returns the truth."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.detector import PointDETR3D, load_deployed
from point_detr3d_ros.student import Deployed, Student
from voxbox_core import weights
from voxbox_core.boxes import Axes, iou_3d
from voxbox_core.errors import InputError

HEIGHT = 1.7  # m


def cloud(count=500, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.uniform((-6, -6, -1.5), (6, 6, 1.5), (count, 3)), rng.uniform(0, 1, (count, 2))], 1
    ).astype(np.float32)


def told(boxes, **changes):
    """What a network that knows these boxes (network frame) would tell."""
    outputs = {
        "score": boxes.score,
        "label": boxes.label,
        "center": boxes.center,
        "size": boxes.size,
        "heading": np.stack([np.sin(boxes.yaw), np.cos(boxes.yaw)], 1) * 3,  # of any length
        **changes,
    }
    kinds = {"label": np.int64}
    return {name: np.asarray(value, kinds.get(name, np.float32))[None] for name, value in outputs.items()}


@pytest.fixture
def truth(scene):
    boxes = scene(0)
    boxes = boxes[np.linalg.norm(boxes.center[:, :2], axis=1) > boxes.size[:, 0] / 2]  # none around the LiDAR
    return replace(boxes, score=np.linspace(0.5, 0.9, len(boxes)))


def test_an_oracle_gives_the_truth_in_the_lidars_frame_best_first(contract, truth) -> None:
    detector = PointDETR3D(contract, lambda inputs: told(truth))
    found = detector(cloud(), HEIGHT)
    expected = replace(truth, center=truth.center - [0, 0, HEIGHT])[::-1]
    assert found.axes is Axes.BODY
    assert found.names() == expected.names()
    assert (np.diag(iou_3d(expected, found)) > 0.999).all()
    assert (np.diff(found.score) < 0).all()
    assert set(detector.stages) == {"pillars", "inference", "postprocess"}


def test_the_network_sees_the_cloud_with_ground_at_zero(contract, truth) -> None:
    seen = {}

    def run(inputs):
        seen.update(inputs)
        return told(truth)

    points = cloud(1)
    before = points.copy()
    PointDETR3D(contract, run)(points, HEIGHT)
    np.testing.assert_allclose(seen["features"][0, 0, :5], points[0] + [0, 0, HEIGHT, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(points, before)
    assert seen["cell"].dtype == np.int64


def test_an_empty_cloud_has_no_boxes_and_runs_nothing(contract) -> None:
    def run(inputs):
        raise AssertionError

    detector = PointDETR3D(contract, run)
    for points in (np.zeros((0, 5), np.float32), np.full((3, 5), np.nan, np.float32)):
        assert len(detector(points, HEIGHT)) == 0
        assert set(detector.stages) == {"pillars", "inference", "postprocess"}


def test_of_one_place_and_group_the_best_box_stays(contract, truth) -> None:
    twice = replace(
        truth, center=truth.center + np.array([0.1, 0, 0]), score=truth.score - 0.2, label=(truth.label + 1) % 6
    )
    both = type(truth).concatenate([truth, twice])
    one_group = PointDETR3D(contract, lambda inputs: told(both))(cloud(), HEIGHT)
    assert sorted(one_group.score) == pytest.approx(sorted(truth.score), abs=1e-6)
    apart = replace(contract, groups=tuple((name,) for name in contract.classes))
    assert len(PointDETR3D(apart, lambda inputs: told(both))(cloud(), HEIGHT)) == 2 * len(truth)


def test_the_vehicle_that_carries_the_lidar_is_no_object(contract, truth) -> None:
    def found(x):
        moved = replace(truth[[0]], center=np.array([[x, 0.0, 0.8]]), size=np.array([[4.0, 1.8, 1.6]]), yaw=np.zeros(1))
        return len(PointDETR3D(contract, lambda inputs: told(moved))(cloud(), HEIGHT))

    assert [found(x) for x in (0.0, 1.9, 2.1, -1.9, -2.1)] == [0, 0, 1, 0, 1]


def test_thresholds_by_class_or_one_for_all(contract, truth) -> None:
    run = lambda inputs: told(truth)  # noqa: E731
    one = PointDETR3D(contract, run, score_threshold=0.65)(cloud(), HEIGHT)
    assert len(one) == (truth.score >= 0.65).sum()
    wanted = int(truth.label[0])
    own = replace(contract, score_thresholds=tuple(0.0 if i == wanted else 1.0 for i in range(6)))
    assert set(PointDETR3D(own, run)(cloud(), HEIGHT).label) == {wanted}


def test_what_is_not_finite_or_of_no_size_goes_or_is_brought_back(contract, truth) -> None:
    size, center, heading = truth.size.copy(), truth.center.copy(), np.ones((len(truth), 2))
    size[0], size[1], center[2], heading[3] = np.inf, np.nan, np.nan, np.nan
    found = PointDETR3D(contract, lambda inputs: told(truth, size=size, center=center, heading=heading), 0.01)(
        cloud(), HEIGHT
    )
    assert len(found) <= len(truth) - 2
    for values in (found.size, found.center, found.yaw, found.score):
        assert np.isfinite(values).all()
    assert found.size.min() > 0
    assert found.size.max() <= 40


def test_overflow_is_counted(contract, truth) -> None:
    small = replace(contract, max_pillars=10, per_pillar=1)
    detector = PointDETR3D(small, lambda inputs: told(truth))
    points = cloud(2000)
    detector(points, HEIGHT)
    inside = contract.grid.contains(points + np.array([0, 0, HEIGHT, 0, 0]))
    assert detector.overflow.pillars > 0
    assert detector.overflow.points == inside.sum() - 10


@pytest.mark.parametrize(
    ("points", "height", "text"),
    [
        (np.zeros((3, 4), np.float32), 1.7, r"shape of the points is \(3, 4\)"),
        (np.zeros((3, 5), np.float32), np.nan, "height of the LiDAR is nan"),
    ],
)
def test_points_and_heights_of_another_form_are_refused(contract, points, height, text) -> None:
    with pytest.raises(InputError, match=text):
        PointDETR3D(contract, dict)(points, height)


def test_weights_and_contract_make_the_deployed_module(contract, tmp_path) -> None:
    torch.manual_seed(0)
    student = Student(contract).eval()
    weights.save(tmp_path / "weights.pt", student.state_dict(), contract.to_json())
    deployed = load_deployed(tmp_path / "weights.pt")
    assert Contract.from_json(deployed.metadata["contract"]) == contract
    inputs = torch.rand(7, contract.per_pillar, 10), torch.arange(7)
    with torch.no_grad():
        for found, expected in zip(deployed.module(*inputs), Deployed(student)(*inputs), strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_student_runs_on_any_number_of_pillars(contract, tmp_path, backend) -> None:
    pytest.importorskip(backend)
    export = pytest.importorskip("voxbox.export.onnx_graph")
    torch.manual_seed(0)
    student = Student(contract)
    weights.save(tmp_path / "weights.pt", student.state_dict(), contract.to_json())
    deployed, file = load_deployed(tmp_path / "weights.pt"), tmp_path / "model.onnx"
    example = torch.zeros(3, contract.per_pillar, 10), torch.arange(3)
    graph = deployed.module
    export.write_onnx(graph, example, Deployed.INPUTS, deployed.outputs, deployed.metadata, file, Deployed.DYNAMIC)
    detector = PointDETR3D.open(file, backend, threads=1, score_threshold=0.001)
    assert (detector.backend, detector.contract) == (backend, contract)

    def reference(inputs):
        with torch.no_grad():
            values = deployed.module(*(torch.from_numpy(inputs[name]) for name in ("features", "cell")))
        return {name: value.numpy() for name, value in zip(deployed.outputs, values)}

    twin = PointDETR3D(contract, reference, score_threshold=0.001)
    for count in (1, 40, 3000):
        found, expected = detector(cloud(count), HEIGHT), twin(cloud(count), HEIGHT)
        assert len(expected) > 0
        away = np.linalg.norm(found.center[:, None] - expected.center[None], axis=2)  # equal scores come in any order
        assert away.min(1).max(initial=0) < 1e-3
        np.testing.assert_allclose(found.score, expected.score, atol=1e-5)


def test_what_the_node_imports_does_without_torch() -> None:
    """PyTorch would take most of a node's start-up time and memory."""
    pytest.importorskip("rclpy")
    opened = "import sys, point_detr3d_ros.node; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", opened], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"
