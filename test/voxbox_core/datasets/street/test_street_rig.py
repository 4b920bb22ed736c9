"""A rig in the street: clouds, truth and images all around agree with one another."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from voxbox_core.datasets.rig import RigSample, points_in_boxes
from voxbox_core.datasets.street.layout import build_scene
from voxbox_core.datasets.street.lidar import PATTERNS
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.rig import (
    CAMERAS,
    CLASSES,
    SWEEP,
    RigScene,
    RigSettings,
    build_rig_scene,
    draw_lidar_place,
    draw_pattern,
    rig_sample,
)
from voxbox_core.datasets.street.scene import Instance
from voxbox_core.errors import InputError

SEED = 7
TIME = 0.5


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def street() -> RigScene:
    return build_rig_scene(SEED, RigSettings(beams=32, columns=1200))


@pytest.fixture(scope="module")
def sample(street: RigScene) -> RigSample:
    return rig_sample(street, None, TIME, "frame", _rng())


def test_the_same_seed_is_the_same_frame(sample: RigSample) -> None:
    again = rig_sample(build_rig_scene(SEED, RigSettings(beams=32, columns=1200)), None, TIME, "frame", _rng())
    np.testing.assert_array_equal(again.points, sample.points)
    assert again.boxes is not None and sample.boxes is not None
    np.testing.assert_array_equal(again.boxes.center, sample.boxes.center)
    assert build_rig_scene(SEED + 1, RigSettings(beams=32)).height != sample.height


def test_every_object_with_a_return_is_labelled_and_holds_its_returns(street: RigScene, sample: RigSample) -> None:
    boxes = sample.boxes
    assert boxes is not None and boxes.classes == CLASSES
    assert len(boxes) > 10
    assert (sample.hits >= 1).all()
    inside = points_in_boxes(sample.points, boxes, margin=0.15).sum(1)  # mirrors and range noise
    assert (inside >= 0.95 * sample.hits).all()
    assert len(boxes) < len(street.scene.instances)  # some are hidden: nobody could know


def test_boxes_stand_on_the_ground_below_the_lidar(sample: RigSample) -> None:
    assert sample.boxes is not None and sample.world_from_lidar is not None
    bottom = sample.boxes.bottom_center() @ sample.world_from_lidar[:3, :3].T + sample.world_from_lidar[:3, 3]
    assert np.abs(bottom[:, 2]).max() < 0.35  # kerbs, and the tilt of the LiDAR over half a box
    assert sample.world_from_lidar[2, 3] == pytest.approx(sample.height)


def test_headings_are_those_of_the_objects(street: RigScene, sample: RigSample) -> None:
    """In the world: of all boxes, the nearest object drives or stands the same way."""
    assert sample.boxes is not None and sample.world_from_lidar is not None
    world = sample.boxes.transformed(sample.world_from_lidar[:3, :3], sample.world_from_lidar[:3, 3], sample.boxes.axes)
    poses = np.stack([item.pose(TIME) for item in street.scene.instances])
    for center, yaw in zip(world.center, world.yaw, strict=True):
        pose = poses[np.linalg.norm(poses[:, :2, 3] - center[:2], axis=1).argmin()]
        assert np.cos(yaw) * pose[0, 0] + np.sin(yaw) * pose[1, 0] > 0.999


def test_there_is_something_on_every_side_and_of_every_kind() -> None:
    kinds: Counter[str] = Counter()
    quarters = np.zeros(2)
    for seed in range(6):
        scene = build_rig_scene(seed, RigSettings(beams=16, columns=600))
        boxes = rig_sample(scene, None, 0.0, "frame", _rng()).boxes
        assert boxes is not None
        kinds.update(boxes.names())
        quarters += [(boxes.center[:, 0] > 3).sum(), (boxes.center[:, 0] < -3).sum()]
    assert set(kinds) == set(CLASSES)
    assert min(quarters) > 0.3 * sum(quarters)


def test_sweeps_agree_where_nothing_moves(street: RigScene, sample: RigSample) -> None:
    """Older sweeps come from where the car was; what stands in them lies on what stands in the newest."""
    several = rig_sample(replace(street, sweeps=3), None, TIME, "frame", _rng())
    ages = np.unique(several.points[:, 4])
    np.testing.assert_allclose(ages, street.period * np.arange(3), atol=1e-6)
    assert SWEEP / 2 <= street.period <= SWEEP
    newest = several.points[several.points[:, 4] == 0]
    np.testing.assert_array_equal(newest, sample.points)  # what is older changes nothing
    assert sample.boxes is not None
    standing = several.points[~points_in_boxes(several.points, sample.boxes, margin=3.0).any(0)]
    standing = standing[(standing[:, 2] + several.height > 1) & (np.abs(standing[:, :2]) < 20).all(1)]
    tree = cKDTree(standing[standing[:, 4] == 0, :3])
    oldest = standing[standing[:, 4] > 1.5 * street.period, :3]
    driven = street.scene.rig.motion.speed * 2 * street.period
    assert driven > 0.6
    moved, unmoved = tree.query(oldest)[0], tree.query(oldest - [driven, 0, 0])[0]
    assert np.median(moved) < 0.5 * np.median(unmoved)


def test_what_moves_smears_over_the_sweeps(street: RigScene) -> None:
    """An older return of it lies where it was then."""
    sample = rig_sample(replace(street, sweeps=4, period=0.1), None, TIME, "frame", _rng())
    old = sample.points[:, 4] > 0.25
    assert sample.world_from_lidar is not None
    points = sample.points[old, :3] @ sample.world_from_lidar[:3, :3].T + sample.world_from_lidar[:3, 3]
    oncoming = [i for i in street.scene.instances if i.motion.speed > 10]
    then = [_within(points, item, TIME - 0.3) for item in oncoming]
    now = [_within(points, item, TIME) for item in oncoming]
    assert sum(then) > 300
    assert sum(now) < 0.7 * sum(then)


def _within(points: np.ndarray, item: Instance, time: float) -> int:
    """How many points of the world lie in the object's box."""
    pose = item.pose(time)
    local = (points - pose[:3, 3]) @ pose[:3, :3] - [0, 0, item.size[2] / 2]
    return int((np.abs(local) <= np.asarray(item.size) / 2 + 0.05).all(1).sum())


