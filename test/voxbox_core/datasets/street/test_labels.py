"""The street world's labels: a solid box as the object, so that every number is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voxbox_core.boxes import CORNER_SIGNS
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import Calibration, KittiFolder, label_rows, read_labels, to_boxes, write_labels
from voxbox_core.datasets.sample import Sample
from voxbox_core.datasets.street.labels import Object, annotate, extent, occlusion

CAMERA = Camera(np.array([[700.0, 0, 620], [0, 700, 187], [0, 0, 1]]), 1242, 375)
SIZE = np.array([4.0, 1.8, 1.5])
QUADS = [(0, 1, 5, 4), (2, 3, 7, 6), (1, 2, 6, 5), (3, 0, 4, 7), (4, 5, 6, 7), (3, 2, 1, 0)]


def _object(x: float, z: float, rotation_y: float = 0.3, visible: int = 500, alone: int = 500) -> Object:
    """A solid box whose bottom face is 1.6 m below the camera."""
    cos, sin = np.cos(rotation_y), np.sin(rotation_y)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[cos, 0, -sin], [sin, 0, cos], [0, -1, 0]]).T
    pose[:3, 3] = [x, 1.6, z]
    corners = CORNER_SIGNS * SIZE / 2 + [0, 0, SIZE[2] / 2]
    triangles = np.array([[corners[a], corners[b], corners[c]] for q in QUADS for a, b, c in (q[:3], (q[0], *q[2:]))])
    return Object("Car", SIZE, pose, triangles, visible, alone)


@pytest.mark.parametrize("rotation_y", [0.0, 1.2, -2.5])
def test_2d_box_is_that_of_the_3d_box_and_a_persons_as_wide_as_the_person(rotation_y: float) -> None:
    truth = annotate([_object(2.0, 14.0, rotation_y)], CAMERA)
    assert truth.boxes.yaw == pytest.approx([rotation_y])
    assert truth.boxes.bottom_center()[0] == pytest.approx([2.0, 1.6, 14.0])
    uv, _ = CAMERA.project(truth.boxes.corners()[0])
    assert truth.boxes.box2d[0] == pytest.approx(np.concatenate([uv.min(0), uv.max(0)]))
    assert truth.truncation[0] == 0
    thin = replace(_object(2.0, 14.0, rotation_y), kind="Pedestrian")
    thin = replace(thin, triangles=thin.triangles * [0.5, 0.5, 0.9])
    box2d, whole = annotate([thin], CAMERA).boxes.box2d[0], truth.boxes.box2d[0]
    assert box2d[[1, 3]] == pytest.approx(whole[[1, 3]])
    assert box2d[2] - box2d[0] == pytest.approx((whole[2] - whole[0]) / 2, rel=0.1)


def test_a_2d_box_is_that_of_the_label_however_the_road_is_tilted() -> None:
    item = _object(1.0, 12.0)
    pitch = np.radians(3.0)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(pitch), -np.sin(pitch)], [np.sin(pitch), np.cos(pitch)]]
    truth = annotate([replace(item, camera_from_object=turn @ item.camera_from_object)], CAMERA)
    uv, _ = CAMERA.project(truth.boxes.corners()[0])
    assert truth.boxes.box2d[0] == pytest.approx(np.concatenate([uv.min(0), uv.max(0)]))


def test_kittis_own_2d_boxes_are_outlines_to_a_hundredth_of_their_size(shared_data: Path) -> None:
    folder = KittiFolder(shared_data / "kitti" / "mono", points=False)
    errors = []
    for sample in (folder[i] for i in range(len(folder))):
        boxes = sample.boxes
        assert boxes is not None
        for i in np.flatnonzero((sample.truncation == 0) & np.isin(boxes.names(), ("Car", "Van", "Truck", "Cyclist"))):
            uv, _ = sample.camera.project(boxes.corners()[i])
            found, true = np.concatenate([uv.min(0), uv.max(0)]), boxes.box2d[i]
            errors.append((found - true) / np.tile(true[2:] - true[:2], 2))
    assert len(errors) > 50
    assert np.abs(np.median(errors, 0)).max() < 0.011


def test_of_whom_only_a_mirror_is_in_view_nothing_is_written() -> None:
    outside = _object(30.0, 10.0)
    assert len(annotate([outside, _object(0.0, 10.0)], CAMERA).boxes) == 1


def test_an_extent_reaching_behind_the_camera_stays_on_its_side() -> None:
    """Its vertices behind the image plane would project to the other side of the image."""
    item = _object(3.0, 0.5, np.pi / 2)
    box = extent(item.triangles, item.camera_from_object, CAMERA)
    assert box[0] > CAMERA.intrinsics[0, 2]
    assert box[2] > CAMERA.width
    truth = annotate([_object(3.0, 2.0, np.pi / 2)], CAMERA)
    assert truth.boxes.box2d[0, 2] == CAMERA.width - 1
    assert truth.truncation[0] > 0.9


def test_half_outside_is_half_truncated() -> None:
    """The middle of a thin object sits on the image's right border, seen square on."""
    depth = 20.0
    middle = (CAMERA.width - 1 - CAMERA.intrinsics[0, 2]) / CAMERA.intrinsics[0, 0] * depth
    thin = replace(_object(middle, depth, 0.0), size=SIZE * [1, 1e-6, 1])
    assert annotate([thin], CAMERA).truncation[0] == pytest.approx(0.5, abs=1e-6)


def test_occlusion_states() -> None:
    assert occlusion(np.array([1.0, 0.91, 0.89, 0.51, 0.49, 0.11, 0.09, 0.0])).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_what_nobody_sees_is_not_labelled_and_what_is_tiny_is_dont_care() -> None:
    objects = [_object(0, 15, visible=2), _object(-4, 400), _object(4, 25, visible=200), _object(2, 10)]
    truth = annotate(objects, CAMERA)
    assert truth.boxes.center[:, 2] == pytest.approx([10, 25])
    assert truth.occlusion.tolist() == [0, 2]
    assert truth.dont_care.shape == (1, 4)
    assert truth.dont_care[0, 2] < CAMERA.intrinsics[0, 2]


def test_an_empty_street_has_empty_labels() -> None:
    truth = annotate([], CAMERA)
    assert len(truth.boxes) == len(truth.truncation) == len(truth.occlusion) == len(truth.dont_care) == 0


def test_labels_come_back_from_a_file_in_the_frame_of_camera_2(tmp_path: Path) -> None:
    p2 = np.hstack([CAMERA.intrinsics, [[44.9], [0.2], [0.003]]])
    calibration = Calibration(p2, np.eye(3))
    truth = annotate([_object(-3.0, 12.0, 2.5, 90, 100), _object(0, 500), _object(5.0, 30.0, -1.0)], CAMERA)
    path = tmp_path / "000000.txt"
    image = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    sample = Sample("000000", image, CAMERA, truth.boxes, truth.truncation, truth.occlusion, truth.dont_care)
    write_labels(path, label_rows(sample, calibration))
    rows = read_labels(path)
    assert rows.type.tolist() == ["Car", "Car", "DontCare"]
    assert rows.occlusion.tolist() == [0, 0, -1]
    x, _, z = truth.boxes.center.T
    assert rows.alpha[:2] == pytest.approx(rows.rotation_y[:2] - np.arctan2(x, z), abs=1e-3)
    read = to_boxes(rows, calibration)
    assert read.center == pytest.approx(truth.boxes.center, abs=1e-3)
    assert read.size == pytest.approx(truth.boxes.size, abs=1e-3)
    assert read.yaw == pytest.approx(truth.boxes.yaw, abs=1e-3)
