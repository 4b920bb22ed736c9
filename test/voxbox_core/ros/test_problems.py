"""One problem, one line in the log now and then, and a place in the diagnostics while it lasts."""

from voxbox_core.errors import InputError
from voxbox_core.ros.problems import Problems, Severity


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def warning(self, message: str) -> bool:
        self.lines.append(("warning", message))
        return True

    def error(self, message: str) -> bool:
        self.lines.append(("error", message))
        return True


def problems_at() -> tuple[Problems, Log, list[float]]:
    now, log = [0.0], Log()
    return Problems(log, log_period=5.0, hold=3.0, clock=lambda: now[0]), log, now


def bad(value: int, what: str = "image size") -> InputError:
    return InputError(what, value, "more", "Do it.")


def test_a_flood_of_one_problem_is_a_line_every_period() -> None:
    problems, log, now = problems_at()
    for i in range(100):
        now[0] = 0.1 * i
        problems.report(bad(i))
    assert [text for _, text in log.lines] == [
        "image size is 0; expected more. Do it.",
        "image size is 50; expected more. Do it. (met 51 times)",
    ]
    assert problems.counts() == {"image size": 100}


def test_different_problems_do_not_hide_one_another() -> None:
    problems, log, _ = problems_at()
    problems.report(bad(1, "image size"))
    problems.report(bad(1, "image encoding"))
    assert len(log.lines) == 2


def test_a_problem_no_longer_met_is_no_longer_current() -> None:
    problems, _, now = problems_at()
    problems.report(bad(1))
    now[0] = 2.9
    assert [p.text for p in problems.current()] == ["image size is 1; expected more. Do it."]
    now[0] = 3.1
    assert problems.current() == []


def test_worst_comes_first_and_is_logged_as_an_error() -> None:
    problems, log, _ = problems_at()
    problems.report(bad(1))
    problems.report(bad(2, "engine"), Severity.ERROR)
    assert [p.severity for p in problems.current()] == [Severity.ERROR, Severity.WARN]
    assert [kind for kind, _ in log.lines] == ["warning", "error"]
