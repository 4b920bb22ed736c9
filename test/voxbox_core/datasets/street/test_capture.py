"""Camera, LiDAR and truth of a rendered street agree with one another: three ways to the same geometry."""

import numpy as np
import pytest

from voxbox_core.boxes import Axes
from voxbox_core.datasets.street.capture import Capture, capture
from voxbox_core.datasets.street.layout import StreetSettings, build_scene
from voxbox_core.datasets.street.lidar import LidarPattern
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.scene import Scene

SEEDS = (3, 11)
QUIET = LidarPattern(range_noise=0.0, dropout=0.0, columns=1000)


@pytest.fixture(scope="module")
def renderer(opengl: None) -> Renderer:
    return Renderer(640, 192)


@pytest.fixture(scope="module", params=SEEDS)
def filmed(request: pytest.FixtureRequest, renderer: Renderer) -> tuple[Scene, Capture]:
    scene = build_scene(request.param, StreetSettings(640, 192))
    return scene, capture(scene, renderer, 0.5, "frame", QUIET, np.random.default_rng(0))


def _in_camera(frame: Capture) -> np.ndarray:
    sample = frame.sample
    assert sample.points is not None
    assert sample.lidar_to_camera is not None
    return sample.points[:, :3] @ sample.lidar_to_camera[:3, :3].T + sample.lidar_to_camera[:3, 3]


def test_lidar_and_depth_image_measure_the_same_surfaces(filmed: tuple[Scene, Capture]) -> None:
    """Where the two look along nearly the same ray; the sensors stand apart, so edges may differ."""
    _, frame = filmed
    uv, depth = frame.sample.camera.project(_in_camera(frame))
    height, width = frame.depth.shape
    column, row = np.round(uv).astype(int).T
    seen = (depth > 2) & (depth < 60) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    assert seen.sum() > 1000
    error = np.abs(frame.depth[row[seen], column[seen]] - depth[seen]) / depth[seen]
    assert np.median(error) < 0.01
    assert (error < 0.05).mean() > 0.8


def test_points_of_an_object_lie_in_its_box(filmed: tuple[Scene, Capture]) -> None:
    scene, frame = filmed
    assert frame.point_instance is not None
    boxes = frame.sample.boxes
    assert boxes is not None
    points = _in_camera(frame)
    camera_from_world = np.linalg.inv(scene.world_from_camera(0.5))
    hit = 0
    for item in scene.instances:
        mine = points[frame.point_instance == item.id]
        middle = camera_from_world @ item.pose(0.5) @ [0, 0, item.size[2] / 2, 1]
        found = np.flatnonzero(np.linalg.norm(boxes.center - middle[:3], axis=1) < 1e-6)
        if not len(found) or not len(mine):
            continue
        box = boxes[found]
        local = np.abs((mine - box.center[0]) @ box.rotation()[0])
        # A box stands upright in the camera's frame, the object on the road: they differ by the camera's tilt.
        assert (local <= box.size[0] / 2 + 0.15 + 0.05 * box.size[0, 0]).all(), item.kind
        hit += len(mine)
    assert hit > 50


def test_an_objects_pixels_lie_in_its_2d_box(filmed: tuple[Scene, Capture]) -> None:
    scene, frame = filmed
    boxes = frame.sample.boxes
    assert boxes is not None
    assert len(boxes)
    camera_from_world = np.linalg.inv(scene.world_from_camera(0.5))
    for item in scene.instances:
        middle = camera_from_world @ item.pose(0.5) @ [0, 0, item.size[2] / 2, 1]
        found = np.flatnonzero(np.linalg.norm(boxes.center - middle[:3], axis=1) < 1e-6)
        rows, columns = np.nonzero(frame.instance == item.id)
        if not len(found) or not len(rows):
            continue
        x1, y1, x2, y2 = boxes.box2d[found[0]]
        # Mirrors and roof racks stick out of the box, and so does what stands on a tilted road: the box is upright.
        margin = 1 + 0.15 * scene.camera.intrinsics[0, 0] / max(middle[2] - item.size[0] / 2, 1.0)
        assert columns.min() >= x1 - margin
        assert rows.min() >= y1 - margin
        assert columns.max() <= x2 + margin
        assert rows.max() <= y2 + margin
        if frame.sample.occlusion[found[0]] == 0 and frame.sample.truncation[found[0]] == 0 and len(rows) > 200:
            covered = (columns.max() - columns.min() + 1) * (rows.max() - rows.min() + 1)
            assert covered > 0.8 * (x2 - x1) * (y2 - y1)


def test_a_drive_moves_the_truth_as_the_rig_and_the_objects_move(renderer: Renderer) -> None:
    scene = build_scene(SEEDS[0], StreetSettings(640, 192))
    for time in (0.0, 1.5):
        sample = capture(scene, renderer, time, "frame").sample
        assert sample.boxes is not None
        assert sample.points is None
        world = scene.world_from_camera(time)
        centres = sample.boxes.transformed(world[:3, :3], world[:3, 3], Axes.BODY).center
        expected = np.array([(i.pose(time) @ [0, 0, i.size[2] / 2, 1])[:3] for i in scene.instances])
        distance = np.linalg.norm(centres[:, None] - expected[None], axis=-1).min(1)
        assert distance.max() < 1e-6
