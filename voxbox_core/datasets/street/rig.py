"""The street world all around: a LiDAR on the roof, sweep after sweep, and up to six cameras.

The car starts in the middle of its street, so that there is something on every side. What is learned from the LiDAR
shall carry over to real ones: its place, pattern and losses are another's in every scene (Tobin et al., 2017, domain
randomisation), around those of KITTI's HDL-64E, nuScenes' HDL-32E, Argoverse 2's two VLP-32C and a VLP-16.
"""

from dataclasses import dataclass, replace

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import RigSample, View
from voxbox_core.datasets.street.layout import StreetSettings, build_scene
from voxbox_core.datasets.street.lidar import PATTERNS, LidarPattern, Scan, scan
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.scene import KINDS, Instance, Mount, Scene
from voxbox_core.datasets.street.traffic import Crowd
from voxbox_core.datasets.street.viewer import OPTICAL, turned
from voxbox_core.errors import InputError

CLASSES = tuple(KINDS)

CROWD = Crowd(
    parked=(("Car", 0.82), ("Van", 0.12), ("Truck", 0.06)),
    moving=(("Car", 0.66), ("Van", 0.12), ("Truck", 0.12), ("Bus", 0.10)),
    people=2.0,
    first=-30.0,
    last=105.0,
)
"""Enough of the rare kinds for a detector of all of them, on the whole furnished street."""

START = (22.0, 42.0)
"""m: the s the car starts from, with furnished street behind it and before it."""

SWEEP = 0.1
"""s from one turn of the LiDAR to the next."""

CAMERAS = {
    "CAM_FRONT": (0.0, 70.0),
    "CAM_FRONT_RIGHT": (-55.0, 70.0),
    "CAM_FRONT_LEFT": (55.0, 70.0),
    "CAM_BACK": (180.0, 110.0),
    "CAM_BACK_LEFT": (110.0, 70.0),
    "CAM_BACK_RIGHT": (-110.0, 70.0),
}
"""Name -> yaw of the optical axis, deg to the left, and horizontal field of view, deg: nuScenes' rig."""

_BELOW = (25, 15.639, 11.31, 8.843, 7.254, 6.148, 5.333, 4.667, 4, 3.667, 3.333, 3, 2.667, 2.333, 2, 1.667, 1.333, 1)
VLP32C = np.array(
    [*(-a for a in _BELOW), -0.667, -0.333, 0, 0.333, 0.667, 1, 1.333, 1.667, 2.333, 3.333, 4.667, 7, 10.333, 15]
)
"""deg, VLP-32C user manual. Argoverse 2 stacks two of them."""

_OTHER_ANGLES = {32: (VLP32C,), 64: (np.concatenate([VLP32C, VLP32C + 0.17]), np.concatenate([VLP32C, 0.1 - VLP32C]))}
"""Beams -> elevations of other sensors with as many: dense about the horizon; two above each other, the second turned
over or not."""

_FROM_AXIS = 0.75  # m from the middle of the car to its cameras


@dataclass(frozen=True)
class RigSettings:
    """cameras: how many of CAMERAS; a single one is the street's own that looks ahead, KITTI's more or less.
    width, height: of every image, px.  beams: of the LiDAR, a key of PATTERNS, None for any of them, another in every
    scene.  columns: LiDAR firings per turn, None for as many as the sensor has.  sweeps: turns of the LiDAR in a cloud,
    the newest among them.  randomise: whether place, pattern and losses of the LiDAR and the places of several cameras
    differ from scene to scene.
    Raises InputError when a value cannot be rendered.
    """

    cameras: int = 0
    width: int = 320
    height: int = 192
    beams: int | None = None
    columns: int | None = None
    sweeps: int = 1
    randomise: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.cameras <= len(CAMERAS):
            raise InputError("number of cameras", self.cameras, f"0 to {len(CAMERAS)}", "Give --cameras.")
        if min(self.width, self.height) < 32:
            raise InputError("image size", f"{self.width}x{self.height}", "at least 32x32", "Raise it.")
        if self.beams is not None and self.beams not in PATTERNS:
            raise InputError("LiDAR beams", self.beams, f"one of {tuple(PATTERNS)}, or any", "Give --beams.")
        if self.sweeps < 1:
            raise InputError("LiDAR sweeps", self.sweeps, "at least 1", "Give --sweeps.")


