"""Single objects from mesh files before the camera, in any pose, on nothing: the paper's ShapeNet set (section 4.2)."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxbox_core.camera import Camera
from voxbox_core.datasets.mesh_file import SUFFIXES, read_triangles
from voxbox_core.datasets.street.materials import Material, Semantic
from voxbox_core.datasets.street.mesh import Mesh, box, build, standing
from voxbox_core.datasets.street.motion import Motion
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.scene import Instance, Part, Rig, Scene
from voxbox_core.datasets.street.viewer import OPTICAL, draw_light, draw_look, turned
from voxbox_core.datasets.voxel_sample import Poses, VoxelSample
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, CLASSES, Voxels
from voxbox_core.watertight import Holes, filled, open_edges

WORDS = {
    "person": ("person", "pedestrian", "human"),
    "bicycle": ("bicycle", "bike", "motorcycle", "motorbike"),
    "truck": ("truck", "lorry"),
    "bus": ("bus",),
    "van": ("van", "ambulance"),
    "building": ("building", "house"),
    "tree": ("tree", "bush"),
    "car": ("car", "sedan", "hatchback", "suv", "taxi", "police", "stationwagon", "pickup", "prius"),
}
"""What file and folder names call the classes, in the order they are asked in."""

SIZE = (2.0, 4.0)
"""m: the longest side that an object is scaled to, so that all fit into the grid."""

ELEVATION = (0.0, 35.0)
"""deg, of the camera above the object."""

_KINDS = {
    "person": "Pedestrian",
    "bicycle": "Cyclist",
    "truck": "Truck",
    "bus": "Bus",
    "van": "Van",
}


@dataclass(frozen=True)
class Model:
    """A mesh from a file.  name: of the file.  label: index into CLASSES.  mesh: x forward, y left, z up, standing on
    the origin, its longest side 1."""

    name: str
    label: int
    mesh: Mesh


@dataclass(frozen=True)
class Models:
    """models: those that can be used.  refused: file name -> why, of the others."""

    models: tuple[Model, ...]
    refused: dict[str, str]


def read_models(folder: Path, holes: Holes = "refuse") -> Models:
    """The meshes of a folder and its folders, x forward and z up.

    holes: see `watertight.filled`; with "refuse" meshes that are not closed are refused. So are damaged ones, and those
    whose name and folder tell no class, see WORDS. Raises InputError for a folder without a mesh that can be used."""
    found, refused = [], {}
    for path in sorted(p for p in Path(folder).rglob("*") if p.suffix in SUFFIXES):
        name = str(path.relative_to(folder).with_suffix("")).replace("/", "-")
        label = _label(name)
        if label is None:
            refused[path.name] = "of no class that its name tells"
            continue
        try:
            triangles = read_triangles(path)
        except InputError as error:
            refused[path.name] = str(error.value)
            continue
        if holes == "refuse" and (edges := open_edges(triangles)):
            refused[path.name] = f"not watertight: {edges} open edges"
            continue
        found.append(Model(name, label, _normalised(triangles)))
    if not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in refused.items()) or "none"
        raise InputError(
            f"meshes in {folder}", why, f"{SUFFIXES} files, closed, named after {CLASSES[1:]}", "Add some."
        )
    return Models(tuple(found), refused)


def single_sample(
    model: Model, renderer: Renderer, grid: Fruxel, per_cell: int, name: str, rng: np.random.Generator, holes: Holes
) -> VoxelSample:
    """A model of some size, colour and pose, whole in the grid.  renderer: of the size of the grid's camera."""
    camera = grid.camera(per_cell)
    size = rng.uniform(*SIZE)
    color, material = rng.uniform(0.03, 0.7, 3), rng.choice([Material.PAINT, Material.MATTE, Material.METAL])
    mesh = model.mesh.moved(scale=(size, size, size)).painted(color, np.ones(len(model.mesh.faces), bool), material)
    extent = mesh.size().astype(np.float64)
    item = Instance(1, _KINDS.get(CLASSES[model.label], "Car"), mesh, extent, Motion(0.0, 0.0, 0.0))
    world_from_camera = _looking(rng, grid, camera, extent)
    scene = Scene(
        seed=int(rng.integers(2**31)),
        instances=(item,),
        # The renderer wants something that stands still: a grain, far below.
        parts=(Part(box((0.01, 0.01, 0.01), (0, 0, -60), (0, 0, 0)), Semantic.OTHER, solid=False),),
        light=draw_light(rng),
        look=draw_look(rng),
        rig=Rig(camera, world_from_camera, np.eye(4), Motion(0.0, 0.0, 0.0)),
    )
    frame = renderer.render(scene, 0.0)
    camera_from_world = np.linalg.inv(world_from_camera)
    triangles = mesh.triangles() @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    labels = np.where(filled(triangles, grid, holes), model.label, AIR).astype(np.uint8)
    center = camera_from_world[:3, :3] @ [0, 0, extent[2] / 2] + camera_from_world[:3, 3]
    poses = Poses.of(np.array([model.label]), center, camera_from_world[:3, :3], extent)
    return VoxelSample(name, frame.rgb, camera, Voxels(labels, grid), frame.depth, poses, world_from_camera, model.name)


def _label(name: str) -> int | None:
    words = set(re.split("[^a-z]+", name.lower()))
    return next((CLASSES.index(kind) for kind, known in WORDS.items() if words & set(known)), None)


def _normalised(triangles: np.ndarray) -> Mesh:
    corners = triangles.reshape(-1, 3)
    places, number = np.unique(corners, axis=0, return_inverse=True)
    places = places / np.ptp(places, axis=0).max()
    return standing(build(places, number.reshape(-1, 3), (0.5, 0.5, 0.5), Material.MATTE, 40.0))


def _looking(rng: np.random.Generator, grid: Fruxel, camera: Camera, extent: np.ndarray) -> np.ndarray:
    """(4, 4) world from camera: the ball around an object at the origin is in the grid."""
    radius = float(np.linalg.norm(extent)) / 2
    slopes = (camera.width / 2 / camera.intrinsics[0, 0], camera.height / 2 / camera.intrinsics[1, 1])
    nearest = max(grid.near + radius, *(radius * np.hypot(1, slope) / slope for slope in slopes))
    depth = rng.uniform(nearest, max(grid.far - radius, nearest))
    room = [max(slope * depth - radius * np.hypot(1, slope), 0.0) for slope in slopes]
    place = np.array([rng.uniform(-room[0], room[0]), rng.uniform(-room[1], room[1]), depth])
    pose = np.eye(4)
    pitch, yaw = np.radians(rng.uniform(*ELEVATION)), rng.uniform(-np.pi, np.pi)
    pose[:3, :3] = turned(0.0, pitch, yaw) @ OPTICAL
    pose[:3, 3] = np.array([0, 0, extent[2] / 2]) - pose[:3, :3] @ place
    return pose
