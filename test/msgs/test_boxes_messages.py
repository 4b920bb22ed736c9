"""Detection3DArray and markers against the boxes they were made from, by the definitions of the messages."""

import numpy as np
import pytest

from msgs.boxes import detection_array, label_info, read_detections
from msgs.markers import Markers
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.errors import InputError

pytest.importorskip("vision_msgs.msg")
Header = pytest.importorskip("std_msgs.msg").Header
Marker = pytest.importorskip("visualization_msgs.msg").Marker

CLASSES = ("Car", "Pedestrian", "Cyclist")
HEADER = Header(frame_id="camera_optical")


def some_boxes(count: int, axes: Axes = Axes.OPTICAL, seed: int = 0) -> Boxes3D:
    random = np.random.default_rng(seed)
    return Boxes3D(
        center=random.uniform(-20, 20, (count, 3)),
        size=random.uniform(0.5, 5, (count, 3)),
        yaw=random.uniform(-np.pi, np.pi, count),
        label=random.integers(0, 3, count),
        score=random.uniform(0, 1, count),
        box2d=np.full((count, 4), np.nan),
        classes=CLASSES,
        axes=axes,
    )


def rotate(quaternion, vector: np.ndarray) -> np.ndarray:
    """v + 2 w (q x v) + 2 q x (q x v): the textbook's rotation, independent of the code under test."""
    q = np.array([quaternion.x, quaternion.y, quaternion.z])
    return vector + 2 * quaternion.w * np.cross(q, vector) + 2 * np.cross(q, np.cross(q, vector))


@pytest.mark.parametrize("axes", list(Axes))
def test_pose_and_size_give_the_corners(axes: Axes) -> None:
    boxes = some_boxes(20, axes)
    for detection, corners in zip(detection_array(boxes, HEADER).detections, boxes.corners(), strict=True):
        pose, size = (
            detection.bbox.center,
            np.array([detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z]),
        )
        center = np.array([pose.position.x, pose.position.y, pose.position.z])
        front_left_top = center + rotate(pose.orientation, size / 2)
        assert np.allclose(front_left_top, corners[4])


@pytest.mark.parametrize("axes", list(Axes))
def test_there_and_back(axes: Axes) -> None:
    boxes = some_boxes(20, axes)
    back = read_detections(detection_array(boxes, HEADER), axes, CLASSES)
    for name in ("center", "size", "yaw", "score", "label"):
        assert np.allclose(getattr(back, name), getattr(boxes, name)), name


def test_array_and_detections_carry_header_name_and_pose() -> None:
    message = detection_array(some_boxes(5), HEADER)
    assert message.header == HEADER
    for detection in message.detections:
        assert detection.header == HEADER
        assert len(detection.results) == 1
        assert detection.results[0].hypothesis.class_id in CLASSES
        assert detection.results[0].pose.pose == detection.bbox.center


def test_no_boxes_make_an_empty_array() -> None:
    message = detection_array(Boxes3D.empty(CLASSES), HEADER)
    assert message.detections == []
    assert len(read_detections(message)) == 0


def test_detection_without_result_is_refused() -> None:
    message = detection_array(some_boxes(1), HEADER)
    message.detections[0].results = []
    with pytest.raises(InputError, match="results of a detection is empty; expected at least one"):
        read_detections(message)


def test_foreign_class_is_refused() -> None:
    with pytest.raises(InputError, match=r"class of a detection is \[.*; expected one of \('Tram',\)"):
        read_detections(detection_array(some_boxes(3), HEADER), classes=("Tram",))


def test_label_info_lists_the_classes() -> None:
    message = label_info(CLASSES, 0.25, HEADER)
    assert [(c.class_id, c.class_name) for c in message.class_map] == list(enumerate(CLASSES))
    assert message.threshold == pytest.approx(0.25)


def by_id(array) -> dict[tuple[str, int], Marker]:
    return {(m.ns, m.id): m for m in array.markers}


def test_one_skeleton_with_every_edge_of_every_box() -> None:
    boxes = some_boxes(7)
    markers = by_id(Markers(0.5, {"Car": (255, 0, 0)}).of(boxes, HEADER))
    skeleton = markers["boxes", 0]
    assert skeleton.type == Marker.LINE_LIST
    assert len(skeleton.points) == len(skeleton.colors)
    ends = np.array([[p.x, p.y, p.z] for p in skeleton.points]).reshape(7, -1, 2, 3)
    lengths = np.sort(np.linalg.norm(ends[:, :12, 0] - ends[:, :12, 1], axis=-1))
    assert np.allclose(lengths, np.sort(np.repeat(boxes.size, 4, axis=1)))  # four edges along each axis
    assert len([key for key in markers if key[0] == "labels"]) == 7
    assert skeleton.lifetime.nanosec == 500_000_000


def test_vanished_boxes_take_their_texts_along() -> None:
    markers = Markers(0.5, {})
    markers.of(some_boxes(5), HEADER)
    fewer = by_id(markers.of(some_boxes(2), HEADER))
    assert {i for (ns, i), m in fewer.items() if m.action == Marker.DELETE} == {2, 3, 4}
    none = by_id(markers.of(Boxes3D.empty(CLASSES), HEADER))
    assert all(m.action == Marker.DELETE for m in none.values())
    assert set(none) == {("boxes", 0), ("labels", 0), ("labels", 1)}


def test_texts_stand_above_their_boxes() -> None:
    for axes in Axes:
        boxes = some_boxes(3, axes)
        texts = [m for m in Markers(0.5, {}).of(boxes, HEADER).markers if m.ns == "labels"]
        for text, box in zip(texts, range(3), strict=True):
            height = -text.pose.position.y if axes is Axes.OPTICAL else text.pose.position.z
            assert height > boxes.vertical()[box, 1]
            assert text.text.startswith(boxes.names()[box])
