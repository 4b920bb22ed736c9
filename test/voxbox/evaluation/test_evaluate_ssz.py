"""`voxbox evaluate ssz`: a perfect model is perfect, baselines are what they say, poses are judged by their objects."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_scenes import CONTRACT, GRID, Scene

from ssz_ros.pose_codec import PoseGrid
from ssz_ros.reconstructor import SSZ
from voxbox import cli
from voxbox.evaluation.ssz_poses import pose_errors
from voxbox.evaluation.voxel_baselines import Prior, first_hits
from voxbox.training.ssz.opponent import Opponent, load_pose6dof
from voxbox.training.ssz.recipe import Recipe
from voxbox_core.datasets.voxel_folder import VoxelFolder, VoxelWriter
from voxbox_core.errors import InputError
from voxbox_core.fruxel_file import load
from voxbox_core.voxels import AIR, UNKNOWN, Voxels


@pytest.fixture
def folder(tmp_path):
    writer, rng = VoxelWriter(tmp_path / "voxels", suffix=".png"), np.random.default_rng(0)
    for i in range(3):
        writer.write(Scene.draw(rng).sample(f"{i:06d}"))
    return tmp_path / "voxels"


@pytest.fixture
def model(folder, monkeypatch):
    """Instead of a trained model: one that knows these images."""
    frames = VoxelFolder(folder)
    answers = {frames[i].image.tobytes(): frames[i].voxels.labels for i in range(len(frames))}

    def run(inputs):
        return {"labels": answers[inputs["image"].tobytes()][None]}

    monkeypatch.setattr(SSZ, "open", classmethod(lambda cls, *_: cls(CONTRACT, run)))


def evaluate(tmp_path, folder, *more):
    result = tmp_path / "result.json"
    words = ["evaluate", "ssz", "--data", folder, "--model", tmp_path, "--json", result, *more]
    status = cli.main([str(word) for word in words])
    return json.loads(result.read_text()) if status == 0 else status


def test_a_model_is_judged_beside_its_baselines(model, folder, tmp_path, capsys):
    out = tmp_path / "out"
    result = evaluate(tmp_path, folder, "--prior", folder, "--out", out, "--examples", 2)
    assert result["model"]["IoU"] == 1 and result["model"]["visible"] == 1 and result["frames"] == 3
    assert result["model"]["IoU/van"] is None
    hits, both, prior = (result[name]["IoU"] for name in ("true depth", "true depth + prior", "prior"))
    assert hits < both < 1 and prior < both
    assert result["true depth"]["visible"] == 1 and result["true depth"]["occluded"] == 0
    shown = capsys.readouterr().out
    assert "3D IoU" in shown and "mean over classes" in shown and "true depth + prior" in shown
    assert len(list((out / "examples").iterdir())) == 2
    assert load(out / "prior.npz", GRID).labels.shape == GRID.shape


def test_what_does_not_fit_is_refused(model, folder, tmp_path, capsys, monkeypatch):
    assert evaluate(tmp_path, folder, "--discriminator", tmp_path / "none.pt") == cli.INPUT_ERROR
    assert evaluate(tmp_path, tmp_path / "none") == cli.INPUT_ERROR
    (tmp_path / "names.txt").write_text("000001 nobody")
    assert evaluate(tmp_path, folder, "--names", tmp_path / "names.txt") == cli.INPUT_ERROR
    other = replace(CONTRACT, far=20.0)
    monkeypatch.setattr(SSZ, "open", classmethod(lambda cls, *_: cls(other, None)))
    assert evaluate(tmp_path, folder) == cli.INPUT_ERROR
    assert "is one of far = 12.0; expected far = 20.0" in capsys.readouterr().err


def test_the_prior_is_the_most_frequent_class_of_each_cell():
    def voxels(*labels):
        return Voxels(np.array(labels, np.uint8).reshape(SMALL.shape), SMALL)

    prior = Prior.of([voxels(0, 2, 9, UNKNOWN), voxels(0, 2, 6, UNKNOWN), voxels(6, 0, 6, UNKNOWN)]).voxels
    np.testing.assert_array_equal(prior.labels.ravel(), [0, 2, 6, AIR])
    hits = first_hits(voxels(0, 2, 2, 9))
    np.testing.assert_array_equal(hits.labels.ravel(), [0, 2, 0, 0])
    np.testing.assert_array_equal(Prior(voxels(9, 9, 6, 7)).behind(hits).labels.ravel(), [0, 2, 6, 7])
    with pytest.raises(InputError, match="samples of the prior"):
        Prior.of([])


SMALL = replace(GRID, slices=4, rows=1, columns=1, principal=())


@pytest.mark.parametrize("rotation", ["quaternion", "yaw", "double_yaw"])
def test_pose_errors_are_those_that_were_made(rotation):
    poses = Scene(("car", "person"), np.array([[-1.0, 6.0], [1.0, 9.0]]), np.array([0.3, 0.0])).poses()
    grid = PoseGrid(GRID, (4, 4, 4), rotation)
    certificate = torch.zeros(1, grid.channels, 4, 4, 4)
    target = grid.encode(poses)
    certificate[0, 4:] = torch.from_numpy(target["rotation"])
    found = grid.decode(certificate)["translation"][0].numpy()
    distance, angle = pose_errors(grid, certificate, poses)
    there = target["object"]
    np.testing.assert_allclose(distance, np.linalg.norm((found - target["translation"])[:, there], axis=0), rtol=1e-5)
    np.testing.assert_allclose(angle, [0.0], atol=0.2)  # of the car alone
    turned = Scene(("car", "person"), np.array([[-1.0, 6.0], [1.0, 9.0]]), np.array([0.3 + np.pi / 6, 0.0])).poses()
    np.testing.assert_allclose(pose_errors(grid, certificate, turned)[1], [30.0], atol=0.2)


def test_a_discriminator_is_kept_with_its_meaning(tmp_path):
    recipe = Recipe(data=("x",), rotation="yaw")
    Opponent.of(CONTRACT, recipe).save(tmp_path / "d.pt", CONTRACT, recipe)
    network, contract = load_pose6dof(tmp_path / "d.pt")
    assert network.grid.rotation == "yaw" and contract == CONTRACT
    flat = replace(CONTRACT, architecture="zgan")
    Opponent.of(flat, recipe).save(tmp_path / "z.pt", flat, recipe)
    with pytest.raises(InputError, match="another network's weights"):
        load_pose6dof(tmp_path / "z.pt")


def test_poses_are_read_from_true_and_found_volumes(model, folder, tmp_path, capsys):
    recipe = Recipe(data=("x",))
    Opponent.of(CONTRACT, recipe).save(tmp_path / "d.pt", CONTRACT, recipe)
    result = evaluate(tmp_path, folder, "--discriminator", tmp_path / "d.pt")
    true, found = result["poses"]["true volumes"], result["poses"]["the model's volumes"]
    assert true == found and true["distance"] > 0  # the model's volumes are the true ones
    assert "poses read from" in capsys.readouterr().out
    other = replace(CONTRACT, far=20.0)
    Opponent.of(other, recipe).save(tmp_path / "far.pt", other, recipe)
    assert evaluate(tmp_path, folder, "--discriminator", tmp_path / "far.pt") == cli.INPUT_ERROR
    assert "far.pt is one of far = 20.0" in capsys.readouterr().err
