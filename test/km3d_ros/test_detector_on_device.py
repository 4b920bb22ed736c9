"""From a message's bytes to boxes with the image uploaded once: the same boxes as by way of host memory."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from devices import Exact, on_each_device

from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D, load_deployed
from msgs.cameras import read_calibration, rectified
from msgs.images import read_image
from voxbox.bag.samples import samples
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.sample import Sample
from voxbox_core.runtime.torch import Runner
from voxbox_core.runtime.torch_cuda import CudaRunner

RELEASED = Path(__file__).resolve().parents[2] / "models" / "km3d-street" / "weights.pt"
LEAST = 0.05  # score


@pytest.fixture(scope="module")
def frame() -> Sample:
    """A street, whose boxes do not hang on a grey level as those of noise do."""
    with Bag(SHIPPED_DRIVE) as bag:
        return next(samples(bag, find_topics(bag), limit=1))


@pytest.fixture(scope="module")
def reference() -> KM3D:
    """By way of host memory, in float32."""
    return detector_with(Runner(load_deployed(RELEASED)))


def detector_with(run, device=None) -> KM3D:
    contract = Contract.from_json(load_deployed(RELEASED).metadata["contract"])
    detector = KM3D(contract, run, score_threshold=LEAST)
    detector.device = device
    return detector


def camera_info(camera: Camera) -> SimpleNamespace:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    return SimpleNamespace(
        header=SimpleNamespace(frame_id="camera"), width=camera.width, height=camera.height, roi=roi,
        distortion_model="plumb_bob", d=[0.05, 0.01, 1e-3, -1e-3, 0.0], k=camera.intrinsics.ravel(),
        r=np.eye(3).ravel(), p=np.column_stack([camera.intrinsics, np.zeros(3)]).ravel(), binning_x=0, binning_y=0,
    )  # fmt: skip


def assert_alike(found: Boxes3D, expected: Boxes3D, rtol: float) -> None:
    """Each has a partner, with centre, size and score to a part of what they are; but for those near the threshold."""
    assert len(expected) > 3
    for some, every in ((expected, found), (found, expected)):
        for i in np.flatnonzero(some.score > 2 * LEAST):
            away = np.linalg.norm(every.center - some.center[i], axis=1) / np.linalg.norm(some.center[i])
            j = int(away.argmin())
            assert away[j] < rtol
            assert every.label[j] == some.label[i]
            np.testing.assert_allclose(every.size[j], some.size[i], rtol=rtol)
            assert abs(every.score[j] - some.score[i]) < rtol


@on_each_device
@pytest.mark.parametrize("encoding", ["bgr8", "bayer_rggb8"])
def test_bytes_become_boxes_after_one_upload(device, reference, frame, encoding) -> None:
    engine = Exact(load_deployed(RELEASED), device)
    pixels = frame.image[..., ::-1] if encoding == "bgr8" else frame.image[..., 1]
    data, (height, width) = np.ascontiguousarray(pixels).tobytes(), pixels.shape[:2]
    step = pixels[0].size
    message = SimpleNamespace(data=data, encoding=encoding, width=width, height=height, step=step, is_bigendian=0)
    camera, rectify = rectified(read_calibration(camera_info(frame.camera)))
    expected = reference(rectify(read_image(message)), camera)
    found = detector_with(engine, engine)(rectify(read_image(message, engine)), camera)
    assert_alike(found, expected, rtol=5e-3)
    assert sorted(engine.uploads) == [("grid_to_image", 24), ("image", len(data)), ("intrinsics", 36)]


@on_each_device
def test_an_array_is_uploaded_as_it_is_and_warped_there(device, reference, frame) -> None:
    engine = Exact(load_deployed(RELEASED), device)
    detector = detector_with(engine, engine)
    assert_alike(detector(frame.image, frame.camera), reference(frame.image, frame.camera), rtol=5e-3)
    assert ("image", frame.image.nbytes) in engine.uploads
    assert set(detector.stages) == set(reference.stages)


@on_each_device
def test_half_precision_moves_boxes_by_less_than_a_hundredth(device, reference, frame) -> None:
    """And the same each time."""
    engine = CudaRunner(load_deployed(RELEASED), device)
    detector = detector_with(engine, engine)
    found, again = (detector(frame.image, frame.camera) for _ in range(2))
    assert_alike(found, reference(frame.image, frame.camera), rtol=0.01)
    for name in ("center", "size", "yaw", "score", "box2d"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
