"""A street at any moment: what stands in it, what moves, the light, and who looks at it.

World frame: z up, metres, the road's surface at z = 0. Built by `layout.build_scene`, seen by `render.Renderer`.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from voxbox_core.camera import Camera
from voxbox_core.datasets.street.materials import Material, Semantic, reflectivity
from voxbox_core.datasets.street.mesh import Mesh, join
from voxbox_core.datasets.street.motion import Motion
from voxbox_core.datasets.street.solids import containing

KINDS = {
    "Car": Semantic.CAR,
    "Van": Semantic.VAN,
    "Truck": Semantic.TRUCK,
    "Bus": Semantic.BUS,
    "Cyclist": Semantic.BICYCLE,
    "Pedestrian": Semantic.PERSON,
}
"""Kinds of labelled objects, by KITTI's names, and what they are made of. A cyclist's rider is a person."""


@dataclass(frozen=True)
class Instance:
    """A labelled object.  id: >= 1.  kind: one of KINDS.  mesh: in the object's frame (x forward, y left, z up,
    origin at the centre of the bottom face).  size: (3,) length, width, height, m.  motion: its way.
    trim: (5, 4) what the shader draws on its paint, see vehicles.Trim; zeros for none."""

    id: int
    kind: str
    mesh: Mesh
    size: np.ndarray
    motion: Motion
    trim: np.ndarray = field(default_factory=lambda: np.zeros((5, 4), np.float32))

    def pose(self, t: float) -> np.ndarray:
        """(4, 4) world from object at time t, s."""
        return self.motion.pose(t)

    def semantics(self) -> np.ndarray:
        """(F,) u8 Semantic of every face."""
        alive = np.isin(self.mesh.material, (Material.CLOTH, Material.SKIN))
        return np.where(alive, Semantic.PERSON, KINDS[self.kind]).astype(np.uint8)


@dataclass(frozen=True)
class Part:
    """Something that never moves.  mesh: in the world.  solid: whether it fills space (lane markings do not)."""

    mesh: Mesh
    semantic: Semantic
    solid: bool = True


@dataclass(frozen=True)
class Light:
    """sun: (3,) unit vector towards the sun.  sun_color, ambient, zenith, horizon, haze_color: (3,) linear RGB
    radiance.  clouds: [0, 1].  haze: 1/m, extinction.  wet: [0, 1], how much the road mirrors."""

    sun: np.ndarray
    sun_color: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    haze_color: np.ndarray
    clouds: float
    haze: float
    wet: float


@dataclass(frozen=True)
class Look:
    """How the camera turns radiance into pixels.  exposure: gain.  white: (3,) gain per channel.
    shoulder: [0, 1], from hard clipping to a soft roll-off.  contrast, saturation: 1 is neutral.
    blur: px, standard deviation.  noise: standard deviation in [0, 1].  vignette: loss of light in the corners."""

    exposure: float
    white: np.ndarray
    shoulder: float
    contrast: float
    saturation: float
    blur: float
    noise: float
    vignette: float


@dataclass(frozen=True)
class Mount:
    """A camera on the car.  name: of the camera.  ego_from_camera: (4, 4), see Rig."""

    name: str
    camera: Camera
    ego_from_camera: np.ndarray


@dataclass(frozen=True)
class Rig:
    """The car that looks.  camera: for the size images are rendered at.  ego_from_camera, ego_from_lidar: (4, 4);
    ego frame: x forward, y left, z up, on the ground.  motion: of the ego frame."""

    camera: Camera
    ego_from_camera: np.ndarray
    ego_from_lidar: np.ndarray
    motion: Motion


@dataclass(frozen=True)
class Scene:
    """A seeded street; see the module."""

    seed: int
    instances: tuple[Instance, ...]
    parts: tuple[Part, ...]
    light: Light
    look: Look
    rig: Rig

    @property
    def camera(self) -> Camera:
        return self.rig.camera

    def world_from_camera(self, t: float) -> np.ndarray:
        """(4, 4), from the optical frame (x right, y down, z forward)."""
        return self.rig.motion.pose(t) @ self.rig.ego_from_camera

    def world_from_lidar(self, t: float) -> np.ndarray:
        """(4, 4), from the LiDAR's frame (x forward, y left, z up)."""
        return self.rig.motion.pose(t) @ self.rig.ego_from_lidar

    @cached_property
    def static(self) -> Mesh:
        """All parts as one mesh in the world."""
        return join([part.mesh for part in self.parts])

    def triangles(self, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Everything there is at time t: corners (T, 3, 3) f32 in the world, m; instance id (T,) i32, 0 for the
        static world; Semantic (T,) u8; LiDAR reflectivity (T,) f32 in [0, 1]."""
        corners, ids, semantics, returns = [], [], [], []
        for part in self.parts:
            count = len(part.mesh.faces)
            corners.append(part.mesh.triangles())
            ids.append(np.zeros(count, np.int32))
            semantics.append(np.full(count, part.semantic, np.uint8))
            returns.append(reflectivity(part.mesh.material, part.mesh.color))
        for item in self.instances:
            corners.append(_placed(item, t))
            ids.append(np.full(len(item.mesh.faces), item.id, np.int32))
            semantics.append(item.semantics())
            returns.append(reflectivity(item.mesh.material, item.mesh.color))
        return np.concatenate(corners), np.concatenate(ids), np.concatenate(semantics), np.concatenate(returns)

    def semantics_at(self, points: np.ndarray, t: float) -> np.ndarray:
        """What points (P, 3) of the world, m, lie in at time t -> (P,) u8 of Semantic.

        Below the road's surface is ground. Where solids overlap, objects win over static parts and later parts over
        earlier ones.
        """
        points = np.asarray(points, np.float64)
        found = np.where(points[:, 2] < 0, Semantic.GROUND, Semantic.AIR).astype(np.uint8)
        for part in self.parts:
            if part.solid:
                found[containing(part.mesh.triangles(), points)] = part.semantic
        for item in self.instances:
            corners, semantics = _placed(item, t), item.semantics()
            for kind in np.unique(semantics):
                found[containing(corners[semantics == kind], points)] = kind
        return found


def _placed(item: Instance, t: float) -> np.ndarray:
    pose = item.pose(t)
    return (item.mesh.triangles() @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32)
