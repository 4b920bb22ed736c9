"""The street world as SemanticVoxels has it (SSZ, section 3.4): an image, the voxels before its camera, depth, poses.

The camera is the grid's own, so that image and cells are aligned; its place is another in every view.
"""

from dataclasses import dataclass, replace

import numpy as np

from voxbox_core.datasets.street.character import Street, draw_street
from voxbox_core.datasets.street.layout import StreetSettings, build_scene
from voxbox_core.datasets.street.materials import Semantic
from voxbox_core.datasets.street.render import Frame, Renderer
from voxbox_core.datasets.street.scene import KINDS, Instance, Scene
from voxbox_core.datasets.street.traffic import Crowd
from voxbox_core.datasets.street.viewpoint import Sought, choose_rig
from voxbox_core.datasets.voxel_sample import Poses, VoxelSample
from voxbox_core.fruxel import PAPER, STREET, Fruxel
from voxbox_core.voxelize import SUBSLICES, fill, occupancy
from voxbox_core.voxels import Voxels

CROWD = Crowd(
    parked=(("Car", 0.76), ("Van", 0.15), ("Truck", 0.06), ("Bus", 0.03)),
    moving=(("Car", 0.58), ("Van", 0.17), ("Truck", 0.13), ("Bus", 0.12)),
    people=2.5,
    first=-30.0,
    last=105.0,
)
"""Enough of the rare kinds to learn them, on the whole furnished street."""

START = (0.0, 30.0)
"""m: the s the car starts from."""

GRIDS = {
    "street": (STREET, Sought((4.0, 24.0), share=0.5)),
    "paper": (PAPER, Sought((4.0, 10.0), share=1.0)),
}
"""Name -> grid, and what its camera turns to: the paper's grid ends where a car's camera begins to see something."""

TOO_NEAR = 0.3
"""Share of an image that may show what is nearer than the grid; of more than that another view is taken."""

_RAYS = 3  # along rows and columns of a cell, where middles do not do

_VIEWS = 4  # at most, until one is not blocked


@dataclass(frozen=True)
class VoxelSettings:
    """grid: of the voxels.  sought: see there.  per_cell: pixels of the image before a column of cells, along x and
    y."""

    grid: Fruxel = STREET
    sought: Sought = GRIDS["street"][1]
    per_cell: int = 4


@dataclass(frozen=True)
class VoxelScene:
    """A scene, and the street it is on."""

    scene: Scene
    street: Street


def build_voxel_scene(seed: int, settings: VoxelSettings) -> VoxelScene:
    """The street of a seed, not the one `build_scene` makes of it by itself. The same arguments give the same scene."""
    start = np.random.default_rng([seed, 5]).uniform(*START)
    camera = settings.grid.camera(settings.per_cell)
    size = StreetSettings(camera.width, camera.height)
    scene = build_scene(seed, size, replace(CROWD, around=start), start)
    return VoxelScene(scene, draw_street(np.random.default_rng(seed)))  # what build_scene draws first


def aligned_sample(
    world: VoxelScene, renderer: Renderer, time: float, name: str, rng: np.random.Generator, settings: VoxelSettings
) -> VoxelSample:
    """The scene at `time`, s since its beginning, seen by a camera aligned with the grid.

    renderer: of that camera's size.  rng: decides where the camera is.
    """
    camera = settings.grid.camera(settings.per_cell)
    for _ in range(_VIEWS):
        rig = choose_rig(rng, world.scene, world.street, time, camera, settings.sought)
        scene = replace(world.scene, rig=rig)
        frame = renderer.render(scene, time)
        if np.mean(frame.depth < settings.grid.near) <= TOO_NEAR:
            break
    return sample_of(scene, frame, time, name, settings.grid)


def sample_of(
    scene: Scene, frame: Frame, time: float, name: str, grid: Fruxel, stamp: float | None = None
) -> VoxelSample:
    """What the scene's own camera sees in `frame`, rendered at `time`, s, with the truth before it.  stamp: s."""
    world_from_camera = scene.world_from_camera(time)
    return VoxelSample(
        name=name,
        image=frame.rgb,
        camera=scene.camera,
        voxels=Voxels(solids(scene, time, world_from_camera, grid), grid),
        depth=frame.depth,
        poses=poses(scene, time, world_from_camera, grid),
        world_from_camera=world_from_camera,
        scene=f"street-{scene.seed}",
        stamp=stamp,
    )