@dataclass(frozen=True)
class Receiver:
    """What a LiDAR makes of the light that comes back: intensity = min(gain * share ** gamma, 1)."""

    gain: float = 1.0
    gamma: float = 1.0


@dataclass(frozen=True)
class RigScene:
    """A scene whose car carries these cameras, its LiDAR's pattern and receiver, and the s between two sweeps."""

    scene: Scene
    mounts: tuple[Mount, ...]
    pattern: LidarPattern
    receiver: Receiver
    sweeps: int
    period: float

    @property
    def height(self) -> float:
        """m, of the LiDAR above the ground."""
        return float(self.scene.rig.ego_from_lidar[2, 3])


def build_rig_scene(seed: int, settings: RigSettings) -> RigScene:
    """The street of a seed, not the one `build_scene` makes of it. The same arguments give the same scene."""
    rng = np.random.default_rng([seed, 3])
    start = rng.uniform(*START)
    size = StreetSettings(settings.width, settings.height)
    scene = build_scene(seed, size, replace(CROWD, around=start), start)
    beams = int(rng.choice(list(PATTERNS))) if settings.beams is None else settings.beams
    pattern, receiver, ego_from_lidar = PATTERNS[beams], Receiver(), _pose((0.0, 0.0, 1.73))
    if settings.randomise:
        pattern, receiver, ego_from_lidar = draw_pattern(rng, pattern), draw_receiver(rng), draw_lidar_place(rng)
    if settings.columns is not None:
        pattern = replace(pattern, columns=settings.columns)
    period = rng.uniform(SWEEP / 2, SWEEP) if settings.randomise else SWEEP
    scene = replace(scene, rig=replace(scene.rig, ego_from_lidar=ego_from_lidar))
    return RigScene(scene, _mounts(rng, scene, settings), pattern, receiver, settings.sweeps, period)


def draw_pattern(rng: np.random.Generator, usual: LidarPattern) -> LidarPattern:
    """Another sensor of about the same beams: angles, firings, reach, noise and losses within what is sold."""
    elevations = usual.elevations
    others = _OTHER_ANGLES.get(len(elevations), ())
    if others and rng.random() < 0.35:
        elevations = others[rng.integers(len(others))]
    middle = elevations.mean()
    elevations = middle + (elevations - middle) * rng.uniform(0.85, 1.15) + rng.normal(0, 1.0)
    return replace(
        usual,
        elevations=np.sort(elevations + rng.normal(0, 0.02, len(elevations))),
        columns=int(rng.integers(900, 2084)),
        farthest=rng.uniform(80.0, 120.0),
        range_noise=rng.uniform(0.01, 0.04),
        dropout=rng.uniform(0.0, 0.15),
        dark_range=rng.uniform(25.0, 80.0),
    )


def draw_receiver(rng: np.random.Generator) -> Receiver:
    return Receiver(gain=float(np.exp(rng.uniform(-0.9, 0.5))), gamma=float(np.exp(rng.uniform(-0.6, 0.6))))


def draw_lidar_place(rng: np.random.Generator) -> np.ndarray:
    """(4, 4) ego from LiDAR: 1.4 to 2.1 m above the ground, not quite level, not quite straight."""
    roll, pitch, yaw = np.radians(np.clip(rng.normal(0, [0.5, 0.7, 0.5]), -2, 2))
    return _pose((rng.uniform(-0.3, 0.9), 0.0, rng.uniform(1.4, 2.1)), turned(roll, pitch, yaw))


def _pose(translation: tuple[float, float, float], rotation: np.ndarray | None = None) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3) if rotation is None else rotation
    pose[:3, 3] = translation
    return pose


def _mounts(rng: np.random.Generator, scene: Scene, settings: RigSettings) -> tuple[Mount, ...]:
    rig = scene.rig
    if settings.cameras == 1:
        return (Mount(next(iter(CAMERAS)), rig.camera, rig.ego_from_camera),)
    height = rig.ego_from_camera[2, 3]
    around = list(CAMERAS.items())[: settings.cameras]
    return tuple(_mount(rng, name, *angles, height, settings) for name, angles in around)


