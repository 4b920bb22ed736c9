"""Which frame comes when follows from the number of the draw alone."""

from itertools import islice

import numpy as np
import pytest
from farewell import Farewell

from km3d_ros.contract import Contract
from voxbox.training.data import Draws, Frames, FromStep, loader
from voxbox.training.km3d import Targets
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.augment import Augmentation
from voxbox_core.datasets.sample import Sample

CAMERA = Camera(np.array([[50.0, 0, 20], [0, 50.0, 10], [0, 0, 1]]), 40, 20)


def frames(count, first=0):
    image = np.full((20, 40, 3), 128, np.uint8)
    return [Sample(str(first + i), image, CAMERA, Boxes3D.empty(("Car",))) for i in range(count)]


def encode(sample, view):
    return {"name": int(sample.name), "image": view.image}


@pytest.fixture
def draws():
    return Draws(frames(7), 32, 16, Augmentation(), 5, encode)


def test_every_pass_is_a_permutation_and_no_two_are_alike(draws):
    names = [draws[n]["name"] for n in range(21)]
    passes = [names[i : i + 7] for i in (0, 7, 14)]
    assert all(sorted(p) == list(range(7)) for p in passes)
    assert passes[0] != passes[1] != passes[2]


def test_a_draw_depends_on_its_number_alone(draws):
    again = Draws(frames(7), 32, 16, Augmentation(), 5, encode)
    other_seed = Draws(frames(7), 32, 16, Augmentation(), 6, encode)
    for n in (9, 2, 13):
        draws[n + 1]
        assert np.array_equal(draws[n]["image"], again[n]["image"])
    assert any(not np.array_equal(draws[n]["image"], other_seed[n]["image"]) for n in range(5))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_from_a_later_step_continues_the_first(workers):
    contract = Contract(input_width=32, input_height=32)
    draws = Draws(frames(7), 32, 32, Augmentation(), 5, Targets(contract))

    def stream(step):
        return islice(iter(loader(draws, FromStep(step, 3, 0, 1), workers, False)), 4 - step)

    whole, rest = list(stream(0)), list(stream(2))
    for a, b in zip(whole[2:], rest, strict=True):
        assert a["image"].equal(b["image"])


def test_processes_share_a_step():
    one = next(iter(FromStep(4, 6, 0, 1)))
    both = [next(iter(FromStep(4, 3, rank, 2))) for rank in range(2)]
    assert both[0] + both[1] == one


def test_several_folders_are_one():
    joined = Frames([frames(2), frames(3, first=2)])
    assert [joined[i].name for i in range(len(joined))] == ["0", "1", "2", "3", "4"]


def test_a_worker_leaves_without_taking_its_interpreter_down_under_its_threads(tmp_path):
    batches = iter(loader(Farewell(tmp_path), FromStep(0, 3, 0, 1), 1, False))
    assert next(batches).tolist() == [0, 1, 2]
    batches._shutdown_workers()
    assert [worker.exitcode for worker in batches._workers] == [0]
    assert not (tmp_path / "taken down").exists()