def solids(scene: Scene, t: float, world_from_camera: np.ndarray, grid: Fruxel) -> np.ndarray:
    """(slices, rows, columns) uint8: what fills the cells before a camera at time t, s. Objects are solid, all below
    the road's surface is ground, and what has no class (fences, lamp posts) is unknown."""
    camera_from_world = np.linalg.inv(world_from_camera)
    parts = [
        (_moved(part.mesh.triangles(), camera_from_world), _label(part.semantic)) for part in scene.parts if part.solid
    ]
    for item in scene.instances:
        camera_from_object = camera_from_world @ item.pose(t)
        if not _may_reach(item, camera_from_object, grid):
            continue
        triangles, semantics = _moved(item.mesh.triangles(), camera_from_object), item.semantics()
        parts += [(triangles[semantics == kind], _label(kind)) for kind in np.unique(semantics)]
    labels = fill(parts, grid, _underground(world_from_camera, grid))
    for triangles, label in parts:
        if label == Semantic.BICYCLE:
            labels[_touched(triangles, grid) & (labels != Semantic.PERSON)] = label
    return labels


def _touched(triangles: np.ndarray, grid: Fruxel) -> np.ndarray:
    """(slices, rows, columns) bool: cells in which there is something of a solid anywhere between their rays. The tubes
    of a bicycle are thinner than cells, and slip through between their middles."""
    k = _RAYS
    x, y = grid.principal
    fine = replace(grid, rows=k * grid.rows, columns=k * grid.columns, principal=(k * x, k * y))
    cells = occupancy(triangles, fine)
    return np.asarray(cells.reshape(grid.slices, grid.rows, k, grid.columns, k).any((2, 4)))


def _may_reach(item: Instance, camera_from_object: np.ndarray, grid: Fruxel) -> bool:
    """Whether a ball around an object touches the grid; said of some that do not, too."""
    low, high = item.mesh.vertices.min(0), item.mesh.vertices.max(0)
    radius = np.linalg.norm(high - low) / 2
    x, y, z = camera_from_object[:3, :3] @ ((low + high) / 2) + camera_from_object[:3, 3]
    widest = max(*grid.principal, grid.columns - grid.principal[0], grid.rows - grid.principal[1]) / grid.focal
    beside = (max(abs(x), abs(y)) - widest * z) / np.hypot(1, widest)  # m, outside of the pyramid's sides
    return bool(z + radius > grid.near and z - radius < grid.far and beside < radius)


def _label(semantic: int) -> int | None:
    return None if semantic == Semantic.OTHER else int(semantic)


def _moved(triangles: np.ndarray, camera_from_mesh: np.ndarray) -> np.ndarray:
    return np.asarray(triangles @ camera_from_mesh[:3, :3].T + camera_from_mesh[:3, 3])


def _underground(world_from_camera: np.ndarray, grid: Fruxel) -> np.ndarray:
    """(slices, rows, columns) bool: cells that reach below z = 0 at one of their sub-slices."""
    rise = grid.rays @ world_from_camera[2, :3]
    depths = grid.plane((np.arange(grid.slices * SUBSLICES) + 0.5) / SUBSLICES).reshape(grid.slices, SUBSLICES)
    reached = np.where(rise < 0, depths.max(1)[:, None, None], depths.min(1)[:, None, None])
    return np.asarray(world_from_camera[2, 3] + reached * rise < 0)


def poses(scene: Scene, t: float, world_from_camera: np.ndarray, grid: Fruxel) -> Poses:
    """Of the objects whose centre is in the grid, seen or not."""
    camera_from_world = np.linalg.inv(world_from_camera)
    placed = [(item, _centred(camera_from_world @ item.pose(t), item)) for item in scene.instances]
    centers = np.array([pose[:3, 3] for _, pose in placed]).reshape(-1, 3)
    inside = [pair for pair, known in zip(placed, grid.locate(centers)[1], strict=True) if known]
    return Poses.of(
        label=np.array([KINDS[item.kind] for item, _ in inside]),
        translation=np.array([pose[:3, 3] for _, pose in inside]),
        turns=np.array([pose[:3, :3] for _, pose in inside]),
        size=np.array([item.size for item, _ in inside]),
    )


def _centred(camera_from_object: np.ndarray, item: Instance) -> np.ndarray:
    pose = camera_from_object.copy()
    pose[:3, 3] += pose[:3, 2] * item.size[2] / 2
    return pose
