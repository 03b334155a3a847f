"""The scheduler under any order of events, over a real pool and a real limiter."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.limiter import FixedLimiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.engine.events import (
    BEGUN,
    Admit,
    Blocked,
    Draining,
    Dropped,
    Ended,
    Event,
    Exhausted,
    Faulted,
    Finished,
    Grant,
    Holding,
    Passed,
    Paused,
    Probe,
    Probed,
    Refuse,
    Suspected,
    Tick,
    Wanted,
    Withdrawn,
)
from asyncgen.engine.scheduler import Scheduler

BUDGET = 1000


@dataclass
class Living:
    """A living episode."""

    order: int
    held: int = 0
    asked: bool = False
    """For its first turn."""
    suspect: bool = False


class AnyRun(RuleBasedStateMachine):
    """A driver with any mood, and a model of what it was told."""

    @initialize(limit=st.integers(1, 5), caps=st.lists(st.none() | st.integers(1, 3), min_size=1, max_size=3))
    def begin(self, limit: int, caps: list[int | None]) -> None:
        self.limit, self.caps, self.now = limit, caps, 0.0
        pool = Pool([EndpointSpec(f"e{number}", cap) for number, cap in enumerate(caps)])
        self.scheduler = Scheduler(pool, FixedLimiter(limit), byte_budget=BUDGET)
        self.tickets = itertools.count()
        self.samples = 30
        self.unanswered: list[int] = []
        self.idle: list[Living] = []
        """Living episodes that ask for nothing."""
        self.waiting: dict[int, Wanted] = {}
        self.asking: dict[int, Living] = {}
        """Those that wait or are open, by ticket."""
        self.open: list[tuple[int, int]] = []
        self.probes: list[int] = []
        self.finished = 0
        self.tell(Tick())

    def tell(self, event: Event) -> None:
        for action in self.scheduler.handle(event, self.now):
            match action:
                case Admit(order):
                    assert self.may_start()
                    assert self.scheduler.held_bytes < BUDGET or not self.living
                    if self.samples:
                        self.samples -= 1
                        self.idle.append(Living(order))
                    else:
                        self.unanswered.append(order)
                case Grant(ticket, endpoint):
                    assert not self.scheduler.paused or self.scheduler.draining
                    wanted = self.waiting.pop(ticket)  # KeyError: a grant for nobody
                    if wanted.order != BEGUN and not wanted.suspect:
                        others = [one for one in self.waiting.values() if not one.suspect]
                        assert not any(one.order == BEGUN for one in others)
                        assert not any(one.order < wanted.order for one in others)
                        assert not any(one.order < wanted.order for one in self.idle if not one.asked)
                    assert wanted.order == BEGUN or not self.scheduler.draining
                    self.open.append((ticket, endpoint))
                case Refuse(ticket):
                    assert self.waiting.pop(ticket).order != BEGUN
                    assert self.scheduler.draining
                    self.idle.append(self.asking.pop(ticket))
                case Probe(endpoint):
                    self.probes.append(endpoint)
                case Finished():
                    self.finished += 1
                    assert not self.living
        while self.unanswered:
            self.tell(Exhausted(self.unanswered.pop(0)))

    def may_start(self) -> bool:
        scheduler = self.scheduler
        stopped = scheduler.exhausted or scheduler.draining or scheduler.blocked or scheduler.paused
        on_trial = scheduler.suspects > 0
        return not stopped and (on_trial or not scheduler.pool.all_down(self.now))

    @property
    def living(self) -> int:
        return len(self.idle) + len(self.waiting) + len(self.open)

    @precondition(lambda self: self.idle)
    @rule(data=st.data(), again=st.booleans(), suspect=st.booleans(), sticky=st.none() | st.integers(0, 2))
    def ask(self, data: st.DataObject, again: bool, suspect: bool, sticky: int | None) -> None:
        ticket = next(self.tickets)
        living = self.asking[ticket] = self.idle.pop(data.draw(st.integers(0, len(self.idle) - 1)))
        order = living.order if again or not living.asked else BEGUN
        if suspect and living.asked and not living.suspect:
            living.suspect = True
            self.tell(Suspected(1))
        living.asked = True
        near = sticky if sticky is not None and sticky < len(self.caps) else None
        wanted = Wanted(ticket, order, near, living.suspect, near)
        self.waiting[ticket] = wanted
        self.tell(wanted)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[ticket]
        self.idle.append(self.asking.pop(ticket))
        self.tell(Withdrawn(ticket))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), kind=st.sampled_from([None, "dropped", *FaultKind]), wait=st.none() | st.floats(0, 60))
    def come_back(self, data: st.DataObject, kind: FaultKind | str | None, wait: float | None) -> None:
        ticket, endpoint = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.idle.append(self.asking.pop(ticket))
        if kind is None:
            self.tell(Passed(endpoint, 1.0, 5))
        elif isinstance(kind, FaultKind):
            self.tell(Faulted(endpoint, Fault(kind, "x", retry_after=wait), self.idle[-1].suspect))
        else:
            self.tell(Dropped(endpoint))

    @precondition(lambda self: self.idle)
    @rule(count=st.integers(0, 900))
    def hold(self, count: int) -> None:
        self.idle[0].held += count
        self.tell(Holding(count))

    @precondition(lambda self: self.idle)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        over = self.idle.pop(data.draw(st.integers(0, len(self.idle) - 1)))
        self.tell(Holding(-over.held))
        if over.suspect:
            self.tell(Suspected(-1))
        self.tell(Ended(over.order))

    @rule(seconds=st.floats(0, 40))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Tick())

    @precondition(lambda self: self.probes)
    @rule(fine=st.booleans())
    def probed(self, fine: bool) -> None:
        self.tell(Probed(self.probes.pop(0), fine))

    @rule(blocked=st.booleans())
    def block(self, blocked: bool) -> None:
        self.tell(Blocked(blocked))

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.tell(Paused(paused))

    @precondition(lambda self: self.samples < 20)
    @rule()
    def drain(self) -> None:
        self.tell(Draining())

    @invariant()
    def counts_agree(self) -> None:
        scheduler = self.scheduler
        scheduler.validate()
        assert scheduler.open == len(self.open) <= self.limit
        assert scheduler.alive == self.living <= 4 * self.limit
        assert scheduler.suspects == sum(one.suspect for one in (*self.idle, *self.asking.values()))
        assert scheduler.waiting == len(self.waiting)
        assert scheduler.held_bytes == sum(one.held for one in (*self.idle, *self.asking.values()))
        for number, cap in enumerate(self.caps):
            assert cap is None or sum(endpoint == number for _, endpoint in self.open) <= cap

    @invariant()
    def no_wake_up_is_lost(self) -> None:
        held_up = self.scheduler.paused and not self.scheduler.draining
        room = self.scheduler.open < self.limit and not held_up
        fresh_may = not self.scheduler.blocked
        others = [one.order for one in self.waiting.values() if not one.suspect and (one.order == BEGUN or fresh_may)]
        first = min(others, default=None)
        earlier = any(one.order < first for one in self.idle if not one.asked) if first is not None else False
        suspects = any(one.suspect for one in self.waiting.values())
        may = suspects or first == BEGUN or (first is not None and not earlier)
        assert not (room and may and self.scheduler.pool.choose(None, self.now) is not None)
        if self.may_start() and not self.scheduler.pool.all_down(self.now):
            most = 2 * self.limit + min(2 * self.limit, self.scheduler.suspects)
            assert self.living >= 1
            assert self.scheduler.held_bytes >= BUDGET or self.living >= most

    @invariant()
    def it_finishes_once_and_only_when_nothing_lives(self) -> None:
        over = (self.scheduler.exhausted or self.scheduler.draining) and not self.living
        assert self.finished == over


AnyRun.TestCase.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
TestAnyRun = AnyRun.TestCase
