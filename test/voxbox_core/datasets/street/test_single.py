"""Single objects: whole in the grid, where the image shows them; what cannot be used is named and counted."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.single import SIZE, read_models, single_sample
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import CLASSES

GRID = Fruxel(near=3.0, far=10.0, slices=32, rows=32, columns=32, alpha=60.0)
CORNERS = [[x, y, z] for z in (0, 1) for y in (0, 2) for x in (0, 5)]
SIDES = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]


def _write(path: Path, sides: list[list[int]]) -> None:
    lines = [f"v {x} {y} {z}" for x, y, z in CORNERS] + ["f " + " ".join(str(n + 1) for n in side) for side in sides]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _write(tmp_path / "red_car.obj", SIDES)
    _write(tmp_path / "bus" / "0042.obj", SIDES)
    _write(tmp_path / "open_van.obj", SIDES[1:])
    _write(tmp_path / "busy_carpet.obj", SIDES)
    (tmp_path / "truck.ply").write_bytes(b"ply")
    return tmp_path


def test_what_cannot_be_used_is_named(folder: Path) -> None:
    found = read_models(folder)
    assert {(m.name, CLASSES[m.label]) for m in found.models} == {("red_car", "car"), ("bus-0042", "bus")}
    assert set(found.refused) == {"open_van.obj", "busy_carpet.obj", "truck.ply"}
    assert "watertight" in found.refused["open_van.obj"]
    assert "open_van" in {m.name for m in read_models(folder, "vote").models}


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        read_models(tmp_path)
    _write(tmp_path / "car.obj", SIDES[1:])
    with pytest.raises(InputError, match="watertight"):
        read_models(tmp_path)


def test_an_object_is_whole_in_the_grid_where_its_image_is(folder: Path) -> None:
    model = read_models(folder).models[1]
    renderer = Renderer(128, 128)
    for seed in range(5):
        sample = single_sample(model, renderer, GRID, 4, "a", np.random.default_rng(seed), "refuse")
        solid = sample.voxels.labels == model.label
        assert (sample.voxels.labels[~solid] == 0).all()
        assert sample.poses is not None and sample.depth is not None
        size = sample.poses.size[0]
        np.testing.assert_allclose(size / size[0], [1, 0.4, 0.2], atol=1e-5)
        assert SIZE[0] <= size[0] <= SIZE[1]
        assert abs((GRID.volumes[:, None, None] * solid).sum() / size.prod() - 1) < 0.35  # slabs round up
        turn = Rotation.from_quat(sample.poses.rotation[0], scalar_first=True).as_matrix()
        offset = (GRID.centers(np.argwhere(solid)) - sample.poses.translation[0]) @ turn
        assert (np.abs(offset) < size / 2 + 0.15).all()  # half a slice
        seen = np.isfinite(sample.depth).reshape(32, 4, 32, 4).mean((1, 3))
        shown = solid.any(0)
        assert (shown == (seen > 0.5)).mean() > 0.97
        assert shown[seen > 0.99].all()