def test_sensors_differ_from_scene_to_scene_within_bounds() -> None:
    rng = _rng()
    for beams, usual in PATTERNS.items():
        drawn = [draw_pattern(rng, usual) for _ in range(50)]
        assert all(len(p.elevations) == beams and 900 <= p.columns <= 2083 for p in drawn)
        assert all(0.01 <= p.range_noise <= 0.04 and p.dropout <= 0.15 for p in drawn)
        assert len({p.elevations[0] for p in drawn}) == 50
    places = np.stack([draw_lidar_place(rng) for _ in range(50)])
    assert places[:, 2, 3].min() >= 1.4 and places[:, 2, 3].max() <= 2.1
    assert np.degrees(np.arccos(places[:, 2, 2])).max() < 3


def test_the_usual_sensor_is_what_its_maker_says() -> None:
    scene = build_rig_scene(SEED, RigSettings(beams=64, randomise=False))
    assert scene.pattern is PATTERNS[64]
    assert scene.height == 1.73


def test_cameras_change_neither_cloud_nor_truth(opengl: None, sample: RigSample) -> None:
    settings = RigSettings(cameras=2, width=64, height=48, beams=32, columns=1200)
    seen = rig_sample(build_rig_scene(SEED, settings), Renderer(64, 48), TIME, "frame", _rng())
    np.testing.assert_array_equal(seen.points, sample.points)
    assert seen.boxes is not None and sample.boxes is not None
    np.testing.assert_array_equal(seen.boxes.center, sample.boxes.center)
    assert [v.name for v in seen.views] == list(CAMERAS)[:2]


def test_six_cameras_look_all_around(street: RigScene, sample: RigSample) -> None:
    """Between them they see nearly every object, and each looks where its name says."""
    mounts = build_rig_scene(SEED, RigSettings(cameras=6, beams=32)).mounts
    ego_from_lidar = street.scene.rig.ego_from_lidar
    assert sample.boxes is not None
    seen = np.zeros(len(sample.boxes), bool)
    for mount, (yaw, _) in zip(mounts, CAMERAS.values(), strict=True):
        forward = mount.ego_from_camera[:3, 2]
        assert np.cos(np.arctan2(forward[1], forward[0]) - np.radians(yaw)) > 0.98
        pose = np.linalg.inv(mount.ego_from_camera) @ ego_from_lidar
        uv, depth = mount.camera.project(sample.boxes.center @ pose[:3, :3].T + pose[:3, 3])
        seen |= (depth > 0) & (uv[:, 0] >= 0) & (uv[:, 0] < mount.camera.width)
    assert seen.mean() > 0.95


def test_clouds_project_into_every_image(opengl: None) -> None:
    """Returns of the ground lie in the lower part of every image."""
    settings = RigSettings(cameras=4, width=160, height=96, beams=64)
    sample = rig_sample(build_rig_scene(2, settings), Renderer(160, 96), 0.0, "frame", _rng())
    assert len(sample.views) == 4
    for view in sample.views:
        assert view.image.std() > 10
        homogeneous = np.c_[sample.points[:, :3], np.ones(len(sample.points))] @ view.image_from_lidar.T
        ahead = homogeneous[:, 2] > 2
        uv = homogeneous[ahead, :2] / homogeneous[ahead, 2:]
        inside = ((uv >= 0) & (uv < [160, 96])).all(1)
        assert inside.sum() > 1000
        low = sample.points[ahead][inside][:, 2] + sample.height < 0.3
        assert uv[inside][low, 1].min() > 30  # nothing of the ground is in the sky


def test_a_view_is_the_image_of_the_single_camera(opengl: None) -> None:
    """The camera ahead sees the same through `views` as through `render`, but for the reach of the shadows."""
    scene = build_rig_scene(3, RigSettings(cameras=1, width=160, height=96))
    renderer = Renderer(160, 96)
    (one,) = renderer.views(scene.scene, 0.0, scene.mounts)
    whole = renderer.render(scene.scene, 0.0).rgb
    assert np.median(np.abs(one.astype(int) - whole)) <= 1


def test_scenes_of_the_single_camera_are_what_they_were() -> None:
    """Frozen: released weights and their numbers were made of these scenes."""
    scene = build_scene(7)
    assert len(scene.instances) == 45
    assert [item.kind for item in scene.instances[:3]] == ["Car", "Truck", "Car"]
    places = [(item.motion.x, item.motion.y) for item in scene.instances[:3]]
    np.testing.assert_allclose(places, [(26.357, -1.152), (42.655, -0.444), (52.392, -0.037)], atol=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"cameras": 7}, {"cameras": -1}, {"beams": 17}, {"sweeps": 0}, {"width": 8}, {"height": 1}]
)
def test_settings_that_cannot_be_rendered_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        RigSettings(**wrong)
