"""The occupancy grid: free where the ground is seen and nothing stands, occupied where something does, in any frame."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from voxel_scene import looking_down, street

from msgs.ground import LEVEL, GroundMap
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import UNKNOWN, Voxels

GRID = Fruxel(2.0, 25.0, 64, 64, 64, 60.0, "log")
HEADER = Header(frame_id="camera")
CAR = ("car", (1.0, 0.0, 9.0), (3.0, 1.5, 13.0))
WALL = ("building", (-8.0, 0.0, 16.0), (-2.0, 3.0, 18.0))


def cells_of(message) -> tuple[np.ndarray, np.ndarray]:
    """Values (N,), and where the middles of the cells are in the frame of the message's header (N, 3)."""
    info = message.info
    values = np.array(message.data).reshape(info.height, info.width)
    row, column = np.indices(values.shape).reshape(2, -1) + 0.5
    own = np.stack([column * info.resolution, row * info.resolution, np.zeros(row.size)], -1)
    q, p = info.origin.orientation, info.origin.position
    turned = own @ Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix().T
    return values.ravel(), turned + np.array([p.x, p.y, p.z])


def value_at(message, x: float, z: float) -> int:
    """By x to the right and z ahead in the camera's frame, m; the header's frame is the camera's."""
    values, places = cells_of(message)
    return int(values[np.abs(places[:, [0, 2]] - [x, z]).sum(1).argmin()])


@pytest.fixture
def ground() -> GroundMap:
    return GroundMap(0.2, 2.0)


def test_a_street_with_a_car_and_a_wall(ground) -> None:
    message = ground.of(street(GRID, [CAR, WALL]), HEADER)
    assert message.header == HEADER
    assert message.info.resolution == pytest.approx(0.2)
    assert ground.height == pytest.approx(1.6, abs=0.1)
    assert value_at(message, 2.0, 11.0) == 100
    assert value_at(message, -4.0, 17.0) == 100
    assert value_at(message, 0.0, 8.0) == 0
    assert value_at(message, -3.0, 12.0) == 0
    assert value_at(message, 3.2, 17.0) == -1  # hidden behind the car
    assert value_at(message, 0.0, 3.0) == -1  # the ground there is below the image
    values, places = cells_of(message)
    x, y, z = places.T
    np.testing.assert_allclose(y, ground.height)  # the plane is below the camera
    car = (x > 1.2) & (x < 2.8) & (z > 9.5) & (z < 12.5)
    wall = (x > -7.8) & (x < -2.2) & (z > 16.5) & (z < 17.5)
    assert (values[car | wall] == 100).all()
    apart = ((x < 0.6) | (x > 3.4) | (z < 8.2) | (z > 13.8)) & ((x < -8.8) | (x > -1.2) | (z < 14.6) | (z > 19.4))
    assert (values[apart] != 100).all()
    assert set(np.unique(values)) == {-1, 0, 100}


def test_nothing_outside_of_the_frustum_is_known(ground) -> None:
    values, places = cells_of(ground.of(street(GRID), HEADER))
    outside = np.abs(places[:, 0]) > places[:, 2] * np.tan(np.radians(30)) + 0.2
    assert (values[outside] == -1).all()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 0.15, -1), (0.0, 0.5, 100), (1.5, 1.9, 100), (2.4, 3.5, 0)],
    ids=["kerb", "log", "barrier", "bridge"],
)
def test_what_a_vehicle_can_pass(ground, low, high, expected) -> None:
    message = ground.of(street(GRID, [("building", (-0.5, low, 7.0), (0.5, high, 8.5))]), HEADER)
    values, (x, _, z) = cells_of(message)[0], cells_of(message)[1].T
    assert (values[(np.abs(x) < 0.3) & (z > 7.3) & (z < 8.2)] == expected).mean() > 0.9


def test_a_low_vehicle_passes_under_a_barrier() -> None:
    voxels = street(GRID, [("building", (-3.0, 1.5, 9.0), (3.0, 1.9, 9.6))])
    assert value_at(GroundMap(0.2, 1.2).of(voxels, HEADER), 0.0, 9.3) == 0
    assert value_at(GroundMap(0.2, 2.0).of(voxels, HEADER), 0.0, 9.3) == 100


