"""A painter learns to paint, and voxels keep their labels under other pictures."""

import json
import signal
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from voxbox.cli import INPUT_ERROR, main
from voxbox.training import loop
from voxbox.training.edges2image import train as training
from voxbox.training.edges2image.contract import PainterContract
from voxbox.training.edges2image.networks import Critic, Painter, load_painter, repainted
from voxbox.training.edges2image.recipe import Plan, Recipe
from voxbox.training.edges2image.train import train
from voxbox_core import weights
from voxbox_core.datasets.kitti import read_image
from voxbox_core.datasets.voxel_folder import VoxelFolder, VoxelWriter
from voxbox_core.datasets.voxel_sample import VoxelSample
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import Voxels

SMALL = PainterContract(width=8, levels=3)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red balls on green ground."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for k in range(12):
        image = np.full((48, 64, 3), (30, 160, 60), np.uint8)
        x, y, r = rng.integers(16, 48), rng.integers(16, 32), rng.integers(8, 14)
        cv2.circle(image, (int(x), int(y)), int(r), (30, 30, 220), -1)
        cv2.imwrite(str(folder / f"{k}.png"), image)
    return folder


def _plan(photos: Path, **changed: object) -> Plan:
    values = {
        "steps": 60,
        "batch": 2,
        "size": 48,
        "held_out": 2,
        "validate_every": 0.5,
        "ema": 0.9,
        "learning_rate": 2e-3,
        **changed,
    }
    return Plan(SMALL, Recipe(data=(str(photos),), **values))  # type: ignore[arg-type]


def test_it_learns_colours(photos: Path, tmp_path: Path) -> None:
    result = train(_plan(photos), tmp_path / "run", progress_bar=False)
    assert result["finished"] and result["steps"] == 60
    scores = json.loads((tmp_path / "run" / "validation.json").read_text())["scores"]
    assert scores["l1"] < 0.25  # grey is 0.5 away
    painter = load_painter(tmp_path / "run" / "weights.pt")
    painted = repainted(painter, read_image(photos / "0.png"))
    assert painted.shape == (48, 64, 3) and painted.dtype == np.uint8
    assert painted[..., 1].mean() > painted[..., 2].mean() + 20
    again = train(_plan(photos), tmp_path / "run", progress_bar=False)
    assert again["finished"] and again["steps"] == 60


def test_an_interrupted_run_resumes_to_the_same_bits(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, caught, made, pictures = _plan(photos, steps=6), [], [], training._pictures
    train(plan, tmp_path / "whole", progress_bar=False)

    def interrupted(*args: object) -> object:
        caught.append(signal.SIGTERM)
        made.append(1)
        return pictures(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "signals", lambda: nullcontext(caught))
    monkeypatch.setattr(training, "_pictures", interrupted)
    assert not train(plan, tmp_path / "parts", progress_bar=False)["finished"] and made == [1]
    monkeypatch.undo()
    assert train(plan, tmp_path / "parts", progress_bar=False)["steps"] == 6
    whole, parts = (weights.load(tmp_path / run / "weights.pt").state for run in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_photo_is_shrunk_by_averaging() -> None:
    """Of pixels that are black and white by turns grey is left, and no edge."""
    fine = np.indices((200, 220)).sum(0) % 2 * 255
    cut = training._cut(np.repeat(fine[..., None], 3, -1).astype(np.uint8), 40, None)
    assert cut.shape == (40, 40, 3) and np.abs(cut.astype(int) - 127).max() < 12
    assert not SMALL.canny(cut).any()


def test_shapes_of_painter_and_critic() -> None:
    edges = torch.zeros(2, 1, 64, 32)
    painted = Painter(PainterContract(width=4, levels=5))(edges)
    assert painted.shape == (2, 3, 64, 32) and painted.abs().max() <= 1
    assert Critic(4)(edges, painted).shape == (2, 1, 8, 4)


def test_voxels_keep_their_labels_under_other_pictures(tmp_path: Path) -> None:
    grid = Fruxel(near=1.0, far=9.0, slices=4, rows=5, columns=7, alpha=50.0)
    rng = np.random.default_rng(0)
    camera, writer = grid.camera(4), VoxelWriter(tmp_path / "in")
    for name in ("a", "b"):
        image = rng.integers(0, 255, (20, 28, 3)).astype(np.uint8)
        labels = rng.integers(0, 9, grid.shape).astype(np.uint8)
        writer.write(VoxelSample(name, image, camera, Voxels(labels, grid), scene=name))
    weights.save(tmp_path / "w.pt", Painter(SMALL).state_dict(), SMALL.to_json())
    command = ["street", "repaint", str(tmp_path / "in"), str(tmp_path / "out"), "--weights", str(tmp_path / "w.pt")]
    assert main(command) == 0
    before, after = VoxelFolder(tmp_path / "in"), VoxelFolder(tmp_path / "out")
    assert after.names == before.names and after.scenes == before.scenes
    for i in range(2):
        np.testing.assert_array_equal(after[i].voxels.labels, before[i].voxels.labels)
        assert np.abs(after[i].image.astype(int) - before[i].image).mean() > 10
    weights.save(tmp_path / "w.pt", Painter(SMALL).state_dict(), SMALL.to_json())  # another painter of the same size
    assert main(command) == INPUT_ERROR


def test_bad_recipes_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="multiple"):
        _plan(photos, size=50)
    with pytest.raises(InputError, match="photos"):
        train(_plan(photos, held_out=12), tmp_path)
    weights.save(tmp_path / "other.pt", {"a": torch.zeros(1)}, SMALL.to_json())
    with pytest.raises(InputError, match=r"other\.pt"):
        load_painter(tmp_path / "other.pt")
