"""Images between two processes over DDS."""

import pytest

from voxbox.benchmark.delivery import Delivery, table

pytest.importorskip("rclpy")


def test_the_table_tells_what_was_lost():
    lines = table(
        [Delivery("default", "best_effort", 30.0, 40, 10, 3.25, 9.0), Delivery("x", "y", 1.0, 5, 0, None, None)]
    )
    assert "10/40" in lines
    assert "25%" in lines
    assert "3.2 ms" in lines
    assert lines.splitlines()[-1].split()[-2:] == ["-", "-"]


@pytest.mark.processes
def test_the_shipped_profile_delivers_best_effort():
    from voxbox.benchmark.delivery import measure

    found = measure("shipped", "best_effort", 5.0, 10)
    assert found.sent == 10
    assert found.received >= 8  # a busy machine may hold the receiver up
    assert found.latency_p50 > 0
