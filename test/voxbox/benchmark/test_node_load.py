"""What is made of the traffic of running nodes: rates, latency, growth, drops."""

import json
import mmap
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import known_voxels
import numpy as np
import pytest

from voxbox import cli
from voxbox.benchmark import load, soak, together
from voxbox.benchmark.processes import in_own_process
from voxbox.benchmark.setting import Exchange, Setting
from voxbox.benchmark.usage import Usage, usage
from voxbox.demo.drives import SHIPPED_DRIVE, SHIPPED_RIG_DRIVE
from voxbox_core.errors import InputError

pytest.importorskip("rclpy")
from voxbox.benchmark.traffic import cloud_frame, image_frame


def _exchange(sent: int, answered: Callable[[int], float | None], rate: float = 10.0) -> Exchange:
    """Frames at a rate; answered: s after each."""
    begun = {stamp: stamp / rate for stamp in range(sent)}
    late = {stamp: answered(stamp) for stamp in begun}
    return Exchange(begun, {stamp: begun[stamp] + s for stamp, s in late.items() if s is not None})


@pytest.mark.parametrize("limit", [0.5, 2.0, 7.0, 10.0, 33.0, 150.0, 1000.0])
def test_the_highest_rate_is_found_within_a_tenth_and_few_rates_are_tried(limit: float) -> None:
    tried: list[float] = []

    def dropped(rate: float) -> float:
        tried.append(rate)
        return max(0.0, 1 - limit / rate)  # a node that takes `limit` frames/s whatever comes

    found = load.highest_rate(dropped)
    bound = limit / (1 - load.MOST_DROPPED)  # frames/s of which less than MOST_DROPPED is dropped
    if bound < load.LOWEST:
        assert found == 0
    else:
        assert min(bound, load.HIGHEST) / 1.101 <= found <= min(bound, load.HIGHEST)
    assert len(tried) <= 14
    assert load.LOWEST <= min(tried) <= max(tried) <= load.HIGHEST


def test_latency_jitter_and_drops_are_of_what_was_answered() -> None:
    found = load.steady(_exchange(101, lambda i: None if i % 4 == 3 else 0.02), 10.0, 50.0, 200.0)
    assert found.latency_p50 == pytest.approx(20)
    assert found.dropped == pytest.approx(100 * 25 / 101)
    even = load.steady(_exchange(100, lambda i: 0.02 if i % 2 else 0.03), 10.0, 50.0, 200.0)
    assert even.jitter == pytest.approx(10)  # answers come 90 and 110 ms apart
    assert (found.cpu, found.rss) == (50, 200)


def test_of_no_answer_nothing_is_said_but_that_all_was_dropped() -> None:
    found = load.steady(_exchange(3, lambda i: None), 10.0, 0.0, 0.0)
    assert (found.latency_p50, found.jitter, found.dropped) == (None, None, 100)
    row = {"system": "ssz", "backend": "b", "profile": False, "highest_rate_hz": 12.34}
    lines = load.table([{**row, "steady": [vars(found)]}]).splitlines()
    assert lines[-1].split() == ["ssz", "b", "no", "12.3", "Hz", "10", "Hz", "-", "-", "-", "100%", "0%", "0", "MiB"]


def _usages(values: np.ndarray, period: float) -> list[Usage]:
    return [Usage(i * period, 0.0, float(v), 0.0, 7, 3) for i, v in enumerate(values)]


def test_growth_is_that_after_the_warm_up_and_outliers_do_not_move_it() -> None:
    minutes = np.arange(300) / 60  # a sample a second
    values = 500 + 2.0 * minutes + np.random.default_rng(0).normal(0, 0.3, 300)
    values[:60] += np.linspace(-200, 0, 60)  # engines make room
    values[[100, 200, 290]] += 80
    series = [_usages(values, 1.0), _usages(values * 0 + 100, 1.0)]
    assert soak.growth(series, "rss", 60.0) == pytest.approx(2.0, abs=0.1)
    assert soak.growth(series, "handles", 60.0) == 0
    with pytest.raises(InputError, match="samples after the warm-up is 1"):
        soak.growth(series, "rss", 299.0)