def _mount(rng: np.random.Generator, name: str, yaw: float, view: float, height: float, settings: RigSettings) -> Mount:
    if settings.randomise:
        view *= rng.uniform(0.9, 1.12)
    roll, pitch, aside = rng.normal(0, np.radians([0.5, 1.0, 1.5])) * settings.randomise
    heading = np.radians(yaw) + aside
    width, tall = settings.width, settings.height
    focal = width / 2 / np.tan(np.radians(view) / 2)
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (tall - 1) / 2], [0, 0, 1]])
    place = (_FROM_AXIS * np.cos(heading), _FROM_AXIS * np.sin(heading), height)
    pose = _pose(place, turned(roll, pitch, heading) @ OPTICAL)
    return Mount(name, Camera(intrinsics, width, tall), pose)


def rig_sample(
    rig: RigScene,
    renderer: Renderer | None,
    time: float,
    name: str,
    rng: np.random.Generator,
    stamp: float | None = None,
) -> RigSample:
    """The scene at `time`, s since its beginning, with truth all around: every object with a return of the newest
    sweep; who has none is unknown to the LiDAR and left out.

    renderer: of the cameras' size, None when there are no cameras.  rng: decides what the LiDAR loses and how noisy
    it is.  stamp: the sample's, s.
    """
    scene = rig.scene
    world_from_lidar = scene.world_from_lidar(time)
    newest, points = _cloud(rig, time, rng)
    hits = np.bincount(newest.instance, minlength=1 + max((i.id for i in scene.instances), default=0))
    seen = [item for item in scene.instances if hits[item.id]]
    return RigSample(
        name=name,
        points=points,
        height=rig.height,
        views=_views(rig, renderer, time),
        boxes=_boxes(seen, time, np.linalg.inv(world_from_lidar)),
        hits=np.array([hits[item.id] for item in seen], np.int64),
        stamp=stamp,
        world_from_lidar=world_from_lidar,
    )


def _cloud(rig: RigScene, time: float, rng: np.random.Generator) -> tuple[Scan, np.ndarray]:
    """The newest turn, and the points (P, 5) of all turns, newest first, moved with the car into its frame: what
    stands still agrees, what moves smears."""
    lidar_from_world = np.linalg.inv(rig.scene.world_from_lidar(time))
    newest: Scan | None = None
    clouds = []
    for k in range(rig.sweeps):
        age = k * rig.period
        turn = _turn(rig, time - age, rng)
        newest = newest or turn
        cloud = np.empty((len(turn.points), 5), np.float32)
        move = lidar_from_world @ rig.scene.world_from_lidar(time - age)
        cloud[:, :3] = turn.points[:, :3] if k == 0 else turn.points[:, :3] @ move[:3, :3].T + move[:3, 3]
        cloud[:, 3] = np.minimum(rig.receiver.gain * turn.points[:, 3] ** rig.receiver.gamma, 1.0)
        cloud[:, 4] = age
        clouds.append(cloud)
    assert newest is not None  # there is at least one sweep
    return newest, np.concatenate(clouds)


def _turn(rig: RigScene, time: float, rng: np.random.Generator) -> Scan:
    vertices, instance, _, reflectivity = rig.scene.triangles(time)
    return scan(vertices, instance, reflectivity, rig.scene.world_from_lidar(time), rig.pattern, rng)


def _views(rig: RigScene, renderer: Renderer | None, time: float) -> tuple[View, ...]:
    if renderer is None or not rig.mounts:
        return ()
    images = renderer.views(rig.scene, time, rig.mounts)
    ego_from_lidar = rig.scene.rig.ego_from_lidar
    return tuple(
        View(mount.name, image, mount.camera, np.linalg.inv(mount.ego_from_camera) @ ego_from_lidar)
        for mount, image in zip(rig.mounts, images, strict=True)
    )


def _boxes(items: list[Instance], time: float, lidar_from_world: np.ndarray) -> Boxes3D:
    """Truth in the LiDAR's frame; of its tilt boxes keep the place, not the slant."""
    poses = np.array([lidar_from_world @ item.pose(time) for item in items]).reshape(-1, 4, 4)
    size = np.array([item.size for item in items], np.float64).reshape(-1, 3)
    count = len(items)
    return Boxes3D(
        center=poses[:, :3, 3] + poses[:, :3, 2] * size[:, 2:] / 2,
        size=size,
        yaw=np.arctan2(poses[:, 1, 0], poses[:, 0, 0]),
        label=np.array([CLASSES.index(item.kind) for item in items], np.int64),
        score=np.ones(count),
        box2d=np.full((count, 4), np.nan),
        classes=CLASSES,
        axes=Axes.BODY,
    )
