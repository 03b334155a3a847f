"""A run whose store takes nothing for now: in the scheduler."""

from __future__ import annotations

from asyncgen.endpoint.limiter import FixedLimiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.engine.events import BEGUN, Admit, Blocked, Draining, Ended, Finished, Grant, Passed, Refuse, Tick, Wanted
from asyncgen.engine.scheduler import Scheduler


def begun(limit: int = 1) -> Scheduler:
    """Two episodes for each slot live."""
    scheduler = Scheduler(Pool([EndpointSpec("e0")]), FixedLimiter(limit))
    assert scheduler.handle(Tick(), 0.0) == [Admit(order) for order in range(2 * limit)]
    return scheduler


def test_while_nothing_can_be_written_no_first_turn_is_asked_for_and_later_ones_are():
    scheduler = begun()
    assert scheduler.handle(Blocked(True), 0.0) == []
    assert scheduler.handle(Wanted(0, 0, None), 0.0) == []
    assert scheduler.handle(Wanted(1, BEGUN, None), 0.0) == [Grant(1, 0)]
    assert scheduler.handle(Passed(0, 1.0), 0.0) == []
    assert (scheduler.open, scheduler.waiting) == (0, 1)


def test_when_there_is_room_again_first_turns_that_waited_are_asked_for():
    scheduler = begun()
    for event in (Blocked(True), Wanted(0, 0, None), Ended(1)):
        assert scheduler.handle(event, 0.0) == []
    assert scheduler.handle(Blocked(False), 0.0) == [Grant(0, 0), Admit(2)]


def test_a_drain_of_a_blocked_run_ends_it():
    scheduler = begun()
    for event in (Blocked(True), Wanted(0, 0, None), Wanted(1, 1, None)):
        scheduler.handle(event, 0.0)
    assert scheduler.handle(Draining(), 0.0) == [Refuse(0), Refuse(1)]
    assert [scheduler.handle(Ended(order), 0.0) for order in (0, 1)] == [[], [Finished()]]
