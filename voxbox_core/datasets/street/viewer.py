"""Who looks and in which light: the camera car's place, its camera and LiDAR, sun, sky and the camera's response."""

import numpy as np

from voxbox_core.camera import Camera
from voxbox_core.datasets.street.character import Street
from voxbox_core.datasets.street.motion import Motion
from voxbox_core.datasets.street.scene import Light, Look, Rig

FOCAL = 721.5 / 1242
"""KITTI's focal length over its image width."""

CAMERA_HEIGHT = 1.65
"""m, KITTI's."""

OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Columns: the optical axes (right, down, forward) in a frame x forward, y left, z up."""

EGO_SIZE = (5.0, 1.9)  # m; the camera stands at the middle of its own car


def draw_rig(
    rng: np.random.Generator, street: Street, width: int, height: int, start: float = 0.0
) -> tuple[Rig, Motion]:
    """The camera car, driving along one of its lanes from s = start, m, on or, standing, looking around at an angle;
    and its motion."""
    own = [lane for lane in street.lanes if lane[1] > 0]
    d, _, speed = own[rng.integers(len(own))]
    aside = 0.0 if rng.random() < 0.85 else rng.uniform(-0.6, 0.6)
    motion = street.road.motion(start, d + rng.normal(0, 0.2), speed if aside == 0 else 0.0, aside)
    usual = rng.random() < 0.6
    focal = FOCAL * width * (rng.uniform(0.97, 1.03) if usual else rng.uniform(0.8, 1.35))
    cx, cy = (width - 1) / 2 + rng.normal(0, 0.008) * width, (height - 1) / 2 + rng.normal(-0.03, 0.03) * height
    camera = Camera(np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]]), width, height)
    rise = CAMERA_HEIGHT + rng.normal(0, 0.05) if usual else rng.uniform(1.3, 2.0)
    pitch, roll, yaw = np.radians(np.clip(rng.normal(0, [0.9, 0.5, 0.8]), -3, 3))
    ego_from_camera = np.eye(4)
    ego_from_camera[:3, :3] = turned(roll, pitch, yaw) @ OPTICAL
    ego_from_camera[:3, 3] = [0.27, 0.0, rise]
    ego_from_lidar = np.eye(4)
    ego_from_lidar[:3, 3] = [0.0, 0.0, rise + 0.08]
    return Rig(camera, ego_from_camera, ego_from_lidar, motion), motion


def turned(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """(3, 3) rotation: roll about x, then pitch about y, then yaw about z."""
    c, s = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_x = np.array([[1, 0, 0], [0, c[0], -s[0]], [0, s[0], c[0]]])
    about_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    about_z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def draw_light(rng: np.random.Generator) -> Light:
    """Mostly sunny, as KITTI is; a quarter of the days are overcast, a few of those hazy and wet."""
    overcast = rng.random() < 0.22
    elevation, azimuth = np.radians(rng.uniform(14, 62)), rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    warmth = np.array([1.0, 0.94 - 0.10 * (1 - np.sin(elevation)), 0.84 - 0.22 * (1 - np.sin(elevation))])
    strength = rng.uniform(0.05, 0.5) if overcast else rng.uniform(2.0, 3.6)
    clouds = rng.uniform(0.8, 1.0) if overcast else rng.uniform(0.0, 0.8)
    ambient = np.array([0.50, 0.55, 0.63]) * (rng.uniform(0.9, 1.4) if overcast else rng.uniform(0.3, 0.8))
    zenith = np.array([0.18, 0.34, 0.75]) * rng.uniform(0.7, 1.5)
    horizon = np.array([0.80, 0.92, 1.05]) * rng.uniform(0.9, 1.6)
    return Light(
        sun=sun,
        sun_color=warmth * strength,
        ambient=ambient,
        zenith=zenith,
        horizon=horizon,
        haze_color=horizon * rng.uniform(0.55, 0.8),
        clouds=clouds,
        haze=rng.uniform(0.0008, 0.0035) if overcast else rng.uniform(0.0002, 0.0015),
        wet=rng.uniform(0.2, 0.6) if overcast and rng.random() < 0.4 else rng.uniform(0.0, 0.15),
    )


def draw_look(rng: np.random.Generator) -> Look:
    return Look(
        exposure=rng.uniform(0.65, 1.45),
        white=1 + rng.normal(0, 0.03, 3),
        shoulder=rng.uniform(0.0, 0.8),
        contrast=rng.uniform(1.0, 1.3),
        saturation=rng.uniform(0.75, 1.2),
        blur=rng.uniform(0.45, 0.8),
        noise=rng.uniform(0.003, 0.018),
        vignette=rng.uniform(0.0, 0.25),
    )
