"""What a rendering is asked for, and that a folder holds one rendering only."""

from dataclasses import replace
from pathlib import Path

import pytest

from voxbox.street.folder import claim
from voxbox.street.plan import MOMENT, Plan
from voxbox_core.datasets.street import splits
from voxbox_core.errors import InputError


def test_frames_are_scenes_and_a_drive_is_one_scene_in_time() -> None:
    assert [Plan(3, 70).moment(i) for i in range(3)] == [(70, 0.0), (71, 0.0), (72, 0.0)]
    several = Plan(5, 70, moments=2)
    assert [several.moment(i) for i in range(5)] == [(70, 0.0), (70, MOMENT), (71, 0.0), (71, MOMENT), (72, 0.0)]
    assert [Plan(3, 70, drive=True, rate=5).moment(i) for i in range(3)] == [(70, 0.0), (70, 0.2), (70, 0.4)]


def test_splits_share_no_scene() -> None:
    assert range(100_000) == splits.TRAINING
    assert range(1_000_000, 1_000_500) == splits.VALIDATION
    assert not set(splits.TRAINING) & set(splits.VALIDATION)
    assert splits.DEMO not in splits.TRAINING
    assert splits.DEMO not in splits.VALIDATION


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 0}, "number of frames is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"width": 8}, "image size is 8x375"),
        ({"moments": 0}, "moments per scene is 0"),
        ({"rate": 0.0}, "frame rate is 0"),
        ({"beams": 17}, "LiDAR beams is 17"),
    ],
)
def test_a_plan_that_cannot_be_rendered_is_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(Plan(1, 0), **change)


def test_a_folder_goes_on_with_the_same_settings_and_more_frames(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    claim(folder, Plan(3, 70).identity())
    claim(folder, Plan(9, 70).identity())
    with pytest.raises(InputError, match=r"seed of the frames in .* is 70; expected 71"):
        claim(folder, Plan(3, 71).identity())
    with pytest.raises(InputError, match=r"depth of the frames"):
        claim(folder, Plan(3, 70).identity() | {"depth": True})


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="in use by something else"):
        claim(tmp_path, Plan(3, 70).identity())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "street.json").write_text('{"seed": 7')
    with pytest.raises(InputError, match=r"street\.json is no JSON"):
        claim(tmp_path, Plan(3, 70).identity())
