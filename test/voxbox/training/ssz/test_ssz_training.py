"""SSZ's training learns, resumes to the same bits, teaches both players as it must, and refuses what it cannot use."""

import json
import signal
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from toy_scenes import CONTRACT, GRID, PER_CELL

from ssz_ros.contract import Contract
from ssz_ros.losses import LossWeights
from voxbox import cli
from voxbox.training import loop
from voxbox.training.processes import Processes
from voxbox.training.ssz import train as training
from voxbox.training.ssz.data import Draws, Frames, collate
from voxbox.training.ssz.duel import Duel
from voxbox.training.ssz.recipe import PRESETS, Plan, Recipe
from voxbox.training.ssz.validation import predict
from voxbox_core import weights
from voxbox_core.coarsen import block
from voxbox_core.datasets.street.voxels import GRIDS


@pytest.fixture
def options(toy):
    """-> arguments of a run that is over in seconds."""

    def arguments(out, *more):
        grid = [
            word
            for name in ("near", "far", "slices", "rows", "columns", "alpha")
            for word in (f"--{name}", value(name))
        ]
        small = ["--spacing", GRID.spacing, "--per-cell", PER_CELL, "--encoder", 8, 16, 16, "--decoder", 16, 16]
        length = [
            "--steps",
            8,
            "--batch",
            3,
            "--ema",
            0.5,
            "--validation",
            toy,
            "--validation-frames",
            1,
            "--validate-every",
            1,
        ]
        return [str(word) for word in ["train", "ssz", "--data", toy, "--out", out, *grid, *small, *length, *more]]

    def value(name):
        return getattr(GRID, name)

    return arguments


def state(file):
    return weights.load(file).state


def alike(first, second):
    a, b = state(first), state(second)
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def test_a_run_ends_in_weights_that_know_the_scenes(options, tmp_path):
    out = tmp_path / "run"
    assert (
        cli.main(
            [
                *options(out, "--steps", 100, "--learning-rate", 0.005, "--validation-frames", 9),
                "--json",
                str(tmp_path / "x.json"),
            ]
        )
        == 0
    )
    result = json.loads((tmp_path / "x.json").read_text())
    assert result["finished"] and result["steps"] == 100 and result["frames"] == 20
    assert Contract.from_json(weights.load(out / "weights.pt").contract).fruxel == GRID
    scores = json.loads((out / "validation.json").read_text())["scores"]
    assert scores["IoU/ground"] > 0.8 and scores["IoU/car"] > 0.3
    assert list(out.glob("events.*"))


@pytest.mark.parametrize("more", [[], ["--discriminator", "--alone", 0.4]], ids=["alone", "against"])
def test_an_interrupted_run_resumes_to_the_same_bits(options, tmp_path, monkeypatch, more):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli.main(options(whole, *more)) == 0

    calls, caught, call = [], [], Duel.__call__

    def interrupted(self, batch, progress):
        calls.append(1)
        caught.extend([signal.SIGTERM] * (len(calls) == 5))
        return call(self, batch, progress)

    monkeypatch.setattr(loop, "signals", lambda: nullcontext(caught))
    monkeypatch.setattr(Duel, "__call__", interrupted)
    assert cli.main(options(parts, *more)) == 0
    assert not (parts / "weights.pt").exists()
    monkeypatch.undo()
    assert cli.main(["train", "ssz", "--out", str(parts), "--resume"]) == 0
    assert alike(whole / "weights.pt", parts / "weights.pt")
    assert not more or alike(whole / "discriminator.pt", parts / "discriminator.pt")


def plan(toy, **changed):
    contract = replace(CONTRACT, architecture="ssz")
    recipe = Recipe(data=(str(toy),), batch=4, steps=100, warmup=0.0, precision="fp32", discriminator=True)
    return Plan(contract, replace(recipe, **changed), LossWeights())


def duel_of(plan):
    processes = Processes(0, 1, torch.device("cpu"))
    run, opponent = training._begin(plan, processes)
    duel = Duel(plan, run, opponent, processes, torch.ones(len(plan.contract.classes)))
    frames = Frames(plan.recipe.data, plan.contract, 100)
    draws = Draws(frames, replace(plan.recipe, flip=0.0, appearance=0.0))
    return duel, collate(opponent.grid if opponent else None, [draws[n] for n in range(4)])


def copied(network):
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def moved(before, network):
    return any((before[name] != p).any() for name, p in network.named_parameters())


def test_the_opponent_waits_and_then_both_learn(toy):
    duel, batch = duel_of(plan(toy))
    ours, theirs = copied(duel.run.network), copied(duel.opponent.network)
    terms = duel(batch, 0.1)
    assert set(terms) == {"loss/nll", "loss/total", "gradient_norm"}
    assert moved(ours, duel.run.network) and not moved(theirs, duel.opponent.network)
    terms = duel(batch, 0.5)
    assert moved(theirs, duel.opponent.network)
    assert {"loss/adversarial", "loss/pose", "discriminator/real", "discriminator/fake"} < set(terms)
    assert all(p.requires_grad for p in duel.opponent.network.parameters())


