"""Triangle meshes with colour and material per face, and the closed solids everything in the street is made of.

Faces turn counter-clockwise seen from outside, so that a mesh is a union of solids and `Scene.semantics_at` can ask
what a point lies in. Frame of a shape: x forward, y left, z up, origin on the ground below its middle, metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from voxbox_core.datasets.street.materials import Material


@dataclass(frozen=True)
class Mesh:
    """vertices: (V, 3) f32, m.  faces: (F, 3) i32.  normals: (F, 3, 3) f32 per corner.
    texture: (F, 3, 2) f32 texture coordinates per corner.  color: (F, 3) f32 linear RGB.
    material: (F,) u8 of Material."""

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    texture: np.ndarray
    color: np.ndarray
    material: np.ndarray

    def triangles(self) -> np.ndarray:
        """(F, 3, 3) f32 corners, m."""
        return self.vertices[self.faces]

    def size(self) -> np.ndarray:
        """(3,) extent along x, y, z, m."""
        return self.vertices.max(0) - self.vertices.min(0)

    def moved(self, offset: ArrayLike = (0, 0, 0), yaw: float = 0.0, scale: ArrayLike = (1, 1, 1)) -> "Mesh":
        """Scaled about the origin, turned about z, then shifted."""
        cos, sin = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        scale = np.asarray(scale, np.float64)
        vertices = (self.vertices * scale) @ turn + np.asarray(offset)
        normals = (self.normals / scale) @ turn
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
        return replace(self, vertices=vertices.astype(np.float32), normals=normals.astype(np.float32))

    def painted(self, color: np.ndarray, where: np.ndarray, material: Material | None = None) -> "Mesh":
        """With another colour, and material if given, on the faces `where` (F,) bool."""
        colors = np.where(where[:, None], np.float32(color), self.color).astype(np.float32)
        if material is None:
            return replace(self, color=colors)
        return replace(self, color=colors, material=np.where(where, material, self.material).astype(np.uint8))


def join(meshes: Sequence[Mesh]) -> Mesh:
    """All faces of all meshes."""
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + s for m, s in zip(meshes, starts)]).astype(np.int32),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.texture for m in meshes]),
        np.concatenate([m.color for m in meshes]),
        np.concatenate([m.material for m in meshes]),
    )


def standing(mesh: Mesh) -> Mesh:
    """Shifted so that its box stands on the origin: centred in x and y, lowest point at z = 0."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    return mesh.moved((-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2]))


def build(
    vertices: np.ndarray,
    faces: np.ndarray,
    color: ArrayLike,
    material: Material | np.ndarray,
    crease: float = 0.0,
    texture: np.ndarray | None = None,
) -> Mesh:
    """A mesh; normals are smoothed over edges that bend less than `crease` degrees, faces without area dropped.

    color: (3,) or (F, 3).  material: one or (F,).  texture: (F, 3, 2), zeros when not given.
    """
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    doubled = _cross(b - a, c - a)
    area = np.linalg.norm(doubled, axis=1)
    keep = area > 1e-10
    faces, doubled, area = faces[keep], doubled[keep], area[keep]
    flat = doubled / area[:, None]
    normals = np.repeat(flat[:, None], 3, 1)
    if crease > 0:
        corners = faces.ravel()
        summed = np.stack([np.bincount(corners, np.repeat(axis, 3), len(vertices)) for axis in doubled.T], -1)
        smooth = summed[faces]
        smooth /= np.linalg.norm(smooth, axis=-1, keepdims=True) + 1e-12
        gentle = (smooth * flat[:, None]).sum(-1, keepdims=True) > np.cos(np.radians(crease))
        normals = np.where(gentle, smooth, normals)
    count = len(faces)
    colors, materials = np.asarray(color, np.float32), np.asarray(material, np.uint8)
    return Mesh(
        vertices.astype(np.float32),
        faces.astype(np.int32),
        normals.astype(np.float32),
        np.zeros((count, 3, 2), np.float32) if texture is None else np.asarray(texture, np.float32)[keep],
        np.array(np.broadcast_to(colors if colors.ndim == 1 else colors[keep], (count, 3))),
        np.array(np.broadcast_to(materials if materials.ndim == 0 else materials[keep], (count,))),
    )


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """np.cross of (N, 3), without its overhead."""
    return a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]


