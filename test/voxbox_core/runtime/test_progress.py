"""One number for nested phases: it grows, and who listens may end it."""

import threading

from voxbox_core.runtime import progress
from voxbox_core.runtime.progress import Phases


def test_nested_phases_fill_their_step_of_the_outer_one():
    told = []
    phases = Phases(lambda done: told.append(done) or True)
    phases.start("all", None, 4)
    phases.step("all", 0)
    phases.start("inner", "all", 2)
    phases.step("inner", 0)
    phases.start("innermost", "inner", 4)
    phases.step("innermost", 1)
    phases.finish("innermost")
    phases.finish("inner")
    phases.step("all", 1)
    assert told == [0.25, 0.375, 0.4375, 0.5]


def test_it_never_falls_and_never_tells_the_end():
    told = []
    phases = Phases(lambda done: told.append(done) or True, clock=lambda: 0.0)
    for _ in range(2):  # a second beginning of the same phases
        phases.start("all", None, 2)
        for step in range(2):
            phases.step("all", step)
        phases.finish("all")
    assert told == [0.5]


def test_a_phase_of_no_steps_and_steps_of_no_phase_do_no_harm():
    phases = Phases(lambda done: True)
    phases.start("all", None, 0)
    assert phases.step("unknown", 3)
    phases.finish("unknown")
    phases.start("orphan", "unknown", 2)
    assert phases.step("orphan", 0)


def test_who_listens_may_want_no_more():
    phases = Phases(lambda done: done < 0.5)
    phases.start("all", None, 4)
    assert phases.step("all", 0)
    assert not phases.step("all", 1)
    assert not phases.step("all", 2)
    assert not phases.wanted


def test_who_listens_is_asked_in_time_also_where_nothing_grows():
    told, now, wanted = [], [0.0], [True]
    phases = Phases(lambda done: told.append(done) or wanted[0], clock=lambda: now[0])
    phases.start("all", None, 1000)
    for now[0] in (0.02, 0.04, 0.06, 0.11, 0.13, 0.2, 0.22):  # s
        assert phases.step("all", 0)
    assert told == [0.001, 0.001]
    wanted[0] = False
    assert phases.step("all", 0)  # asked 0.02 s ago
    now[0] = 0.4
    assert not phases.step("all", 0)


def test_the_beginning_is_not_told_again():
    told, now = [], [0.0]
    phases = Phases(lambda done: told.append(done) or True, clock=lambda: now[0])
    phases.start("orphan", "unknown", 2)
    now[0] = 1.0
    assert phases.step("orphan", 0)
    assert not told


def test_a_listener_hears_what_is_told_in_its_block_alone():
    def listener(what, done):
        return True

    with progress.told_to(listener):
        assert progress.listener() is listener
        elsewhere = []
        thread = threading.Thread(target=lambda: elsewhere.append(progress.listener()))
        thread.start()
        thread.join()
        assert elsewhere != [listener]
    assert progress.listener() is not listener


def test_by_default_beginning_and_end_are_in_the_log(caplog):
    tell = progress.listener()
    assert tell("building", 0.0)
    assert tell("building", 0.4)
    assert tell("built", 1.0)
    assert caplog.messages == ["building", "built"]