def test_the_generator_does_not_teach_the_opponent(toy):
    """The opponent's gradients after a step are those of its own loss: the generator's leave no trace in it."""
    duel, batch = duel_of(plan(toy, alone=0.0))
    duel(batch, 0.5)
    own = {name: p.grad.clone() for name, p in duel.opponent.network.named_parameters()}
    other, _ = duel_of(plan(toy, alone=0.0))
    other._judged = lambda *_: {}
    other(batch, 0.5)
    assert all((own[name] == p.grad).all() for name, p in other.opponent.network.named_parameters())


def test_the_adversarial_term_reaches_the_generator(toy):
    base = plan(toy, alone=0.0)
    only = replace(base, losses=replace(base.losses, nll=0.0, pose=0.0, adversarial=1.0))
    duel, batch = duel_of(only)
    before = copied(duel.run.network)
    duel(batch, 0.5)
    assert moved(before, duel.run.network)


def test_an_opponent_that_learns_tells_true_from_generated_and_finds_objects(toy):
    duel, batch = duel_of(plan(toy, alone=0.0, learning_rate=1e-9, discriminator_rate=3e-3))
    first = duel(batch, 0.4)
    for _ in range(40):
        last = duel(batch, 0.4)
    for name in ("real", "fake", "pose"):
        assert last[f"discriminator/{name}"] < 0.8 * first[f"discriminator/{name}"], name


@pytest.mark.parametrize("changed", [{"pose_loss": "paper", "rotation": "quaternion"}, {"rotation": "yaw"}])
def test_other_poses_are_learned_too(toy, changed):
    duel, batch = duel_of(plan(toy, alone=0.0, **changed))
    assert all(value.isfinite() for value in duel(batch, 0.5).values())


def test_z_gan_has_its_own_opponent(toy):
    base = plan(toy, alone=0.0)
    duel, batch = duel_of(replace(base, contract=replace(base.contract, architecture="zgan")))
    terms = duel(batch, 0.5)
    assert "loss/adversarial" in terms and "loss/pose" not in terms


def test_a_prediction_is_of_the_class_of_the_greatest_logit():
    class Fixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.tensor([0.0, 2.0, 1.0]))

        def forward(self, image):
            return self.bias[None, :, None, None, None].expand(len(image), 3, 2, *image.shape[2:])

    found = predict(Fixed().eval(), torch.zeros(4, 6, 3, dtype=torch.uint8).numpy())
    assert found.shape == (2, 4, 6) and (found == 1).all() and found.dtype == "uint8"


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_plans_for_what_the_street_world_renders(name):
    values = {part: dict(PRESETS[name].get(part, {})) for part in ("contract", "recipe", "losses")}
    recipe = Recipe(data=("x",), **values["recipe"])
    made = Plan(Contract(**values["contract"]), recipe, type(LossWeights())(**values["losses"]))
    frustum = made.contract.near, made.contract.far, made.contract.alpha
    (rendered,) = [grid for grid, _ in GRIDS.values() if (grid.near, grid.far, grid.alpha) == frustum]
    assert min(block(rendered, made.contract.fruxel, name)) >= 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--far", 50], "grid of"),
        (["--schedule", "steps"], "schedule is steps"),
        (["--pose-loss", "paper"], "rotation is double_yaw"),
        (["--data", "/nowhere"], "/nowhere"),
        (["--validation", "/nowhere"], "/nowhere"),
        (["--nll", -1], "loss weight nll"),
        (["--initial", "/nowhere.pt"], "/nowhere.pt"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options, tmp_path, capsys, arguments, said):
    assert cli.main(options(tmp_path / "x", *arguments)) == cli.INPUT_ERROR
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "x" / "recipe.json").exists()


def test_a_run_folder_is_not_used_twice_and_a_resumed_run_keeps_its_recipe(options, tmp_path, capsys):
    out = tmp_path / "run"
    assert cli.main(options(out, "--steps", 1)) == 0
    assert cli.main(options(out, "--steps", 1)) == cli.INPUT_ERROR
    assert "Add --resume" in capsys.readouterr().err
    assert cli.main(["train", "ssz", "--out", str(out), "--resume", "--batch", "2"]) == cli.INPUT_ERROR


def test_going_on_with_a_finished_run_changes_nothing(options, tmp_path):
    out, result = tmp_path / "run", tmp_path / "x.json"
    assert cli.main(options(out, "--discriminator", "--alone", 0.4)) == 0
    resume = ["train", "ssz", "--out", str(out), "--resume", "--json", str(result)]
    files = [out / "weights.pt", out / "discriminator.pt"]
    before = [file.read_bytes() for file in files]
    assert cli.main(resume) == 0
    assert [file.read_bytes() for file in files] == before
    assert json.loads(result.read_text())["steps"] == 8
    learned = state(files[1])
    files[1].unlink()  # as if the power had gone between the two
    assert cli.main(resume) == 0
    assert all((state(files[1])[name] == tensor).all() for name, tensor in learned.items())