_CORNERS = np.array([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
_QUADS = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]])
_BOX_FACES = np.concatenate([_QUADS[:, [0, 1, 2]], _QUADS[:, [0, 2, 3]]])


def box(
    size: ArrayLike,
    center: ArrayLike,
    color: ArrayLike,
    material: Material = Material.MATTE,
    taper: ArrayLike = (1.0, 1.0),
) -> Mesh:
    """A box whose top is scaled by `taper` along x and y. Its texture runs horizontally and up, in metres for
    walls and in [0, 1] for plates."""
    corners = _CORNERS.copy()
    corners[4:, :2] *= np.asarray(taper)
    texture = _box_texture(np.asarray(size, np.float64), material)
    return build(corners * np.asarray(size) + np.asarray(center), _BOX_FACES, color, material, 0.0, texture)


def _box_texture(size: np.ndarray, material: Material) -> np.ndarray:
    corners = (_CORNERS + 0.5) * (np.ones(3) if material == Material.PLATE else size)
    x, y, up = np.moveaxis(corners[_BOX_FACES], -1, 0)
    looks_along_x = np.array([0, 0, 0, 0, 1, 1] * 2, bool)[:, None]
    return np.stack([np.where(looks_along_x, y, x), up], -1)


def skin(rings: np.ndarray, color: ArrayLike, material: Material | np.ndarray, crease: float = 50.0) -> Mesh:
    """Rings (N, K, 3) of points, counter-clockwise seen from the last ring's side, joined and capped.

    color: (3,) or (F, 3), material: one or (F,), for the F = 2 N K faces: 2 per quad (ring, point), then the caps.
    """
    n, k = rings.shape[:2]
    vertices = np.concatenate([rings.reshape(-1, 3), rings[0].mean(0, keepdims=True), rings[-1].mean(0, keepdims=True)])
    i, j = np.meshgrid(np.arange(n - 1), np.arange(k), indexing="ij")
    after = (j + 1) % k
    a, b, c, d = i * k + j, i * k + after, (i + 1) * k + after, (i + 1) * k + j
    sides = np.stack([a, b, c, a, c, d], -1).reshape(-1, 3)
    around, next_ = np.arange(k), (np.arange(k) + 1) % k
    first = np.stack([np.full(k, n * k), next_, around], -1)
    last = np.stack([np.full(k, n * k + 1), (n - 1) * k + around, (n - 1) * k + next_], -1)
    return build(vertices, np.concatenate([sides, first, last]), color, material, crease)


def tube(points: ArrayLike, radii: ArrayLike, color: ArrayLike, material: Material, sides: int = 8) -> Mesh:
    """A closed tube through points (N, 3), m, with one radius or (N,), m."""
    points = np.asarray(points, np.float64)
    radii = np.broadcast_to(np.asarray(radii, np.float64), len(points))
    along = np.gradient(points, axis=0) if len(points) > 2 else np.diff(points, axis=0).repeat(2, 0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    helper = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0, 1]], [[1.0, 0, 0]])
    u = _cross(helper, along)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = _cross(along, u)
    angle = np.arange(sides) * 2 * np.pi / sides
    circle = np.cos(angle)[None, :, None] * u[:, None] + np.sin(angle)[None, :, None] * v[:, None]
    return skin(points[:, None] + radii[:, None, None] * circle, color, material)


def ellipsoid(
    radii: ArrayLike,
    center: ArrayLike,
    color: ArrayLike,
    material: Material = Material.MATTE,
    rings: int = 7,
    sides: int = 10,
    bumps: np.ndarray | None = None,
) -> Mesh:
    """An ellipsoid; `bumps` (rings, sides) stretches its radius."""
    polar = np.linspace(-np.pi / 2, np.pi / 2, rings)[:, None]
    around = (np.arange(sides) * 2 * np.pi / sides)[None]
    x, y, z = np.cos(polar) * np.cos(around), np.cos(polar) * np.sin(around), np.sin(polar)
    unit = np.stack(np.broadcast_arrays(x, y, z), -1)
    if bumps is not None:
        unit = unit * bumps[..., None]
    return skin(unit * np.asarray(radii) + np.asarray(center), color, material, 80.0)
