"""The renderer against geometry that can be worked out by hand. Skipped where OpenGL cannot draw."""

from dataclasses import replace

import moderngl
import numpy as np
import pytest

from voxbox_core.datasets.street.layout import StreetSettings, build_scene
from voxbox_core.datasets.street.materials import Semantic
from voxbox_core.datasets.street.mesh import box
from voxbox_core.datasets.street.motion import Motion
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.scene import Instance, Part, Scene
from voxbox_core.errors import InputError

SIZE = StreetSettings(320, 96)
GREY = (0.3, 0.3, 0.3)


@pytest.fixture(scope="module")
def renderer(opengl: None) -> Renderer:
    return Renderer(SIZE.width, SIZE.height)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return build_scene(3, SIZE)


def _plain(scene: Scene, instances: tuple[Instance, ...] = ()) -> Scene:
    """The scene's camera and light over a flat ground."""
    ground = Part(box((400, 400, 1), (100, 0, -0.5), GREY), Semantic.GROUND)
    return replace(scene, parts=(ground,), instances=instances)


def _block(id_: int, x: float, y: float) -> Instance:
    return Instance(id_, "Car", box((4, 2, 1.5), (0, 0, 0.75), GREY), np.array([4, 2, 1.5]), Motion(x, y, 0.3))


def test_the_same_seed_gives_the_same_bytes(renderer: Renderer, scene: Scene) -> None:
    first, second = renderer.render(scene, 0.5), renderer.render(build_scene(3, SIZE), 0.5)
    for name in ("rgb", "depth", "instance", "visible_pixels", "amodal_pixels"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert not np.array_equal(first.rgb, renderer.render(scene, 1.5).rgb)
    assert np.array_equal(first.rgb, renderer.render(scene, 0.5).rgb), "what was drawn before must not matter"


def test_depth_of_the_ground_is_the_rays_meeting_with_the_plane(renderer: Renderer, scene: Scene) -> None:
    frame = renderer.render(_plain(scene), 0.0)
    pose = scene.world_from_camera(0.0)
    column, row = np.meshgrid(np.arange(SIZE.width), np.arange(SIZE.height))
    rays = scene.camera.back_project(np.stack([column, row], -1), np.ones(column.shape)) @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        expected = -pose[2, 3] / rays[..., 2]
    near = (expected > 0) & (expected < 60)
    assert near.sum() > 3000
    assert frame.depth[near] == pytest.approx(expected[near], rel=1e-4)
    assert np.isinf(frame.depth[rays[..., 2] > 0.01]).all()


def test_an_object_is_where_it_projects(renderer: Renderer, scene: Scene) -> None:
    block = _block(7, 15.0, -1.0)
    frame = renderer.render(_plain(scene, (block,)), 0.0)
    corners = block.mesh.vertices @ block.pose(0.0)[:3, :3].T + block.pose(0.0)[:3, 3]
    camera_from_world = np.linalg.inv(scene.world_from_camera(0.0))
    uv, _ = scene.camera.project(corners @ camera_from_world[:3, :3].T + camera_from_world[:3, 3])
    rows, columns = np.nonzero(frame.instance == 7)
    found = [columns.min(), rows.min(), columns.max(), rows.max()]
    assert found == pytest.approx(np.concatenate([uv.min(0), uv.max(0)]), abs=0.6)
    assert frame.visible_pixels[7] == frame.amodal_pixels[7] == len(rows)


def test_what_stands_in_front_hides_but_does_not_shrink(renderer: Renderer, scene: Scene) -> None:
    hidden = _block(1, 22.0, -1.0)
    alone = renderer.render(_plain(scene, (hidden,)), 0.0)
    both = renderer.render(_plain(scene, (hidden, _block(2, 12.0, 0.6))), 0.0)
    assert both.visible_pixels[1] < alone.visible_pixels[1]
    assert both.amodal_pixels[1] == alone.amodal_pixels[1]
    assert both.visible_pixels.sum() == SIZE.width * SIZE.height


def test_an_object_reaching_behind_the_camera_is_counted(renderer: Renderer, scene: Scene) -> None:
    frame = renderer.render(_plain(scene, (_block(1, 1.0, -3.2),)), 0.0)
    assert 0 < frame.visible_pixels[1] <= frame.amodal_pixels[1] <= SIZE.width * SIZE.height


def test_shadows_lie_away_from_the_sun(renderer: Renderer, scene: Scene) -> None:
    """The ground on the far side of a block from a low sun on the left is darker than on the near side."""
    towards = np.array([0.0, 0.8, 0.6])
    light = replace(scene.light, sun=towards, sun_color=np.full(3, 2.5), ambient=np.full(3, 0.3), haze=0.0)
    motion = Motion(12.0, 0.0, 0.0)
    lit = replace(_plain(scene, (replace(_block(1, 0, 0), motion=motion),)), light=light)
    frame = renderer.render(lit, 0.0)
    camera_from_world = np.linalg.inv(scene.world_from_camera(0.0))
    brightness = []
    for y in (1.7, -1.7):
        uv, _ = scene.camera.project((camera_from_world @ [11.0, y, 0.0, 1.0])[:3])
        column, row = np.round(uv).astype(int)
        assert frame.instance[row, column] == 0
        brightness.append(float(frame.rgb[row, column].mean()))
    assert brightness[0] > brightness[1] + 30


def test_a_scene_of_another_size_is_refused(renderer: Renderer) -> None:
    with pytest.raises(InputError, match="scene's camera is 64x48; expected 320x96"):
        renderer.render(build_scene(1, StreetSettings(64, 48)), 0.0)


def test_no_egl_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr(moderngl, "create_context", broken)
    with pytest.raises(InputError, match=r"libEGL.so.1.*apt-get install libegl1 libgl1-mesa-dri"):
        Renderer(32, 32)