def test_what_the_image_did_not_reach_is_not_seen(ground) -> None:
    full = street(GRID, [CAR])
    labels = full.labels.copy()
    labels[..., : GRID.columns // 2] = UNKNOWN
    values, places = cells_of(ground.of(Voxels(labels, GRID), HEADER))
    assert (values[places[:, 0] < -0.2] == -1).all()
    assert (values[places[:, 0] > 0.2] == 0).any()


@pytest.mark.parametrize("pitch", [0.0, 12.0])
def test_in_a_frame_of_the_vehicle_the_grid_is_straight(ground, pitch) -> None:
    """Whatever way the camera looks down, and however the vehicle's frame is placed above the ground."""
    turned = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    rotation = turned @ LEVEL[0] @ looking_down(pitch)
    translation = np.array([1.5, -0.5, 1.2])
    message = ground.of(street(GRID, [CAR], pitch=pitch), Header(frame_id="base_link"), (rotation, translation))
    assert message.header.frame_id == "base_link"
    q = message.info.origin.orientation
    assert (q.x, q.y, q.z, q.w) == (0, 0, 0, 1)  # all that Nav2's layers understand
    assert message.info.origin.position.z == pytest.approx(1.2 - 1.6, abs=0.1)
    values, places = cells_of(message)
    level = (places - translation) @ (turned @ LEVEL[0])
    x, _, z = level.T
    assert (values[(x > 1.2) & (x < 2.8) & (z > 9.5) & (z < 12.5)] == 100).all()
    assert (values[(np.abs(x) < 0.5) & (z > 6) & (z < 8)] == 0).all()
    assert (values[(x < 0.5) & (values == 100)] == 100).sum() == 0


def test_cells_lie_on_multiples_of_the_resolution_so_that_frames_agree() -> None:
    origin = GroundMap(0.25, 2.0).of(street(GRID), HEADER, (LEVEL[0], np.array([0.33, 0.77, 1.6]))).info.origin
    for value in (origin.position.x, origin.position.y):
        assert value / 0.25 == pytest.approx(round(value / 0.25))


def test_a_known_height_is_taken() -> None:
    ground = GroundMap(0.2, 2.0, camera_height=1.1)
    assert ground.of(street(GRID), HEADER).info.origin.position.y == pytest.approx(1.1)


def test_the_height_is_kept_while_no_ground_is_seen(ground) -> None:
    hidden = street(GRID, [("truck", (-9, -1, 2), (9, 4, 5))])
    with pytest.raises(InputError, match="ground in the image is missing; .* Set the parameter camera_height"):
        ground.of(hidden, HEADER)
    ground.of(street(GRID), HEADER)
    before = ground.height
    assert value_at(ground.of(hidden, HEADER), 0.0, 4.0) == 100
    assert ground.height == before


def test_the_plane_is_steady(ground) -> None:
    heights = []
    for height in (1.6, 1.63, 1.57, 1.6, 1.9):
        ground.of(street(GRID, height=height), HEADER)
        heights.append(ground.height)
    assert len(set(heights[:4])) == 1
    assert heights[4] == pytest.approx(1.9, abs=0.1)


def test_a_slope_is_driven_on(ground) -> None:
    """6 % uphill from 5 m on."""
    level = GRID.centers(np.indices(GRID.shape).reshape(3, -1).T)
    labels = np.where(level[:, 1] > 1.6 - 0.06 * np.maximum(level[:, 2] - 5, 0), 9, 0)
    voxels = Voxels(labels.reshape(GRID.shape).astype(np.uint8), GRID)
    message = ground.of(voxels, HEADER)
    assert [value_at(message, 0.0, z) for z in (7.0, 10.0, 14.0)] == [0, 0, 0]
    assert 100 not in message.data


def test_a_frame_whose_z_is_not_up_is_refused(ground) -> None:
    with pytest.raises(InputError, match=r"the camera's up in the frame of the ground is \[0.0, -1.0, 0.0\]"):
        ground.of(street(GRID), HEADER, (np.eye(3), np.zeros(3)))


def test_classes_without_ground_are_all_obstacles() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[30:40, 20:44, 20:44] = 1
    message = GroundMap(0.2, 2.0, 1.6).of(Voxels(labels, GRID, classes=("air", "chair")), HEADER)
    assert set(message.data) == {-1, 100}
