"""Where a camera that looks at the street for voxels stands: in its car, or anywhere with something before it."""

from dataclasses import dataclass, replace

import numpy as np

from voxbox_core.camera import Camera
from voxbox_core.datasets.street.character import Street
from voxbox_core.datasets.street.materials import Semantic
from voxbox_core.datasets.street.motion import Motion
from voxbox_core.datasets.street.scene import Instance, Rig, Scene
from voxbox_core.datasets.street.viewer import OPTICAL, turned

HEIGHT = (1.2, 1.9)  # m, of the camera
PITCH, ROLL, YAW = 4.0, 1.5, 4.0
"""deg, at most, of a camera in its car."""

ALONG = 0.6
"""Share of the sought views that look along the street, more or less; the others look from anywhere."""

WEIGHTS = {"Cyclist": 4.0, "Pedestrian": 2.0, "Car": 1.0, "Van": 1.0, "Truck": 0.7, "Bus": 0.7}
"""How often each kind is sought, among those there are: the small ones fill few cells."""

_TRIES = 12
_CLEARANCE = 1.0  # m around the camera and between it and what is sought
_ASIDE = 0.35  # of the field of view, how far from its middle what is sought may be


@dataclass(frozen=True)
class Sought:
    """What the camera turns to.  reach: m, nearest and furthest.  share: of the views that seek something."""

    reach: tuple[float, float]
    share: float


def choose_rig(rng: np.random.Generator, scene: Scene, street: Street, t: float, camera: Camera, sought: Sought) -> Rig:
    """The scene's car with another camera, in a place of its own if it seeks something at time t, s, and finds it.

    Of what is sought the kind is drawn first, see WEIGHTS, so that the rare ones are seen too.
    """
    if rng.random() < sought.share:
        found = _seek(rng, scene, street, t, camera, sought.reach)
        if found is not None:
            return found
    yaw = np.radians(rng.uniform(-YAW, YAW))
    return replace(scene.rig, camera=camera, ego_from_camera=_mount(rng, yaw))


def _seek(
    rng: np.random.Generator, scene: Scene, street: Street, t: float, camera: Camera, reach: tuple[float, float]
) -> Rig | None:
    kinds = sorted({item.kind for item in scene.instances})
    weights = np.array([WEIGHTS[kind] for kind in kinds])
    for _ in range(_TRIES if kinds else 0):
        kind = rng.choice(kinds, p=weights / weights.sum())
        items = [item for item in scene.instances if item.kind == kind]
        item = items[rng.integers(len(items))]
        target = item.pose(t)[:3, 3] + [0, 0, item.size[2] / 2]
        distance, bearing = rng.uniform(*reach) + item.size[0] / 4, _bearing(rng, street, float(target[0]))
        mount = _mount(rng, 0.0)
        place = target[:2] - distance * np.array([np.cos(bearing), np.sin(bearing)])
        if not _sees(scene, t, np.append(place, mount[2, 3]), target, item):
            continue
        view = 2 * np.arctan(camera.width / 2 / camera.intrinsics[0, 0])
        heading = bearing + rng.uniform(-_ASIDE, _ASIDE) * view
        motion = Motion(place[0], place[1], heading)
        return replace(scene.rig, camera=camera, ego_from_camera=mount, motion=motion)
    return None


def _bearing(rng: np.random.Generator, street: Street, s: float) -> float:
    """rad, in the world: the way the camera looks."""
    if rng.random() >= ALONG:
        return float(rng.uniform(-np.pi, np.pi))
    return float(street.road.place(s, 0.0)[2] + rng.choice([0.0, np.pi]) + np.radians(rng.uniform(-35, 35)))


def _mount(rng: np.random.Generator, yaw: float) -> np.ndarray:
    """(4, 4) ego from camera: not quite level."""
    pose = np.eye(4)
    roll, pitch = np.radians([rng.uniform(-ROLL, ROLL), rng.uniform(-PITCH, PITCH)])
    pose[:3, :3] = turned(roll, pitch, yaw) @ OPTICAL
    pose[2, 3] = rng.uniform(*HEIGHT)
    return pose


def _sees(scene: Scene, t: float, eye: np.ndarray, target: np.ndarray, item: Instance) -> bool:
    """Whether there is room around the eye, and nothing that stands still between it and the target."""
    for other in scene.instances:
        pose = other.pose(t)
        x, y = np.abs(pose[:2, :2].T @ (eye[:2] - pose[:2, 3])) - np.asarray(other.size[:2]) / 2
        if max(x, y) < _CLEARANCE:
            return False
    away = np.linalg.norm(target - eye)
    free = 1 - min(item.size[:2].max() / 2 / away, 0.9)
    between = eye + np.linspace(0, free, 20)[:, None] * (target - eye)
    angles = np.arange(8) * np.pi / 4
    around = eye + _CLEARANCE * np.stack([np.cos(angles), np.sin(angles), np.zeros(8)], -1)
    return bool((replace(scene, instances=()).semantics_at(np.concatenate([between, around]), t) == Semantic.AIR).all())