def test_drops_are_told_by_reason_and_add_up() -> None:
    exchange = _exchange(50, lambda i: 0.01 if i < 40 else None)
    before = {"received": 5, "processed": 5, "superseded": 0, "too old": 0, "refused": 0}
    after = {"received": 53, "processed": 45, "superseded": 5, "too old": 2, "refused": 1}
    found = soak.frames(exchange, before, after)
    assert found == {"sent": 50, "answered": 40, "lost on the way": 2, "superseded": 5, "too old": 2, "refused": 1}
    assert found["sent"] == sum(found.values()) - found["sent"]


def test_one_process_is_set_against_several() -> None:
    way = {
        "cpu": 50.0,
        "each": 40.0,
        "rss": 400.0,
        "own": 300.0,
        "threads": 30,
        "handles": 20,
        "answered": {"ssz": 99.6},
    }
    lines = together.table({"one": way, "three": {**way, "cpu": 100.0}}).splitlines()
    assert lines[1].endswith("ssz 100%")
    assert lines[-1].split() == ["ratio", "0.50", "1.00", "1.00", "1.00", "1.00", "1.00"]


def test_what_this_process_uses_is_what_it_is() -> None:
    before = usage(os.getpid())
    held = np.frombuffer(mmap.mmap(-1, 50 * 2**20), np.uint8)  # of the system, not of what the allocator has left over
    held[:] = 1
    with open("/proc/self/stat") as file:
        after = usage(os.getpid())
        assert file.fileno() >= 0
    assert after.rss - before.rss == pytest.approx(50, abs=5)
    assert after.own <= after.rss
    assert after.handles == before.handles + 1
    assert after.threads >= 1
    assert after.percent_since(before) >= 0
    assert held.sum() == held.size
    with pytest.raises(InputError, match="process 0 is gone"):
        usage(0)


def test_a_frame_is_sent_with_another_stamp_and_nothing_else_changed() -> None:
    for frame in (image_frame(SHIPPED_DRIVE), cloud_frame(SHIPPED_RIG_DRIVE)):
        moved = frame.stamped(3_000_000_007)
        assert [m.stamp for m in moved] == [3_000_000_007] * len(moved)
        assert [m.raw[12:] for m in moved] == [m.raw[12:] for m in frame.messages]
        assert moved[-1].topic in frame.arguments.values()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["soak", "--systems", "ssz,lidar"], "--systems is lidar; expected of km3d, point_detr3d, ssz"),
        (["soak", "--minutes", "0"], "--minutes is 0.0; expected above 0"),
        (["load", "--backends", "abacus"], "--backends is abacus; expected of"),
        (["together", "--threads", "-1"], "--threads is -1; expected at least 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["benchmark", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.processes
@pytest.mark.skipif(
    not (shutil.which("ros2") or Path(sys.executable).with_name("ros2").is_file()), reason="no ros2 command"
)
def test_a_short_soak_of_a_node_leaves_numbers_and_a_picture(tmp_path: Path) -> None:
    model = str(known_voxels.write(tmp_path / "known.onnx"))
    setting = Setting(("ssz",), True, "onnxruntime", 1, {"ssz": model})
    found = in_own_process(soak.soak, setting, 4.0, 4.0, 1.0)
    counts = found["frames"]["ssz"]
    assert counts["sent"] == 16
    assert counts["answered"] > 0
    assert 0 <= counts["sent"] - sum(n for name, n in counts.items() if name != "sent") <= 1  # one may be under way
    samples = found["samples"][0]
    assert len(samples) >= 3
    assert samples[-1]["rss"] > 50
    assert set(found["growth_per_minute"]) == set(soak.WATCHED)
    json.dumps(found)
    soak.draw(found, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000
    assert "lost on the way" in soak.summary(found)
