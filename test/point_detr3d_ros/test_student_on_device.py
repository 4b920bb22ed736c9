"""From points to boxes with the cloud uploaded once: the same boxes as by way of host memory."""

from pathlib import Path

import numpy as np
import pytest
from devices import Exact, on_each_device

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.detector import PointDETR3D, grounded_pillars, load_deployed
from voxbox.bag.rig import rig_samples
from voxbox.demo.drives import SHIPPED_RIG_DRIVE
from voxbox_core.boxes import Boxes3D, iou_3d
from voxbox_core.datasets.rig import RigSample
from voxbox_core.errors import InputError
from voxbox_core.runtime.torch import Runner
from voxbox_core.runtime.torch_cuda import CudaRunner

RELEASED = Path(__file__).resolve().parents[2] / "models" / "point-detr3d-street" / "weights.pt"
LEAST = 0.1  # score


@pytest.fixture(scope="module")
def frame() -> RigSample:
    return next(rig_samples(SHIPPED_RIG_DRIVE))


def detector_with(run, device=None) -> PointDETR3D:
    detector = PointDETR3D(Contract.from_json(load_deployed(RELEASED).metadata["contract"]), run, LEAST)
    detector.device = device
    return detector


@pytest.fixture(scope="module")
def expected(frame) -> Boxes3D:
    """By way of host memory, in float32."""
    return detector_with(Runner(load_deployed(RELEASED)))(frame.points, frame.height)


def assert_alike(found: Boxes3D, expected: Boxes3D, iou: float) -> None:
    """Each box has its partner; but for those near the threshold."""
    assert len(expected) > 3
    for some, every in ((expected, found), (found, expected)):
        sure = some[some.score > 1.5 * LEAST]
        overlap = iou_3d(sure, every)
        assert (overlap.max(1) > iou).all()
        assert (every.label[overlap.argmax(1)] == sure.label).all()


@on_each_device
def test_points_become_boxes_after_one_upload(device, frame, expected) -> None:
    engine = Exact(load_deployed(RELEASED), device)
    detector = detector_with(engine, engine)
    assert_alike(detector(frame.points, frame.height), expected, iou=0.999)
    assert engine.uploads == [("points", frame.points.nbytes)]
    there = engine.upload("points", frame.points)
    assert_alike(detector(there, frame.height), expected, iou=0.999)


@pytest.mark.slow  # where a CPU has no instructions for it
@on_each_device
def test_half_precision_moves_boxes_little(device, frame, expected) -> None:
    """And the same each time."""
    engine = CudaRunner(load_deployed(RELEASED), device)
    detector = detector_with(engine, engine)
    found, again = (detector(frame.points, frame.height) for _ in range(2))
    assert_alike(found, expected, iou=0.95)
    for name in ("center", "size", "yaw", "score"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


@on_each_device
def test_the_cloud_is_not_changed_and_what_is_left_out_is_counted(device, frame) -> None:
    engine = Exact(load_deployed(RELEASED), device)
    detector = detector_with(engine, engine)
    there = engine.upload("points", frame.points)
    before = there.clone()
    detector(there, frame.height)
    assert there.equal(before)
    standing = grounded_pillars(frame.points, frame.height, detector.contract)
    assert (detector.overflow.pillars, detector.overflow.points) == (
        standing.overflow_pillars,
        standing.overflow_points,
    )


@on_each_device
def test_an_empty_cloud_has_no_boxes_and_one_of_another_form_is_refused(device, frame) -> None:
    engine = Exact(load_deployed(RELEASED), device)
    detector = detector_with(engine, engine)
    assert len(detector(np.zeros((0, 5), np.float32), frame.height)) == 0
    with pytest.raises(InputError, match=r"shape of the points is \(7, 4\)"):
        detector(np.zeros((7, 4), np.float32), frame.height)
