"""camera_info: which matrix counts, what crop and scale do to it, and what is refused."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from msgs.cameras import Calibrations, fitted, read_calibration, rectified
from voxbox_core.errors import InputError

WIDTH, HEIGHT = 640, 480
K = np.array([[500.0, 0, 320.5], [0, 510.0, 235.25], [0, 0, 1]])
P = np.array([[450.0, 0, 310.0, -60.0], [0, 450.0, 240.0, 0], [0, 0, 1, 0]])
POINTS = np.array([[0.3, -0.2, 4.0], [-1.5, 0.8, 9.0], [2.0, 1.0, 7.5]])
BEND = [-0.3, 0.1, 0.001, -0.002, 0.0]


def info(**changes) -> SimpleNamespace:
    """A CameraInfo as rosbags reads it, with arrays."""
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    fields = {
        "header": SimpleNamespace(frame_id="camera_optical"),
        "width": WIDTH,
        "height": HEIGHT,
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": K.ravel(),
        "r": np.eye(3).ravel(),
        "p": P.ravel(),
        "binning_x": 0,
        "binning_y": 0,
        "roi": roi,
    }
    return SimpleNamespace(**(fields | changes))


def pinhole(message: SimpleNamespace):
    return rectified(read_calibration(message))[0]


def test_projection_is_ps_left_three_columns() -> None:
    assert np.array_equal(pinhole(info()).intrinsics, P[:, :3])


def test_k_stands_in_for_an_empty_p() -> None:
    assert np.array_equal(pinhole(info(p=np.zeros(12))).intrinsics, K)


def test_p_alone_is_enough() -> None:
    assert np.array_equal(pinhole(info(k=np.zeros(9))).intrinsics, P[:, :3])


def test_lists_and_arrays_and_tuples_are_alike() -> None:
    assert read_calibration(info()) == read_calibration(info(k=list(K.ravel()), p=tuple(P.ravel()), d=[0.0] * 5))


@pytest.mark.parametrize("bins", [2, 4])
def test_binned_pixels_lie_in_the_middle_of_those_they_gather(bins: int) -> None:
    full, binned = pinhole(info()), pinhole(info(binning_x=bins, binning_y=bins))
    assert (binned.width, binned.height) == (WIDTH // bins, HEIGHT // bins)
    u_full, u_binned = full.project(POINTS)[0], binned.project(POINTS)[0]
    assert np.allclose(u_binned, (u_full + 0.5) / bins - 0.5)  # the distance from the image's edge shrinks


def test_region_of_interest_moves_the_origin() -> None:
    roi = SimpleNamespace(x_offset=100, y_offset=40, width=320, height=200, do_rectify=False)
    camera = pinhole(info(roi=roi))
    assert (camera.width, camera.height) == (320, 200)
    assert np.allclose(camera.project(POINTS)[0], pinhole(info()).project(POINTS)[0] - [100, 40])


def test_an_image_of_half_size_gets_the_matrix_of_half_size() -> None:
    calibration = read_calibration(info())
    half = rectified(fitted(calibration, WIDTH // 2, HEIGHT // 2))[0]
    full = rectified(calibration)[0]
    assert np.allclose(half.project(POINTS)[0], (full.project(POINTS)[0] + 0.5) / 2 - 0.5)


def test_an_image_of_another_shape_is_refused() -> None:
    text = r"image size is 1242x375; expected camera_info's 640x480 or the same shape scaled"
    with pytest.raises(InputError, match=text):
        fitted(read_calibration(info()), 1242, 375)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"k": np.zeros(9), "p": np.zeros(12)}, "camera_info K is all zeros; expected focal lengths above 0"),
        ({"k": np.full(9, np.nan)}, r"camera_info K is \[nan.*; expected finite values"),
        ({"p": np.full(12, np.inf)}, "camera_info P is .*inf"),
        ({"d": np.array([np.nan] * 5)}, "camera_info D is .*nan"),
        ({"k": np.diag([-500.0, 500, 1]).ravel()}, "camera_info K is one with focal lengths -500, 500"),
        ({"width": 0}, "camera_info size is 0x480; expected the image's width and height"),
    ],
)
def test_what_is_no_camera_is_named(changes: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        read_calibration(info(**changes))


def test_distortion_is_refused_when_asked() -> None:
    with pytest.raises(InputError, match=r"camera_info D is plumb_bob \[-0.3.*expected zeros.*unrectified"):
        rectified(read_calibration(info(d=BEND)), "refuse")


def test_unknown_distortion_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="'double_sphere' with 5 coefficients; expected plumb_bob with 4 or 5"):
        rectified(read_calibration(info(d=BEND, distortion_model="double_sphere")))


def test_rectified_image_passes_untouched() -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for calibration in (info(), info(d=BEND)):
        camera, rectify = rectified(read_calibration(calibration), "rectified")
        assert rectify(image) is image
        assert np.array_equal(camera.intrinsics, P[:, :3])


@pytest.mark.parametrize(
    ("model", "distortion"),
    [
        ("plumb_bob", BEND),
        ("rational_polynomial", [-0.3, 0.1, 0.001, -0.002, 0.0, 0.02, 0.01, 0.0]),
        ("equidistant", [0.05, -0.01, 0.002, 0.0]),
    ],
)
def test_undistorted_pixels_obey_the_pinhole(model: str, distortion: list[float]) -> None:
    """A spot that the lens bends to its pixel is found, after undistortion, where the rectified camera projects it."""
    calibration = read_calibration(info(distortion_model=model, d=distortion))
    camera, rectify = rectified(calibration)
    for point in POINTS:
        if model == "equidistant":
            bent, _ = cv2.fisheye.projectPoints(
                point.reshape(1, 1, 3), np.zeros(3), np.zeros(3), K, np.array(distortion)
            )
        else:
            bent, _ = cv2.projectPoints(point.reshape(1, 3), np.zeros(3), np.zeros(3), K, np.array(distortion))
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        u, v = bent.ravel()
        spot = 255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18)
        flat = rectify(np.repeat(spot.round().astype(np.uint8)[..., None], 3, -1))[..., 0].astype(float)
        found = (flat * x).sum() / flat.sum(), (flat * y).sum() / flat.sum()
        assert np.allclose(found, camera.project(point)[0], atol=0.3)


def test_real_message_type_reads_alike() -> None:
    sensor_msgs = pytest.importorskip("sensor_msgs.msg")
    message = sensor_msgs.CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header.frame_id = "camera_optical"
    message.k, message.r, message.p = K.ravel(), np.eye(3).ravel(), P.ravel()
    assert read_calibration(message) == read_calibration(info())


def stamped(second: int, **changes) -> SimpleNamespace:
    """A CameraInfo of that second."""
    stamp = SimpleNamespace(sec=second, nanosec=7)
    return info(header=SimpleNamespace(frame_id="camera_optical", stamp=stamp), **changes)


def test_an_image_gets_the_calibration_of_its_own_stamp_else_the_latest() -> None:
    calibrations = Calibrations()
    zooming = [stamped(second, p=np.zeros(12), k=(K * [[second], [second], [1]]).ravel()) for second in range(1, 6)]
    assert calibrations.of(zooming[0].header.stamp) is None
    for message in zooming:
        calibrations.add(message)
    for message in zooming:
        assert calibrations.of(message.header.stamp) == read_calibration(message)
    assert calibrations.of(SimpleNamespace(sec=3, nanosec=8)) == read_calibration(zooming[-1])
    calibrations.add(stamped(1))  # the recording begins again
    assert calibrations.of(zooming[0].header.stamp) == read_calibration(info())


def test_only_images_of_an_unreadable_calibration_are_refused() -> None:
    calibrations = Calibrations()
    calibrations.add(stamped(1))
    broken = stamped(2, k=np.zeros(9), p=np.zeros(12))
    with pytest.raises(InputError, match="all zeros"):
        calibrations.add(broken)
    assert calibrations.of(stamped(1).header.stamp) == read_calibration(info())
    for second in (2, 3):
        with pytest.raises(InputError, match="all zeros"):
            calibrations.of(stamped(second).header.stamp)


def test_old_calibrations_are_forgotten() -> None:
    calibrations = Calibrations()
    for second in range(1000):
        calibrations.add(stamped(second, width=WIDTH + second))
    kept = [second for second in range(1000) if calibrations.of(stamped(second).header.stamp).width == WIDTH + second]
    assert kept == list(range(kept[0], 1000))
    assert 100 < len(kept) < 200
