"""What the camera of a scene sees: colour, depth and object ids, by OpenGL without a window."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxbox_core.camera import Camera
from voxbox_core.datasets.street import shaders
from voxbox_core.datasets.street.develop import develop
from voxbox_core.datasets.street.mesh import Mesh
from voxbox_core.datasets.street.scene import Instance, Light, Mount, Scene
from voxbox_core.errors import InputError

NEAR, FAR = 0.15, 700.0  # m
SHADOW_SIZE = 1536  # px
SHADOW_REACH = 48.0  # m, half the side of the square the sun's shadows are computed for
TOP_REACH = 44.0  # m, the same for the shade under things
TOP_HEIGHT = 2.2  # m, what is higher takes no skylight from the ground
_LAYOUT = "3f 3f 3f 2f 1f"
_ATTRIBUTES = ("position", "normal", "color", "texture_at", "material")


@dataclass(frozen=True)
class Frame:
    """rgb: (H, W, 3) uint8.  depth: (H, W) float32 along the optical axis, m, inf for the sky.
    instance: (H, W) int32 object id, 0 for the static world.
    visible_pixels, amodal_pixels: (highest id + 1,) pixels an object covers, and would cover if it stood alone;
    an object that is not seen at all has 0 for both."""

    rgb: np.ndarray
    depth: np.ndarray
    instance: np.ndarray
    visible_pixels: np.ndarray
    amodal_pixels: np.ndarray


@dataclass(frozen=True)
class _Stage:
    """A moment of a scene on the graphics card.  drawn: all there is.  sun, top: (4, 4) projections of the depth maps
    for shadows and for the shade under things."""

    drawn: list["_Drawn"]
    sun: np.ndarray
    top: np.ndarray


@dataclass(frozen=True)
class _Drawn:
    """A mesh on the graphics card, drawn by each program."""

    surface: Any
    shape: Any
    model: bytes
    item: Instance | None


class Renderer:
    """Draws scenes of one image size. Raises InputError without EGL (libegl1, libgl1-mesa-dri)."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._gl = gl = _context()
        self._surface = gl.program(vertex_shader=shaders.SURFACE_VERTEX, fragment_shader=shaders.SURFACE)
        self._background = gl.program(vertex_shader=shaders.BACKGROUND_VERTEX, fragment_shader=shaders.BACKGROUND)
        self._shape = gl.program(vertex_shader=shaders.SHAPE_VERTEX, fragment_shader=shaders.SHAPE)
        size = (width, height)
        self._rgb = gl.texture(size, 4, dtype="f2")
        self._instance = gl.texture(size, 1, dtype="u2")
        self._depth = gl.texture(size, 1, dtype="f4")
        self._image = gl.framebuffer([self._rgb, self._instance, self._depth], gl.depth_renderbuffer(size))
        self._alone = gl.framebuffer([gl.texture(size, 1)])
        self._sun = _DepthMap(gl, SHADOW_SIZE)
        self._top = _DepthMap(gl, SHADOW_SIZE // 2)
        triangle = gl.buffer(np.array([-1, -1, 3, -1, -1, 3], np.float32).tobytes())
        self._sky = gl.vertex_array(self._background, [(triangle, "2f", "corner")])

    def render(self, scene: Scene, t: float) -> Frame:
        """The scene at time t, s. Raises InputError when its camera is of another size."""
        self._require_size(scene.camera)
        with self._gl, self._gl.scope(self._image):
            return self._render(scene, t)

    def views(self, scene: Scene, t: float, mounts: Sequence[Mount]) -> list[np.ndarray]:
        """What other cameras on the scene's car see at time t, s: (H, W, 3) uint8 each. Shadows reach as far on all
        sides. Raises InputError when a camera is of another size."""
        for mount in mounts:
            self._require_size(mount.camera)
        world_from_ego = scene.rig.motion.pose(t)
        images = []
        with self._gl, self._gl.scope(self._image), self._staged(scene, t, world_from_ego[:3, 3]) as stage:
            for k, mount in enumerate(mounts):
                self._look(scene, stage, mount.camera, world_from_ego @ mount.ego_from_camera)
                images.append(develop(self._read_rgb(), scene.look, scene.seed, t, k))
        return images

    def _require_size(self, camera: Camera) -> None:
        if (camera.width, camera.height) != (self.width, self.height):
            found = f"{camera.width}x{camera.height}"
            raise InputError(
                "scene's camera", found, f"{self.width}x{self.height}, the renderer's", "Use another renderer."
            )

    def _render(self, scene: Scene, t: float) -> Frame:
        world_from_camera = scene.world_from_camera(t)
        ahead = world_from_camera[:3, 3] + world_from_camera[:3, 2] * SHADOW_REACH * 0.85
        with self._staged(scene, t, ahead) as stage:
            self._look(scene, stage, scene.camera, world_from_camera)
            rgb, (instance, depth) = self._read_rgb(), self._read_truth()
            visible = np.bincount(instance.ravel(), minlength=1 + max((i.id for i in scene.instances), default=0))
            amodal = self._amodal(scene.camera, world_from_camera, stage.drawn, visible, t)
        return Frame(develop(rgb, scene.look, scene.seed, t), depth, instance, visible, amodal)

    @contextmanager
    def _staged(self, scene: Scene, t: float, middle: np.ndarray) -> Iterator[_Stage]:
        """The scene uploaded, its light set, its shadows drawn around `middle`, (3,) m."""
        buffers: list[Any] = []
        drawn = list(self._uploaded(scene, t, buffers))
        self._gl.enable_only(self._gl.DEPTH_TEST)
        sun = _orthographic(scene.light.sun, middle, SHADOW_REACH, -80.0, 80.0)
        top = _orthographic(np.array([0.0, 0.0, 1.0]), middle, TOP_REACH, -1.0, TOP_HEIGHT)
        self._draw_depth(self._sun, sun, drawn)
        self._draw_depth(self._top, top, drawn)
        self._set_light(scene)
        try:
            yield _Stage(drawn, sun, top)
        finally:
            for resource in buffers:
                resource.release()

    def _look(self, scene: Scene, stage: _Stage, camera: Camera, world_from_camera: np.ndarray) -> None:
        """Draw what a camera sees of the stage into the image."""
        projection = projection_matrix(camera) @ np.linalg.inv(world_from_camera)
        self._set_view(projection, world_from_camera, stage.sun, stage.top)
        self._shape["view_projection"].write(_gl_matrix(projection))
        self._draw(scene, stage.drawn)

    def _uploaded(self, scene: Scene, t: float, buffers: list[Any]) -> Iterator[_Drawn]:
        items: list[Instance | None] = [None, *scene.instances]
        for item in items:
            buffer = self._gl.buffer(_packed(scene.static if item is None else item.mesh))
            surface = self._gl.vertex_array(self._surface, [(buffer, _LAYOUT, *_ATTRIBUTES)])
            shape = self._gl.vertex_array(self._shape, [(buffer, "3f 32x 1f", "position", "material")])
            buffers += [surface, shape, buffer]
            yield _Drawn(surface, shape, _gl_matrix(np.eye(4) if item is None else item.pose(t)), item)

    def _draw_depth(self, target: "_DepthMap", projection: np.ndarray, drawn: list[_Drawn]) -> None:
        target.framebuffer.use()
        target.framebuffer.clear(depth=1.0)
        self._shape["view_projection"].write(_gl_matrix(projection))
        for part in drawn:
            self._shape["model"].write(part.model)
            part.shape.render()

    def _set_light(self, scene: Scene) -> None:
        values = _light_uniforms(scene.light) | {"seed": float(scene.seed % 977) * 0.731}
        for program in (self._surface, self._background):
            for name, value in values.items():
                if name in program:
                    program[name].value = value

    def _set_view(
        self, projection: np.ndarray, world_from_camera: np.ndarray, sun: np.ndarray, top: np.ndarray
    ) -> None:
        eye = tuple(world_from_camera[:3, 3])
        surface, background = self._surface, self._background
        surface["view_projection"].write(_gl_matrix(projection))
        surface["sun_projection"].write(_gl_matrix(sun))
        surface["top_projection"].write(_gl_matrix(top))
        surface["eye"].value = background["eye"].value = eye
        surface["forward"].value = tuple(world_from_camera[:3, 2])
        background["world_from_clip"].write(_gl_matrix(np.linalg.inv(projection)))
        for unit, (name, target) in enumerate((("sun_depth", self._sun), ("top_depth", self._top))):
            target.texture.use(unit)
            surface[name].value = unit

    def _draw(self, scene: Scene, drawn: list[_Drawn]) -> None:
        gl = self._gl
        self._image.use()
        self._image.clear()
        gl.fbo.color_mask = ((False,) * 4,) * 3
        for part in drawn:
            self._shape["model"].write(part.model)
            part.shape.render()
        gl.fbo.color_mask = ((True,) * 4,) * 3
        gl.depth_func = "=="
        for part in drawn:
            item, program = part.item, self._surface
            program["model"].write(part.model)
            program["id"].value = 0 if item is None else item.id
            program["vary"].value = 0.0 if item is None else (scene.seed % 89) + item.id * 1.37
            program["trim"].write(np.zeros((5, 4), np.float32) if item is None else item.trim)
            program["half_size"].value = (0.0, 0.0) if item is None else tuple(item.size[:2] / 2)
            part.surface.render()
        gl.depth_func = "<"
        self._sky.render()

    def _read_rgb(self) -> np.ndarray:
        rgb = np.frombuffer(self._rgb.read(), np.float16).reshape(self.height, self.width, 4)
        return rgb[::-1, :, :3].astype(np.float32)

    def _read_truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Object ids and depth, (H, W) each."""
        shape = (self.height, self.width)
        instance = np.frombuffer(self._instance.read(alignment=1), np.uint16).reshape(shape)[::-1].astype(np.int32)
        depth = np.frombuffer(self._depth.read(alignment=1), np.float32).reshape(shape)[::-1].copy()
        return instance, depth

    def _amodal(
        self,
        camera: Camera,
        world_from_camera: np.ndarray,
        drawn: list[_Drawn],
        visible: np.ndarray,
        t: float,
    ) -> np.ndarray:
        """Every object that is seen is drawn once more, alone, and its pixels counted."""
        count = np.zeros_like(visible)
        camera_from_world = np.linalg.inv(world_from_camera)
        projection = projection_matrix(camera) @ camera_from_world
        self._gl.disable(self._gl.DEPTH_TEST)
        self._alone.use()
        self._shape["view_projection"].write(_gl_matrix(projection))
        for part in drawn:
            if part.item is None or not visible[part.item.id]:
                continue
            x1, y1, x2, y2 = _pixel_bounds(part.item.mesh, camera_from_world @ part.item.pose(t), camera)
            viewport = (x1, self.height - y2, x2 - x1, y2 - y1)
            self._alone.clear(viewport=viewport)
            self._alone.viewport = (0, 0, self.width, self.height)
            self._shape["model"].write(part.model)
            part.shape.render()
            pixels = self._alone.read(viewport=viewport, components=1, alignment=1)
            count[part.item.id] = np.count_nonzero(np.frombuffer(pixels, np.uint8))
        return count


class _DepthMap:
    """A square depth buffer that shaders can compare with."""

    def __init__(self, gl: Any, size: int) -> None:
        self.texture = gl.depth_texture((size, size))
        self.texture.compare_func = "<="
        self.texture.repeat_x = self.texture.repeat_y = False
        self.framebuffer = gl.framebuffer(depth_attachment=self.texture)


def _context() -> Any:
    import moderngl

    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330)  # type: ignore[arg-type]
    except Exception as error:
        raise InputError(
            "OpenGL without a window",
            f"not available ({error})",
            "EGL with OpenGL 3.3",
            "Install it: apt-get install libegl1 libgl1-mesa-dri",
        ) from error


def projection_matrix(camera: Camera) -> np.ndarray:
    """(4, 4) clip space (OpenGL's, y up) from the optical frame; a pixel's centre has integer coordinates."""
    k, width, height = camera.intrinsics, camera.width, camera.height
    return np.array(
        [
            [2 * k[0, 0] / width, 2 * k[0, 1] / width, (2 * k[0, 2] + 1) / width - 1, 0],
            [0, -2 * k[1, 1] / height, 1 - (2 * k[1, 2] + 1) / height, 0],
            [0, 0, (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)],
            [0, 0, 1, 0],
        ]
    )


def _orthographic(towards: np.ndarray, center: np.ndarray, reach: float, low: float, high: float) -> np.ndarray:
    """(4, 4) clip space from the world for light from the direction `towards`, around `center` on the ground; from
    `low` to `high` along that direction, m.

    The centre moves in whole texels, so that shadows do not crawl when the camera moves.
    """
    side = np.cross([0.0, 0.0, 1.0], towards)
    side = side / np.linalg.norm(side) if np.linalg.norm(side) > 1e-6 else np.array([1.0, 0.0, 0.0])
    view = np.stack([side, np.cross(towards, side), towards])
    step = 4 * reach / SHADOW_SIZE
    middle = np.round(view @ (center * [1, 1, 0]) / step) * step
    middle[2] += (low + high) / 2
    scale = np.array([reach, reach, -(high - low) / 2])
    matrix = np.eye(4)
    matrix[:3, :3] = view / scale[:, None]
    matrix[:3, 3] = -middle / scale
    return matrix


def _light_uniforms(light: Light) -> dict[str, Any]:
    return {
        "sun": tuple(light.sun),
        "sun_color": tuple(light.sun_color),
        "ambient": tuple(light.ambient),
        "zenith": tuple(light.zenith),
        "horizon": tuple(light.horizon),
        "haze_color": tuple(light.haze_color),
        "clouds": light.clouds,
        "haze": light.haze,
        "wet": light.wet,
    }


def _packed(mesh: Mesh) -> bytes:
    """Corner after corner, as _LAYOUT."""
    corners = np.empty((len(mesh.faces), 3, 12), np.float32)
    corners[..., 0:3] = mesh.triangles()
    corners[..., 3:6] = mesh.normals
    corners[..., 6:9] = mesh.color[:, None]
    corners[..., 9:11] = mesh.texture
    corners[..., 11] = mesh.material[:, None]
    return corners.tobytes()


def _gl_matrix(matrix: np.ndarray) -> bytes:
    return np.ascontiguousarray(matrix.T, np.float32).tobytes()


def _pixel_bounds(mesh: Mesh, camera_from_object: np.ndarray, camera: Camera) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of whole pixels around the mesh in the image; the whole image when it reaches behind the eye."""
    points = mesh.vertices @ camera_from_object[:3, :3].T + camera_from_object[:3, 3]
    if points[:, 2].min() < NEAR:
        return 0, 0, camera.width, camera.height
    uv, _ = camera.project(points)
    limit = (camera.width, camera.height)
    x1, y1 = np.clip(np.floor(uv.min(0)).astype(int) - 1, 0, limit)
    x2, y2 = np.clip(np.ceil(uv.max(0)).astype(int) + 2, 0, limit)
    return int(x1), int(y1), int(x2), int(y2)
