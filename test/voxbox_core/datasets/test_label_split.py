"""Splits are the same for ever, nested, and whole scenes."""

import numpy as np
import pytest

from voxbox_core.datasets.label_split import FRACTIONS, SEEDS, split_by_scene, split_by_time
from voxbox_core.errors import InputError

SCENES = [f"scene-{i // 4:03d}" for i in range(800)]


@pytest.mark.parametrize("seed", SEEDS)
def test_scenes_stay_whole_and_splits_are_nested(seed):
    smaller: set[int] = set()
    for fraction in FRACTIONS:
        split = split_by_scene(SCENES, fraction, seed)
        full = set(split.full.tolist())
        assert split.fraction == pytest.approx(fraction, abs=0.003)
        assert full | set(split.weak.tolist()) == set(range(800)) and not full & set(split.weak.tolist())
        assert not {SCENES[i] for i in split.full} & {SCENES[i] for i in split.weak}
        assert smaller < full
        smaller = full


def test_the_published_split_is_this_one():
    """A change of these numbers makes every published result another's."""
    assert split_by_scene(SCENES, 0.01, 0).full.tolist() == [*range(392, 396), *range(796, 800)]


def test_seeds_differ_and_the_order_of_frames_does_not_matter():
    chosen = [set(split_by_scene(SCENES, 0.05, seed).full.tolist()) for seed in SEEDS]
    assert chosen[0] != chosen[1] != chosen[2]
    order = np.random.default_rng(0).permutation(800)
    shuffled = split_by_scene([SCENES[i] for i in order], 0.05, 0)
    assert set(order[shuffled.full].tolist()) == chosen[0]


def test_frames_that_stand_alone_are_drawn_one_by_one():
    assert len(split_by_scene([str(i) for i in range(300)], 0.05, 0).full) == 15


def test_the_time_prefix_is_the_earliest_frames():
    stamps = np.random.default_rng(0).permutation(28130) * 0.5
    for fraction, count in ((0.02, 562), (0.05, 1406), (0.10, 2813), (0.20, 5626)):  # as published
        split = split_by_time(stamps, fraction)
        assert len(split.full) == count
        assert stamps[split.full].max() < stamps[split.weak].min()


def test_there_is_always_a_frame_with_boxes():
    assert len(split_by_scene([str(i) for i in range(7)], 0.01, 0).full) == 1
    assert split_by_time([3.0, 1.0, 2.0], 0.01).full.tolist() == [1]
    assert len(split_by_time([3.0, 1.0, 2.0], 1.0).weak) == 0
    assert len(split_by_scene(SCENES, 1.0, 0).weak) == 0


def test_impossible_splits_are_refused():
    with pytest.raises(InputError, match="scenes is 1 for 20 frames"):
        split_by_scene(["one"] * 20, 0.05, 0)
    with pytest.raises(InputError, match="stamp of frame 1 is None"):
        split_by_time([1.0, None], 0.5)
    for fraction in (0.0, 1.5, np.nan):
        with pytest.raises(InputError, match="fraction"):
            split_by_scene(SCENES, fraction, 0)
    with pytest.raises(InputError, match="frames to split is none"):
        split_by_time([], 0.5)
