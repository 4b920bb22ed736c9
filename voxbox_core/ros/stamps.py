"""How old a frame is, and whether its stamp can be believed."""

from typing import Any

from voxbox_core.errors import InputError

# A frame this far from the node's clock was stamped by another clock; its age says nothing.
OTHER_CLOCK = 60.0  # s
_AHEAD = 0.05  # s that clocks of one vehicle may differ


def seconds(stamp_sec: int, stamp_nanosec: int) -> float:
    """A ROS stamp in seconds; good to a microsecond."""
    return stamp_sec + 1e-9 * stamp_nanosec


def of(stamp: Any) -> float:
    """A builtin_interfaces/Time in seconds."""
    return seconds(stamp.sec, stamp.nanosec)


def too_old(stamp: float, now: float, max_age: float) -> InputError | None:
    """Why a frame of this stamp, s, should be dropped at the time `now`, s; None to keep it.

    max_age: s, 0 to keep every frame. A stamp of another clock is kept: `doubt` tells of it.
    """
    age = now - stamp
    if stamp == 0 or not max_age < age < OTHER_CLOCK or max_age == 0:
        return None
    return InputError(
        "age of the frame", f"{age:.2f} s", f"at most {max_age:g} s", "Speed up what comes before, or raise max_age."
    )


def doubt(stamp: float, now: float) -> InputError | None:
    """What is wrong with a stamp although its frame can be used; None when it is sound."""
    age = now - stamp
    if stamp == 0:
        return InputError("stamp of the frame", "0", "the time of capture", "Have the driver stamp its messages.")
    if age < -_AHEAD and age > -OTHER_CLOCK:
        return InputError(
            "stamp of the frame", f"{-age:.2f} s in the future", "the past", "Synchronise the clocks (chrony, PTP)."
        )
    if abs(age) >= OTHER_CLOCK:
        return InputError(
            "stamp of the frame",
            f"{abs(age):.0f} s {'behind' if age > 0 else 'ahead of'} the node's clock",
            "the same clock",
            "Replaying a bag? Play it with --clock and set use_sim_time.",
        )
    return None
