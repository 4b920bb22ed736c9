"""Which frames are too old, and which stamps are not to be believed."""

import pytest

from voxbox_core.ros.stamps import doubt, too_old

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("age", "max_age", "dropped"),
    [
        (0.2, 0.5, False),
        (0.6, 0.5, True),
        (59.0, 0.5, True),
        (59.0, 0.0, False),
        (3600.0, 0.5, False),
        (-1, 0.5, False),
    ],
)
def test_frames_beyond_max_age_are_dropped_unless_another_clock_stamped_them(age, max_age, dropped) -> None:
    found = too_old(NOW - age, NOW, max_age)
    assert (found is not None) is dropped


def test_too_old_names_age_and_limit() -> None:
    assert "age of the frame is 0.60 s; expected at most 0.5 s." in str(too_old(NOW - 0.6, NOW, 0.5))


def test_zero_stamp_is_kept_with_a_complaint() -> None:
    assert too_old(0.0, NOW, 0.5) is None
    assert "stamp of the frame is 0; expected the time of capture" in str(doubt(0.0, NOW))


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (-0.5, "0.50 s in the future; expected the past. Synchronise"),
        (1e6, "1000000 s behind the node's clock; expected the same clock. Replaying a bag?"),
        (-1e6, "1000000 s ahead of the node's clock"),
    ],
)
def test_impossible_stamps_are_named(age, text) -> None:
    assert text in str(doubt(NOW - age, NOW))


@pytest.mark.parametrize("age", [0.0, 0.3, 30.0, -0.01])
def test_sound_stamps_pass(age) -> None:
    assert doubt(NOW - age, NOW) is None
